"""What a sweep compares: methods of one run, and the same methods of runs with other seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from weightarith.errors import RecipeError, quoted
from weightarith.sweep.arm import Arm
from weightarith.sweep.depth import Tried


@dataclass(frozen=True)
class LineUp:
    """Who takes part.

    Attributes:
        arms: the methods; the first is the chosen one, which the others are compared with.
        also: methods of other runs, by the label of the run; those whose name is not among `arms` are no use.
        missing: what was asked for and is not there, by name, with the reason.
        run: the label of the run the methods are of.
        layers: what the search for the layer of activation steering tried.
    """

    arms: tuple[Arm, ...]
    also: Mapping[str, tuple[Arm, ...]] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    run: str = ""
    layers: tuple[Tried, ...] = ()

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        if not names:
            raise RecipeError("no method to sweep", hint="give at least one")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise RecipeError(
                f"two methods are called {quoted(twice[0])}", hint="give each a name of its own"
            )

    def others(self, arm: Arm) -> dict[str, Arm]:
        """Return the same method of the other runs, where it is made of something else there."""
        return {
            run: other
            for run, arms in self.also.items()
            for other in arms
            if other.name == arm.name and other.identity != arm.identity
        }
