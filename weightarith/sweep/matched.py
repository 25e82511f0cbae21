"""Methods at one cost: equal strengths of different methods mean nothing, an equal divergence does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from weightarith.evaluate import Comparison, Estimate
from weightarith.sweep.arm import Arm
from weightarith.sweep.match import LARGEST, Match, match, nearest
from weightarith.sweep.point import Point, compared
from weightarith.sweep.walk import Walk

Direction = Literal["negative", "positive"]
SIGNS: dict[Direction, int] = {"negative": -1, "positive": 1}


@dataclass(frozen=True)
class Sought:
    """What was found for one method, one target and one direction, before everything is measured there."""

    arm: Arm
    target: float
    direction: Direction
    match: Match

    @property
    def strength(self) -> float:
        """With its sign."""
        return SIGNS[self.direction] * self.match.strength

    @property
    def measured(self) -> bool:
        """Whether its numbers stand in the comparison: not where the method cannot cost that much."""
        return self.match.status != "unreached"


@dataclass(frozen=True)
class Row:
    """A line of the comparison at matched cost.

    Attributes:
        sought: method, target, direction and the strength found.
        point: all numbers there; None where the method does not reach the cost, or lacks a number there.
        reference: the method it is compared with.
        against: every outcome less the reference's at the same target, over the items that count in both.
    """

    sought: Sought
    point: Point | None
    reference: str
    against: Mapping[str, Comparison]

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON has it."""
        found = self.sought
        return {
            "method": found.arm.name,
            "target": found.target,
            "direction": found.direction,
            "status": found.match.status,
            "said": said(found),
            "strength": found.strength,
            "cost": found.match.cost,
            "looks": found.match.looks,
            "estimates": _json(self.point.estimates) if self.point else {},
            "paired": _json(self.point.paired) if self.point else {},
            "reference": self.reference,
            "against": _json(self.against),
        }


def said(found: Sought) -> str:
    """Return in words how near a search came."""
    cost, strength = f"{found.match.cost:.4g}", f"{found.strength:g}".replace("-", "−")
    return {
        "matched": "",
        "near": f"not within the tolerance: the nearest cost found is {cost}",
        "below": f"has no dial: the nearest below costs {cost}",
        "above": f"has no dial: the nearest above costs {cost}",
        "unreached": f"cannot cost that much: {cost} at {strength}, the largest strength tried "
        f"(at most {LARGEST:g} is)",
    }[found.match.status]


def seek(
    walk: Walk,
    arm: Arm,
    target: float,
    direction: Direction,
    strengths: Sequence[float],
    *,
    first: float = 1.0,
    tried: Callable[[Arm, float], None] = lambda _arm, _strength: None,
) -> list[Sought]:
    """Return where a method costs `target` in one direction; nothing where it has no such direction.

    Args:
        walk: what measures.
        arm: the method.
        target: the cost.
        direction: the sign of the strength.
        strengths: those that were measured already.
        first: the size of the strength to begin at where none was measured.
        tried: called before each look at the cost.
    """
    sign = SIGNS[direction]
    sizes = [abs(k) for k in strengths if k * sign > 0]

    def cost(size: float) -> float:
        tried(arm, sign * size)
        return walk.cost(arm, sign * size)

    if not arm.dial:
        fixed = {abs(k): walk.cost(arm, k) for k in arm.method.strengths if k * sign > 0}
        return [Sought(arm, target, direction, found) for found in nearest(fixed, target)]
    known = {size: walk.cost(arm, sign * size) for size in sizes}
    return [Sought(arm, target, direction, match(cost, target, known, first=first))]


def row_of(
    walk: Walk, found: Sought, point: Point | None, reference: Sought | None, wanted: Sequence[str]
) -> Row:
    """Return the line of a method, compared with the reference at the same target where that has one."""
    if point is None or reference is None or reference.arm is found.arm or not reference.measured:
        return Row(found, point, reference.arm.name if reference else "", {})
    own = walk.whole(found.arm, found.strength).evaluation
    other = walk.whole(reference.arm, reference.strength).evaluation
    return Row(found, point, reference.arm.name, compared(own, other, [*wanted]))


def _json(found: Mapping[str, Estimate] | Mapping[str, Comparison]) -> dict[str, Any]:
    return {name: one.to_json() for name, one in found.items()}
