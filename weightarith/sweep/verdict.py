"""What a curve says of its method: the knee, the safe range, and the strength to take."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from weightarith.evaluate import Evaluation, Suite
from weightarith.sweep.knee import knee
from weightarith.sweep.point import LeftOut, Point
from weightarith.sweep.reach import asked, reached
from weightarith.sweep.safe import Allowed, Change, Limit, Range, change, recommended, safe_range

Kind = Literal["share", "mean", "divergence"]
Worse = Literal["less", "more", "both"]

NATS = "nats"
"""How the unit of an outcome begins whose exponential people read, as that of a perplexity."""
DIVERGENCE: Kind = "divergence"
PERPLEXITY = "perplexity"
"""Kinds of metrics whose numbers had better be small."""


@dataclass(frozen=True)
class Verdict:
    """Of one method.

    Attributes:
        safe: strengths at which no more was lost than is allowed.
        proved: those at which the 95 % bounds say so too.
        knees: the strength below 0 and above it after which cost buys less; None where there is none.
        recommended: the largest effect inside the safe range, below and above 0, or the smallest strength
            there that reaches what was asked for; None where there is none.
    """

    safe: Range
    proved: Range
    knees: tuple[float | None, float | None]
    recommended: tuple[float | None, float | None]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "knee": _sides(self.knees),
            "safe": _range(self.safe),
            "proved": _range(self.proved),
            "recommended": _sides(self.recommended),
        }


def verdict(
    points: Sequence[Point],
    unsteered: Evaluation,
    suite: Suite,
    allowed: Allowed,
    reach: float | None = None,
    left_out: Sequence[LeftOut] = (),
) -> Verdict:
    """Return what the points of one method say, strength 0 among them; one left out is not safe."""
    roles: dict[str, Worse] = {
        name: ("more" if _is_loss(suite, name) else "less") for name in suite.capability
    }
    roles |= dict.fromkeys(suite.panel, "both")  # where one is both, the tolerance of the panel holds
    changes = {
        point.strength: [
            _change(point, name, _kind(suite, name, unsteered), worse, allowed)
            for name, worse in roles.items()
        ]
        for point in points
        if point.strength
    } | {one.strength: [_unknown(name) for name in one.lacks] for one in left_out}
    gains = {
        point.strength: point.paired[suite.behaviour].difference
        for point in points
        if math.isfinite(point.paired[suite.behaviour].difference)
    }
    costs = {point.strength: point.estimates[suite.cost].value for point in points}
    safe = safe_range(changes)
    return Verdict(
        safe,
        safe_range(changes, proved=True),
        (_knee(costs, gains, -1), _knee(costs, gains, 1)),
        recommended(gains, safe) if reach is None else _reaching(points, suite.behaviour, reach, gains, safe),
    )


def _reaching(
    points: Sequence[Point], behaviour: str, level: float, gains: Mapping[float, float], safe: Range
) -> tuple[float | None, float | None]:
    """Return the smallest safe strengths that reach a level; a side it does not ask for is as without one."""
    values = {point.strength: point.estimates[behaviour].value for point in points}
    inside = {k: value for k, value in values.items() if safe.low <= k <= safe.high}
    largest = recommended(gains, safe)
    below, above = (
        reached(inside, level, sign) if asked(values[0.0], level, sign) else largest[side]
        for side, sign in enumerate((-1, 1))
    )
    return below, above


def _is_loss(suite: Suite, name: str) -> bool:
    """Return whether more of a number is worse, as of a perplexity; of all else less is."""
    metric, _, outcome = name.partition(".")
    return suite.metrics[metric].kind == PERPLEXITY or PERPLEXITY in outcome


def _kind(suite: Suite, name: str, unsteered: Evaluation) -> tuple[Kind, str]:
    """Return the kind of a number, and its unit."""
    outcome = unsteered.outcomes[name]
    is_divergence = suite.metrics[name.partition(".")[0]].kind == DIVERGENCE
    return DIVERGENCE if is_divergence else outcome.kind, outcome.unit


def _change(point: Point, name: str, what: tuple[Kind, str], worse: Worse, allowed: Allowed) -> Change:
    found, (kind, unit) = point.paired[name], what
    return change(
        name,
        (found.difference, found.low, found.high),
        kind=kind,
        worse=worse,
        unsteered=point.estimates[name].value - found.difference,
        logarithmic=unit.startswith(NATS),
        allowed=allowed,
    )


def _unknown(name: str) -> Change:
    return Change(name, math.nan, math.nan, math.nan)


def _knee(costs: Mapping[float, float], gains: Mapping[float, float], sign: int) -> float | None:
    order = sorted((k for k in gains if k * sign >= 0), key=abs)
    place = knee([costs[k] for k in order], [sign * gains[k] for k in order])
    return None if place is None else order[place]


def _sides(pair: tuple[float | None, float | None]) -> dict[str, float | None]:
    return {"negative": pair[0], "positive": pair[1]}


def _range(found: Range) -> dict[str, Any]:
    limits = dict(zip(("below", "above"), map(_limit, found.limits), strict=True))
    return {"low": found.low, "high": found.high, "limits": limits}


def _limit(limit: Limit | None) -> dict[str, Any] | None:
    if limit is None:
        return None
    numbers = {
        key: value if not isinstance(value, float) or math.isfinite(value) else None
        for key, value in asdict(limit.change).items()
    }
    return {"strength": limit.strength, **numbers}
