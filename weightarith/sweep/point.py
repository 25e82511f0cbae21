"""One strength of one method, in numbers: every one with its interval, and against strength 0.

A point that lacks the behaviour, the cost, a capability or an off-target number is not shown: what it gained
would stand there without what it lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weightarith.errors import InvalidFileError, quoted, some
from weightarith.evaluate import Comparison, Estimate, Evaluation, compare, estimate
from weightarith.sweep.journal import Found


@dataclass(frozen=True)
class Point:
    """Numbers of one method at one strength.

    Attributes:
        method: which.
        strength: at which; 0 is the model itself.
        estimates: every outcome that has a value, by "metric.outcome".
        paired: each of them against strength 0, over the items that count in both.
        file: where the whole measurement is, samples included.
    """

    method: str
    strength: float
    estimates: Mapping[str, Estimate]
    paired: Mapping[str, Comparison]
    file: str = ""

    @property
    def label(self) -> str:
        """The point in words."""
        return f"{self.method}, k = {self.strength:g}".replace("-", "−") if self.strength else "base"

    def to_json(self) -> dict[str, Any]:
        """Return the point as JSON has it."""
        return {
            "method": self.method,
            "strength": self.strength,
            "label": self.label,
            "estimates": {name: found.to_json() for name, found in self.estimates.items()},
            "paired": {name: found.to_json() for name, found in self.paired.items()},
            "file": self.file,
        }


@dataclass(frozen=True)
class LeftOut:
    """A strength that is no point, why, and which wanted outcomes have no number there."""

    method: str
    strength: float
    why: str
    lacks: tuple[str, ...] = ()


def point_of(
    method: str, strength: float, found: Found, unsteered: Evaluation, wanted: Sequence[str], file: str = ""
) -> Point | LeftOut:
    """Return the numbers of a measurement, or why they are not shown.

    Args:
        method: its name.
        strength: at which.
        found: what was measured.
        unsteered: the same at strength 0.
        wanted: the outcomes a point must have.
        file: where the whole measurement is kept.

    Raises:
        InvalidFileError: a wanted outcome is not measured at all.
    """
    outcomes = found.evaluation.outcomes
    absent = [name for name in wanted if name not in outcomes and name not in found.not_finite]
    if absent:
        raise InvalidFileError(
            f"no number for {some(absent)} at strength {strength:g} of {quoted(method)}, "
            f"expected as the suite names it; measured are {', '.join(outcomes) or 'none'}",
            hint="a point is shown with what it costs or not at all: name outcomes that the suite measures",
        )
    estimates = {name: estimate(outcome) for name, outcome in outcomes.items()}
    infinite = [name for name in wanted if name in found.not_finite]
    empty = [name for name in wanted if name not in infinite and not estimates[name].n]
    if infinite:
        return LeftOut(method, strength, f"{some(infinite)} is NaN or infinite", (*infinite, *empty))
    if empty:
        return LeftOut(method, strength, f"no item counts for {some(empty)}", tuple(empty))
    counting = {name: one for name, one in estimates.items() if one.n}
    return Point(method, strength, counting, compared(found.evaluation, unsteered, [*counting]), file)


def compared(one: Evaluation, other: Evaluation, names: Sequence[str]) -> dict[str, Comparison]:
    """Return `one` less `other`, for each outcome that both have."""
    return {
        name: compare(one.outcomes[name], other.outcomes[name]) for name in names if name in other.outcomes
    }
