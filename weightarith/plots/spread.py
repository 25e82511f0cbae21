"""Labels beside one another: each as near to its place as the others leave room for."""

from __future__ import annotations

from collections.abc import Sequence


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return places in the same order, at least `gap` apart, within `low` and `high` where they fit at all.

    Those that crowd are moved as a block that stays centred on where its members would be: least squares
    under an order, by pooling neighbours (Barlow et al., 1972).
    """
    if not places:
        return []
    gap = min(gap, (high - low) / max(1, len(places) - 1))
    order = sorted(range(len(places)), key=lambda place: (places[place], place))
    # less their share of the gaps, places need only keep their order
    blocks: list[tuple[float, int]] = []  # mean, members
    for rank, place in enumerate(order):
        mean, members = places[place] - rank * gap, 1
        while blocks and blocks[-1][0] >= mean:
            before, count = blocks.pop()
            mean, members = (before * count + mean * members) / (count + members), count + members
        blocks.append((mean, members))
    levels = [mean for mean, members in blocks for _ in range(members)]
    top = high - (len(places) - 1) * gap
    found = [0.0] * len(places)
    for rank, (place, level) in enumerate(zip(order, levels, strict=True)):
        found[place] = min(max(level, low), top) + rank * gap
    return found
