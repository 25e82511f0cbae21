"""A second implementation of the sparsifiers and elections: plain numpy, element by element, no blocks.

It shares no code with the package, so that both would have to be wrong in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

WORD = 1 << 64


def vectors(count: int, shape: tuple[int, ...], seed: int = 0) -> list[Doubles]:
    """Return random vectors of unlike sizes."""
    random = np.random.default_rng(seed)
    return [random.standard_normal(shape) * 0.01 * (1 + number) for number in range(count)]


def trimmed(vector: Any, density: float) -> Doubles:
    """Return a vector with all but its largest elements zero."""
    found = np.asarray(vector, np.float64)
    if density <= 0 or found.size == 0:
        return np.zeros_like(found)
    sizes = sorted(np.abs(found).ravel(), reverse=True)
    kept = found.size if density >= 1 else max(1, int(density * found.size))
    return np.where(np.abs(found) >= sizes[kept - 1], found, 0.0)


def rescaled(kept: Doubles, whole: Any) -> Doubles:
    """Return what is kept with the L1 norm of the whole."""
    norm = np.abs(kept).sum()
    return kept * (np.abs(np.asarray(whole)).sum() / norm) if norm else kept


def election(parts: Sequence[Any], weights: Sequence[float], normalize: bool = True) -> Doubles:
    """Return the disjoint merge, one element after another."""
    shape = np.shape(parts[0])
    flat = [np.asarray(part, np.float64).ravel() for part in parts]
    result = np.zeros(flat[0].size)
    for place in range(result.size):
        votes = [weight * part[place] for weight, part in zip(weights, flat, strict=True)]
        total = sum(votes)
        winners = [number for number, vote in enumerate(votes) if vote * np.sign(total) > 0]
        size = sum(abs(weights[number]) for number in winners) if normalize else 1.0
        if winners:
            result[place] = sum(votes[number] for number in winners) / size
    return result.reshape(shape)


def drawn(key: int, seed: int, count: int) -> Doubles:
    """Return SplitMix64's numbers for the elements of a tensor, in whole numbers of any size."""
    gamma = 0x9E3779B97F4A7C15
    start = _mixed((key + gamma * (seed + 1)) % WORD)
    numbers = [_mixed((start + gamma * place) % WORD) >> 11 for place in range(1, count + 1)]
    return np.array(numbers, np.float64) / 2.0**53


def _mixed(number: int) -> int:
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    number = (number ^ (number >> 27)) * 0x94D049BB133111EB % WORD
    return number ^ (number >> 31)


def dropped(vector: Any, key: int, seed: int, density: float) -> Doubles:
    """Return a vector with elements dropped at random, not rescaled."""
    found = np.asarray(vector, np.float64)
    return np.where(drawn(key, seed, found.size).reshape(found.shape) < density, found, 0.0)
