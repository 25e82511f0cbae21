"""How much of a term each tensor gets: selections by layer, role or name, and schedules over depth.

A weighting multiplies the coefficient of a term, tensor by tensor. All of it is exact: factors are fractions.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from itertools import pairwise
from typing import Protocol

from weightarith.errors import RecipeError, quoted
from weightarith.names import has_role, layer_of

ONE = Fraction(1)


class Weighting(Protocol):
    """A factor for every tensor name, in a model of `depth` layers."""

    def factor(self, name: str, depth: int) -> Fraction:
        """Return what the coefficient of a term is multiplied by at `name`."""
        ...

    def check(self, names: Collection[str]) -> None:
        """Raise RecipeError if a part of the weighting touches none of `names`."""
        ...


@dataclass(frozen=True)
class Rule:
    """`scale` where every given condition holds: layer in `layers`, one of `roles`, name like `pattern`."""

    scale: Fraction
    layers: tuple[int, int] | None = None  # first and last, both included
    roles: tuple[str, ...] = ()
    pattern: str = ""

    def matches(self, name: str) -> bool:
        """Return whether `name` meets every condition of the rule."""
        if self.layers is not None:
            layer = layer_of(name)
            if layer is None or not self.layers[0] <= layer <= self.layers[1]:
                return False
        if self.roles and not any(has_role(name, role) for role in self.roles):
            return False
        return not self.pattern or fnmatchcase(name, self.pattern)

    def __str__(self) -> str:
        layers = [f"layers {self.layers[0]}-{self.layers[1]}"] if self.layers else []
        roles = [f"role {' or '.join(self.roles)}"] if self.roles else []
        pattern = [f"name {quoted(self.pattern)}"] if self.pattern else []
        return ", ".join(layers + roles + pattern) or "everything"


@dataclass(frozen=True)
class Selection:
    """Rules in order, the last match wins; `otherwise` where none matches."""

    rules: tuple[Rule, ...]
    otherwise: Fraction = ONE

    def factor(self, name: str, depth: int) -> Fraction:  # noqa: ARG002  (the protocol's signature)
        """Return the scale of the last rule that matches `name`."""
        return next((rule.scale for rule in reversed(self.rules) if rule.matches(name)), self.otherwise)

    def check(self, names: Collection[str]) -> None:
        """Raise RecipeError naming a rule that matches none of `names`: most likely a typing error."""
        for rule in self.rules:
            if not any(rule.matches(name) for name in names):
                example = quoted(min(names)) if names else "none"
                raise RecipeError(
                    f"a rule matches no tensor: {rule}; {len(names)} tensors were tried, such as {example}",
                    hint="see the names, layers and roles with: weightarith inspect",
                )


@dataclass(frozen=True)
class Schedule:
    """A curve over depth: `values` spaced evenly from the first layer to the last, straight lines between.

    Tensors outside the stack (embeddings, final norm, head) get `elsewhere`.
    """

    values: tuple[Fraction, ...]
    elsewhere: Fraction = ONE

    def factor(self, name: str, depth: int) -> Fraction:
        """Return the value of the curve at the layer of `name` in a stack of `depth` layers."""
        layer = layer_of(name)
        if layer is None:
            return self.elsewhere
        place = Fraction(layer, max(depth - 1, 1)) * (len(self.values) - 1)
        for index, (low, high) in enumerate(pairwise(self.values)):
            if place <= index + 1:
                return low + (high - low) * (place - index)
        return self.values[-1]

    def check(self, names: Collection[str]) -> None:
        """Raise RecipeError if no tensor has a layer for the schedule to run over."""
        if all(layer_of(name) is None for name in names):
            raise RecipeError(
                f"a schedule needs layers, and none of {len(names)} tensor names has a layer number",
                hint="give these names a plain number, or scale them by name, with select:",
            )


@dataclass(frozen=True)
class Where:
    """`inside` where the name of a tensor is like `pattern`, `otherwise` everywhere else."""

    pattern: str
    inside: Fraction | Varying
    otherwise: Fraction | Varying

    def factor(self, name: str, depth: int) -> Fraction:
        """Return the number on the side of the pattern that `name` is on."""
        return value_at(self.inside if fnmatchcase(name, self.pattern) else self.otherwise, name, depth)

    def check(self, names: Collection[str]) -> None:
        """Raise RecipeError if the pattern matches none of `names`, or a side touches none of its own."""
        inside = [name for name in names if fnmatchcase(name, self.pattern)]
        if not inside:
            Selection((Rule(ONE, pattern=self.pattern),)).check(names)
        if not isinstance(self.inside, Fraction):
            self.inside.check(inside)
        if not isinstance(self.otherwise, Fraction):
            self.otherwise.check([name for name in names if not fnmatchcase(name, self.pattern)])


@dataclass(frozen=True)
class Scaled:
    """A weighting multiplied by a number."""

    weighting: Varying
    by: Fraction

    def factor(self, name: str, depth: int) -> Fraction:
        """Return the product at `name`."""
        return self.by * self.weighting.factor(name, depth)

    def check(self, names: Collection[str]) -> None:
        """Raise RecipeError if the weighting touches none of `names`."""
        self.weighting.check(names)


Varying = Selection | Schedule | Where | Scaled
"""A number that may differ from tensor to tensor; it can be an option, and it can multiply a vector."""


def value_at(number: Fraction | Varying, name: str, depth: int) -> Fraction:
    """Return a number that may differ from tensor to tensor, at `name` in a model of `depth` layers."""
    return number if isinstance(number, Fraction) else number.factor(name, depth)
