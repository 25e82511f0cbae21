"""The strength at which a method costs a given amount, found with few looks at the cost.

Divergences grow like a power of the strength (like its square near 0), so both are searched in logarithms: a
straight line there is exact for a power. Regula falsi with the Illinois rule (Dowell and Jarratt, 1971,
https://doi.org/10.1007/BF01934364), from whatever is known already.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Status = Literal["matched", "near", "below", "above", "unreached"]
TOLERANCE = 0.05
LOOKS = 6
LARGEST = 64.0
"""A strength beyond which no search goes."""
_STEP = 8.0
"""At most this many times the last strength is tried next."""


@dataclass(frozen=True)
class Match:
    """What a search found.

    Attributes:
        status: "matched" within the tolerance; "near", the nearest after all looks were spent; "below" and
            "above", the nearest where there is no dial; "unreached", the dearest strength there is.
        strength: its size, without the sign.
        cost: at that strength.
        looks: how often the cost was looked at.
    """

    status: Status
    strength: float
    cost: float
    looks: int


def match(
    cost: Callable[[float], float],
    target: float,
    known: Mapping[float, float] | None = None,
    *,
    tolerance: float = TOLERANCE,
    looks: int = LOOKS,
    first: float = 1.0,
) -> Match:
    """Return the strength whose cost is `target`, to a part `tolerance` of it.

    Where the cost does not grow all the way, the first crossing is looked for. A cost that is NaN or infinite
    counts as too much.

    Args:
        cost: of a strength greater than 0.
        target: what it is to be, greater than 0.
        known: costs that were looked at before, by strength.
        tolerance: how far off it may be, as a part of the target.
        looks: how often `cost` may be asked.
        first: the strength to begin at where nothing is known.
    """
    seen = {k: _proper(value) for k, value in (known or {}).items() if k > 0}
    tried: list[float] = []
    while True:
        best = min(seen, key=lambda k: (_off(seen[k], target), k), default=None)
        if best is not None and abs(seen[best] - target) <= tolerance * target:
            return Match("matched", best, seen[best], len(tried))
        if seen and max(seen) >= LARGEST and max(seen.values()) < target:
            return Match("unreached", max(seen), seen[max(seen)], len(tried))
        strength = _rounded(_next(seen, tried, target, first))
        if best is not None and (len(tried) == looks or strength in seen):
            if max(seen.values()) < target:
                return Match("unreached", max(seen), seen[max(seen)], len(tried))
            return Match("near", best, seen[best], len(tried))
        seen[strength] = _proper(cost(strength))
        tried.append(strength)


def nearest(costs: Mapping[float, float], target: float, *, tolerance: float = TOLERANCE) -> list[Match]:
    """Return what a method without a dial has: the point that matches, or the nearest below and above.

    Args:
        costs: of all its strengths of one direction, by size.
        target: what the cost is to be.
        tolerance: how far off it may be, as a part of the target.
    """
    seen = {k: _proper(value) for k, value in costs.items()}
    close = [k for k, value in seen.items() if abs(value - target) <= tolerance * target]
    if close:
        best = min(close, key=lambda k: (_off(seen[k], target), k))
        return [Match("matched", best, seen[best], 0)]
    found: list[Match] = []
    below = [k for k, value in seen.items() if value < target]
    above = [k for k, value in seen.items() if target < value < math.inf]
    if below:
        dearest = max(below, key=lambda k: (seen[k], -k))
        found.append(Match("below", dearest, seen[dearest], 0))
    if above:
        cheapest = min(above, key=lambda k: (seen[k], k))
        found.append(Match("above", cheapest, seen[cheapest], 0))
    return found


def _next(seen: Mapping[float, float], tried: Sequence[float], target: float, first: float) -> float:
    """Return the strength to look at next."""
    if not seen:
        return first
    ordered = sorted(seen)
    high = next((k for k in ordered if seen[k] > target), None)
    if high is None:
        return _outwards(seen, ordered, target)
    low = max((k for k in ordered if k < high), default=0.0)
    if low and seen[low] > 0:
        return _between(seen, tried, target, low, high)
    return max(_inwards(seen, ordered, target, high), low * 1.05)


def _outwards(seen: Mapping[float, float], ordered: Sequence[float], target: float) -> float:
    last = ordered[-1]
    if seen[last] <= 0:
        return min(last * 4, LARGEST)
    power = _power(seen, ordered[-2:])
    step = min(math.pow(target / seen[last], 1 / power), _STEP)
    return min(last * max(step, 1.02), LARGEST)


def _inwards(seen: Mapping[float, float], ordered: Sequence[float], target: float, high: float) -> float:
    if seen[high] == math.inf:
        return high / 4
    power = _power(seen, [k for k in ordered if k >= high][:2])
    return high * max(math.pow(target / seen[high], 1 / power), 1 / _STEP)


def _power(seen: Mapping[float, float], pair: Sequence[float]) -> float:
    """Return the power that two strengths show the cost to grow like; 2 where they show none."""
    if len(pair) < 2 or not seen[pair[0]] > 0 or seen[pair[1]] == math.inf:
        return 2.0
    shown = math.log(seen[pair[1]] / seen[pair[0]]) / math.log(pair[1] / pair[0])
    return min(max(shown, 0.5), 4.0)


def _between(
    seen: Mapping[float, float], tried: Sequence[float], target: float, low: float, high: float
) -> float:
    left, right = math.log(low), math.log(high)
    if seen[high] == math.inf:
        return math.exp((left + right) / 2)
    under, over = math.log(seen[low] / target), math.log(seen[high] / target)
    if len(tried) > 1:  # an end that two looks have left where it was counts half
        if all(seen[k] < target for k in tried[-2:]):
            over /= 2
        if all(seen[k] > target for k in tried[-2:]):
            under /= 2
    place = left - under * (right - left) / (over - under)
    margin = 0.02 * (right - left)
    return math.exp(min(max(place, left + margin), right - margin))


def _proper(cost: float) -> float:
    return math.inf if math.isnan(cost) else max(cost, 0.0)


def _off(cost: float, target: float) -> float:
    return abs(math.log(cost / target)) if 0 < cost < math.inf else math.inf


def _rounded(strength: float) -> float:
    """Return a strength in four digits, as it can be typed again."""
    return float(f"{strength:.4g}")
