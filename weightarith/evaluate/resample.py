"""The bootstrap of items: 2,000 resamples with one seed, all of them at once.

Resamples are the same for every outcome of so many items, so that two models are resampled alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from weightarith.evaluate.pooled import Statistic

RESAMPLES, SEED = 2000, 0
AT_A_TIME = 4_000_000  # numbers in memory
PERCENTILES = {"p95": 0.95, "p99": 0.99}

Floats = NDArray[np.float64]


def mean_draws(values: Floats) -> Floats:
    """Return the mean of each resample of values, (resamples,)."""
    n = len(values)
    return np.concatenate([chosen @ values / n for chosen in _multiplicities(n, n)])


def statistic_draws(statistic: Statistic, tokens: Sequence[Sequence[float]]) -> Floats:
    """Return the statistic of the tokens of each resample of items, (resamples,)."""
    counts = np.array([len(one) for one in tokens], dtype=np.float64)
    width = int(counts.sum())
    if statistic == "exp mean":
        sums = np.array([sum(one) for one in tokens])
        chunks = [np.exp((n @ sums) / (n @ counts)) for n in _multiplicities(len(tokens), width)]
        return np.concatenate(chunks)
    values = np.array([number for one in tokens for number in one])
    order = np.argsort(values, kind="stable")
    owners = np.repeat(np.arange(len(tokens)), counts.astype(int))[order]
    found = []
    for chosen in _multiplicities(len(tokens), width):
        below = np.cumsum(chosen[:, owners], axis=1)  # (resamples, tokens): how many are no greater
        wanted = np.ceil(PERCENTILES[statistic] * below[:, -1:])
        found.append(values[order][(below < wanted).sum(axis=1)])
    return np.concatenate(found)


def statistic_of(statistic: Statistic, tokens: Sequence[Sequence[float]]) -> float:
    """Return the statistic of all tokens.

    A percentile is the least number that so many of all are no greater than: one of them, never between two.
    """
    values = np.sort(np.array([number for one in tokens for number in one]))
    if statistic == "exp mean":
        return float(np.exp(values.mean()))
    return float(values[int(np.ceil(PERCENTILES[statistic] * len(values))) - 1])


def _multiplicities(items: int, width: int) -> list[Floats]:
    """Return how often each item is in each resample, in arrays of (some resamples, items)."""
    rng = np.random.default_rng(SEED)
    found = []
    step = max(1, AT_A_TIME // max(width, 1))
    for start in range(0, RESAMPLES, step):
        rows = min(step, RESAMPLES - start)
        drawn = rng.integers(0, items, (rows, items)) + items * np.arange(rows)[:, None]
        counted = np.bincount(drawn.ravel(), minlength=rows * items)
        found.append(counted.reshape(rows, items).astype(np.float64))
    return found
