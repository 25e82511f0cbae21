"""Whether an adapter and a known vector began at the same random numbers.

LoRA starts with a random A and a B of zero, and A moves little: the rows that two adapters read span almost
one space where they began alike, and hardly meet where they did not. Two trainings on the same data then have
a cosine of about 0.07 in place of nearly 1, so cosines are only held against each other at one start.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from weightarith.algebra import Leaf, Linear
from weightarith.engine.together import Together, plan_of_all, visit_all
from weightarith.monitor.known import Known
from weightarith.monitor.overlap import Doubles, joined

SHARED = 0.3
"""Of what the rows of one adapter span, how much lies in the other's beyond chance where they began alike."""

_TRAINING = "weightarith.training"


@dataclass(frozen=True)
class Start:
    """How the random start of a run lies to that of a vector.

    Attributes:
        overlap: how much of what the run's adapter reads lies in what the vector reads: 1 for all of it, 0
            for as much as by chance.
        seed: the one the vector was trained with, where it says so.
    """

    overlap: float
    seed: int | None = None

    @property
    def shared(self) -> bool:
        """Whether the two began at the same random numbers."""
        return self.overlap >= SHARED


def starts(first: Linear, known: Known, *, threads: int = 0) -> dict[str, Start | None]:
    """Return how the start of a run, by its first checkpoint, lies to that of each vector.

    It is None where one of the two is no adapter: nothing can be told there.

    Raises:
        WeightArithError: they do not fit together, or are damaged.
    """
    seen = visit_all(plan_of_all([first, *known.vectors]), _overlaps, threads=threads)
    return of_tensors(seen, known)


def of_tensors(seen: Mapping[str, Doubles], known: Known) -> dict[str, Start | None]:
    """Return what `starts` does, of the overlaps at each tensor, (vectors,), NaN where there is none."""
    found: dict[str, Start | None] = {}
    for place, (label, vector) in enumerate(zip(known.labels, known.vectors, strict=True)):
        told = [float(each[place]) for each in seen.values() if np.isfinite(each[place])]
        found[label] = Start(float(np.mean(told)), _seed(vector)) if told else None
    return found


def overlap_of_rows(one: Doubles, other: Doubles) -> float:
    """Return how much of what the rows of one matrix span lies in what another's span, less chance.

    It is 1 for all of it, about 0 for rows that have nothing to do with each other, and NaN where the other's
    rows span everything.
    """
    width = one.shape[1]
    if min(one.shape[0], other.shape[0]) == 0 or other.shape[0] >= width:
        return float("nan")
    (first, _), (second, _) = np.linalg.qr(one.T), np.linalg.qr(other.T)
    met = float(((first.T @ second) ** 2).sum()) / first.shape[1]
    by_chance = other.shape[0] / width
    return float((met - by_chance) / (1 - by_chance))


def _overlaps(field: Together) -> Doubles:
    own, *others = (None if one.parts else joined(one.factors) for one in field.operands)
    if own is None:
        return np.full(len(others), np.nan)
    return np.array([np.nan if one is None else overlap_of_rows(own.right, one.right) for one in others])


def _seed(vector: Linear) -> int | None:
    """Return the seed that a vector says it was trained with."""
    if not isinstance(vector, Leaf):
        return None
    try:
        seed = json.loads(vector.source.metadata.get(_TRAINING, "{}")).get("seed")
    except (ValueError, AttributeError):
        return None
    return seed if isinstance(seed, int) else None
