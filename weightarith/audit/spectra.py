"""Singular values of a change: all of a small matrix, the largest of a large one from a random sketch.

What rounding alone would leave has an edge: noise of independent elements has no singular value much above
the largest norm of a row plus the largest of a column, in expectation. Values above it are signal, and how
many they are is the rank. Bandeira and van Handel (2016), theorem 3.1, https://doi.org/10.1214/15-AOP1025
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weightarith.geometry import effective_rank

Doubles = NDArray[np.float64]
Blocks = Callable[[], Iterator[tuple[int, Doubles]]]
"""What reads a change from its first row to its last: the number of a block's first row, and the block."""

WHOLE = 1 << 22
"""Elements of the largest matrix that is decomposed whole, 32 MiB."""

KEPT = 64
"""Largest singular values that are kept."""

LOW = 8
"""The highest rank that is called low; an adapter usually has more."""

_HELD, _CLEAR = 0.5, 3.0  # share of the squared change, and how much larger than the next value
_SKETCH = KEPT + 16
_ABOVE = 1.1  # of the edge: what counts as more than rounding
_SMALLEST = 1e-7  # of the largest value: what a Gram matrix in float64 can still tell from zero


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Singular values of a change.

    Attributes:
        values: the largest, at most `KEPT`, largest first.
        side: the shorter side of the matrix: how many there are.
        energy: the sum of the squares of all of them.
        edge: the largest value that rounding alone would leave.
        effective: the effective rank; an upper bound where `exact` is false, for what is not known of the
            tail is taken to be flat.
        exact: whether the values are those of the matrix itself, not of a sketch.
    """

    values: tuple[float, ...]
    side: int
    energy: float
    edge: float
    effective: float
    exact: bool

    @property
    def stable(self) -> float:
        """The stable rank: the squared norm over the largest value's square; 0 of a zero matrix."""
        return self.energy / self.values[0] ** 2 if self.values and self.values[0] else 0.0

    @property
    def rank(self) -> int:
        """How many of the values kept are above what rounding leaves."""
        floor = max(_ABOVE * self.edge, _SMALLEST * self.values[0]) if self.values else 0.0
        return sum(value > floor for value in self.values)

    @property
    def full(self) -> bool:
        """Whether the rank may be higher than is known: all values kept are above the edge."""
        return self.rank == len(self.values) and self.side > len(self.values)

    @property
    def low(self) -> int:
        """The rank of a change that is of low rank, at most `LOW`; 0 of one that is not.

        It is where the first half of the squared change is reached and the next value is much smaller.
        """
        for place in range(1, min(LOW, max(self.side // 4, 1)) + 1):
            if self.held(place) >= _HELD and self.rank >= place and self.gap(place) >= _CLEAR:
                return place
        return 0

    def held(self, rank: int) -> float:
        """Return the share of the squared change in the first `rank` values, 0 to 1."""
        return sum(value**2 for value in self.values[:rank]) / self.energy if self.energy else 0.0

    def gap(self, place: int) -> float:
        """Return how much larger value number `place` is than the next, or than the edge if that is more."""
        if place > len(self.values) or not self.values[0]:
            return 1.0
        following = self.values[place] if place < len(self.values) else 0.0
        least = max(following, self.edge, _SMALLEST * self.values[0])
        return max(self.values[place - 1] / least, 1.0)


def edge_of(rows: Doubles, columns: Doubles) -> float:
    """Return the largest singular value of noise, of its energy in each row and in each column."""
    return math.sqrt(float(rows.max(initial=0.0))) + math.sqrt(float(columns.max(initial=0.0)))


def whole(matrix: Doubles, edge: float) -> Spectrum:
    """Return the spectrum of a matrix in memory; `edge` is what rounding alone would leave."""
    rows, columns = matrix.shape
    products = matrix @ matrix.T if rows <= columns else matrix.T @ matrix
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(products)[::-1], 0.0))
    values[values < _SMALLEST * 0.1 * values[0]] = 0.0
    energy = float(np.trace(products))
    kept = tuple(float(value) for value in values[:KEPT])
    return Spectrum(kept, values.size, energy, edge, effective_rank(values), exact=True)


def sketched(blocks: Blocks, shape: tuple[int, int], edge: float, energy: float, seed: int) -> Spectrum:
    """Return the largest singular values of a matrix that is read three times, a block at a time.

    Halko, Martinsson and Tropp (2011), algorithm 4.4 with one and a half power iterations,
    https://doi.org/10.1137/090771806

    Args:
        blocks: reads the matrix.
        shape: of it.
        edge: the largest value that rounding alone would leave.
        energy: its squared norm.
        seed: of the random vectors.
    """
    rows, columns = shape
    size = min(_SKETCH, rows, columns)
    basis = np.random.default_rng(seed).standard_normal((columns, size))
    left = np.linalg.qr(_times(blocks, basis, rows))[0]
    right = np.zeros((columns, size))
    for first, block in blocks():
        right += block.T @ left[first : first + block.shape[0]]
    seen = np.linalg.qr(_times(blocks, np.linalg.qr(right)[0], rows), mode="r")
    values = np.linalg.svd(seen, compute_uv=False)
    values = values[: min(KEPT, values.size)]
    side = min(rows, columns)
    rest = max(energy - float(values @ values), 0.0)
    tail = np.full(side - values.size, math.sqrt(rest / max(side - values.size, 1)))
    effective = effective_rank(np.concatenate([values, tail]))
    return Spectrum(tuple(float(value) for value in values), side, energy, edge, effective, exact=False)


def _times(blocks: Blocks, right: Doubles, rows: int) -> Doubles:
    found = np.zeros((rows, right.shape[1]))
    for first, block in blocks():
        found[first : first + block.shape[0]] = block @ right
    return found
