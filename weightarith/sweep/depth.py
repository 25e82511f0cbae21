"""The layer at which activation steering does most: each is tried at the same cost.

The layer is chosen by the very questions that are then reported, as in arXiv 2511.05408: the search favours
activation steering, and the comparison leans towards the baseline.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from weightarith.evaluate import estimate
from weightarith.sweep.arm import Arm
from weightarith.sweep.matched import SIGNS, Direction, seek
from weightarith.sweep.walk import Walk

DEPTHS = (0.3, 0.4, 0.5, 0.6, 0.7)


@dataclass(frozen=True)
class Tried:
    """What one layer did in one direction; no gain where it cannot cost what was asked."""

    layer: int
    direction: Direction
    strength: float
    cost: float
    gain: float | None


def layers_of(count: int, depths: Sequence[float] = DEPTHS) -> tuple[int, ...]:
    """Return the layers at fractions of the depth of a model of `count` blocks, from 1 on."""
    return tuple(dict.fromkeys(min(max(round(depth * count), 1), count) for depth in depths))


def best_layer(
    walk: Walk,
    layers: Sequence[int],
    arm_at: Callable[[int], Arm],
    targets: Mapping[Direction, float],
    told: Callable[[str], None] = lambda _what: None,
) -> tuple[int, list[Tried]]:
    """Return the layer whose behaviour changes most at equal cost, directions added up, and what was tried.

    Args:
        walk: what measures; only the metrics of behaviour and cost are asked.
        layers: the candidates; the first of equals is taken.
        arm_at: the method at a layer.
        targets: the cost for each direction of interest.
        told: called with what is tried.
    """
    found: list[Tried] = []
    starts = dict.fromkeys(targets, 1.0)
    for layer in layers:
        arm = arm_at(layer)
        for direction, target in targets.items():
            told(arm.name)
            (sought,) = seek(walk, arm, target, direction, (), first=starts[direction])
            gain = None
            if sought.measured:
                starts[direction] = sought.match.strength
                gain = _gain(walk, arm, sought.strength)
            found.append(Tried(layer, direction, sought.strength, sought.match.cost, gain))
    scores = {layer: sum(one.gain or 0.0 for one in found if one.layer == layer) for layer in layers}
    return max(layers, key=lambda layer: scores[layer]), found


def _gain(walk: Walk, arm: Arm, strength: float) -> float | None:
    name = walk.prepared.suite.behaviour
    found = walk.value(arm, strength, name)
    change = found - estimate(walk.whole(None, 0.0).evaluation.outcomes[name]).value
    return change * (1 if strength > 0 else -1) if math.isfinite(change) else None


def targets_of(
    walk: Walk,
    chosen: Arm,
    strengths: Sequence[float],
    given: Sequence[float],
    directions: Sequence[Direction],
) -> dict[Direction, float]:
    """Return at what cost layers are compared: the first that is matched, else what the chosen method costs.

    Its cost is taken at the strength nearest to 1 of those walked.
    """
    if given:
        return dict.fromkeys(directions, given[0])
    found: dict[Direction, float] = {}
    for direction in directions:
        own = [k for k in strengths if k * SIGNS[direction] > 0]
        found[direction] = walk.cost(chosen, min(own, key=lambda k: (abs(abs(k) - 1), abs(k))))
    return {direction: cost for direction, cost in found.items() if cost > 0}
