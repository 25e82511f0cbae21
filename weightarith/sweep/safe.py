"""The safe range of a method: how far its strength may go before anything but the behaviour suffers.

A strength is safe where each capability number and each off-target number is within what is allowed, and so
is every strength measured between it and 0. Nothing is interpolated: the ends of the range were measured.

The measured change decides, not its confidence bound: with a hundred questions the bound of a share is three
points away or more, and a bound within two points takes some thousand. So a safe range says that no loss
beyond the allowed was found; the range in which the bound holds too is reported beside it, as proved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Allowed:
    """How much may change against strength 0.

    Attributes:
        share: how far a capability that is a share may fall; 0.02 is two points.
        mean: by which part a capability that is a mean may worsen; of one in nats it is the exponential that
            may, so that log-probabilities are judged as perplexities are.
        panel_share: how far an off-target share may move, either way.
        panel_mean: as `mean` for an off-target mean, either way.
        divergence: nats that a divergence among these numbers may be; it is 0 at strength 0, and any part of
            that is nothing. A nat at the 95th percentile of tokens is what others have matched methods at.
    """

    share: float = 0.02
    mean: float = 0.03
    panel_share: float = 0.10
    panel_mean: float = 0.10
    divergence: float = 1.0


@dataclass(frozen=True)
class Change:
    """What became of one number at one strength.

    Attributes:
        outcome: "metric.outcome".
        found: the change in the direction that is worse (either, for the panel); negative is better.
        bound: the end of its 95 % interval in that direction.
        allowed: what it may be at most.
    """

    outcome: str
    found: float
    bound: float
    allowed: float

    def within(self, *, proved: bool) -> bool:
        """Return whether the change, or even its bound, is allowed."""
        worst = self.bound if proved else self.found  # NaN where too few items count, and then it is not
        return worst <= self.allowed * (1 + 1e-9) + 1e-12  # 0.88 − 0.86 is a little over 0.02


def change(
    outcome: str,
    difference: tuple[float, float, float],
    *,
    kind: Literal["share", "mean", "divergence"],
    worse: Literal["less", "more", "both"],
    unsteered: float,
    logarithmic: bool,
    allowed: Allowed,
) -> Change:
    """Return how one number compares with what is allowed.

    Args:
        outcome: its name.
        difference: against strength 0: the value, and the low and high end of its interval.
        kind: of the outcome; a divergence is a mean with a tolerance of its own.
        worse: which way it must not go: a capability has one such way, an off-target number both.
        unsteered: its value at strength 0.
        logarithmic: whether it is in nats.
        allowed: the tolerances.
    """
    value, low, high = difference
    if kind == "divergence":
        return Change(outcome, value, high, allowed.divergence)
    share, part = (
        (allowed.panel_share, allowed.panel_mean) if worse == "both" else (allowed.share, allowed.mean)
    )
    most = share if kind == "share" else math.log1p(part) if logarithmic else part * abs(unsteered)
    if worse == "both":
        return Change(outcome, abs(value), max(abs(low), abs(high)), most)
    return Change(outcome, -value, -low, most) if worse == "less" else Change(outcome, value, high, most)


@dataclass(frozen=True)
class Limit:
    """The first strength beyond a range, and what broke there."""

    strength: float
    change: Change


@dataclass(frozen=True)
class Range:
    """Strengths around 0; `limits` has what stops it below and above, None where nothing did."""

    low: float
    high: float
    limits: tuple[Limit | None, Limit | None]


def safe_range(changes: Mapping[float, Sequence[Change]], *, proved: bool = False) -> Range:
    """Return the largest range of measured strengths around 0 in which every change is allowed.

    Args:
        changes: by strength; 0 need not be there.
        proved: whether the bounds must be allowed, and not only what was measured.
    """
    ends = [0.0, 0.0]
    limits: list[Limit | None] = [None, None]
    for side, sign in enumerate((-1, 1)):
        for strength in sorted((k for k in changes if k * sign > 0), key=abs):
            broken = [one for one in changes[strength] if not one.within(proved=proved)]
            if broken:
                limits[side] = Limit(strength, max(broken, key=_excess))
                break
            ends[side] = strength
    return Range(ends[0], ends[1], (limits[0], limits[1]))


def _excess(one: Change) -> float:
    return one.found / one.allowed if one.allowed else math.inf


def recommended(gains: Mapping[float, float], safe: Range) -> tuple[float | None, float | None]:
    """Return the strength below and above 0 with the largest gain in a range; None where nothing is gained.

    Args:
        gains: change of the behaviour by strength; for negative strengths a fall is the gain.
        safe: the range.
    """
    found: list[float | None] = []
    for sign in (-1, 1):
        inside = [k for k in gains if k * sign > 0 and safe.low <= k <= safe.high]
        best = max(inside, key=lambda k: (sign * gains[k], -abs(k)), default=None)
        found.append(best if best is not None and sign * gains[best] > 0 else None)
    return found[0], found[1]
