"""The knee of a curve: the point up to which cost buys the most, and after which it buys less.

Satopää et al. (2011), section III, https://doi.org/10.1109/ICDCSW.2011.20: both axes are scaled to the unit
square, and the knee is where the curve stands farthest above its chord.
"""

from __future__ import annotations

from collections.abc import Sequence


def knee(costs: Sequence[float], gains: Sequence[float]) -> int | None:
    """Return the place of the knee in a curve; None where it has none.

    A curve has none where it is straight, bends the other way or gains nothing. The first of equals counts.

    Args:
        costs: from the unsteered model outwards, in order of strength; finite.
        gains: change of the behaviour in the wanted direction at each of them; finite.
    """
    if len(costs) < 3:
        return None
    widest, highest = max(costs) - costs[0], max(gains) - gains[0]
    if widest <= 0 or highest <= 0:
        return None
    above = [
        (gain - gains[0]) / highest - (cost - costs[0]) / widest
        for cost, gain in zip(costs, gains, strict=True)
    ]
    best = max(range(len(above)), key=lambda place: (above[place], -place))
    return best if above[best] > 1e-9 else None
