"""What a sweep is asked for: strengths, costs to match, and what may be lost."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from weightarith.errors import RecipeError
from weightarith.sweep.arm import Arm
from weightarith.sweep.matched import SIGNS, Direction
from weightarith.sweep.safe import Allowed

STRENGTHS = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Settings:
    """What is asked for.

    Attributes:
        strengths: walked by every method with a dial; 0 is always among them.
        targets: costs at which methods are compared.
        allowed: what may be lost inside the safe range.
        reach: what the behaviour is to be: the smallest safe strength that makes it so is recommended.
    """

    strengths: tuple[float, ...] = STRENGTHS
    targets: tuple[float, ...] = ()
    allowed: Allowed = field(default_factory=Allowed)
    reach: float | None = None

    def __post_init__(self) -> None:
        if not all(target > 0 and math.isfinite(target) for target in self.targets):
            raise RecipeError("a cost to match must be a number greater than 0")
        if not all(map(math.isfinite, self.strengths)):
            raise RecipeError("a strength must be a finite number")
        if self.reach is not None and not math.isfinite(self.reach):
            raise RecipeError("what the behaviour is to reach must be a finite number")
        if not any(self.strengths):
            raise RecipeError("no strength but 0", hint="give some, such as -1,-0.5,0.5,1")

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The signs among the strengths."""
        return tuple(name for name, sign in SIGNS.items() if any(k * sign > 0 for k in self.strengths))

    def strengths_of(self, arm: Arm) -> list[float]:
        """Return where a method is measured: 0 aside, from 0 outwards."""
        found = {float(k) for k in (self.strengths if arm.dial else arm.method.strengths)}
        signs = [SIGNS[name] for name in self.directions]
        return sorted((k for k in found if any(k * sign > 0 for sign in signs)), key=lambda k: (abs(k), k))
