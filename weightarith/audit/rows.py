"""Both sides of a tensor in float64, some rows at a time: what every look at a change is made of.

What is NaN or infinite on either side is counted, and is 0 on both from then on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weightarith.audit.pairs import Pair
from weightarith.engine.files import Inputs, decoded
from weightarith.kernels.linear import CODES, decode
from weightarith.tensorfile.factored import Matrix
from weightarith.tensorfile.model import Stored

Doubles = NDArray[np.float64]

BLOCK = 1 << 17
"""Elements of a block, about: whole rows, one at least."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Some rows of a tensor.

    Attributes:
        first: the number of the first of them.
        before: weights, (rows, columns).
        change: what is added to them, (rows, columns).
        after: weights, (rows, columns).
        nonfinite: how many are NaN or infinite before, after, and after but not before.
    """

    first: int
    before: Doubles
    change: Doubles
    after: Doubles
    nonfinite: tuple[int, int, int]


def rows_of(pair: Pair, inputs: Inputs) -> Iterator[Rows]:
    """Yield a tensor of both models from its first row to its last."""
    rows, columns = pair.shape
    high = max(BLOCK // max(columns, 1), 1)
    read = _Changes(pair, inputs)
    for first in range(0, rows, high):
        shape = (min(high, rows - first), columns)
        yield read(first * columns, shape, first)


class _Changes:
    """The blocks of one pair; factors are read once."""

    def __init__(self, pair: Pair, inputs: Inputs) -> None:
        self._pair, self._inputs = pair, inputs
        factored = pair.after.factored if pair.after is not None else None
        self._left = _whole(factored.left, inputs) * factored.scale if factored is not None else None
        self._right = _whole(factored.right, inputs) if factored is not None else None

    def __call__(self, start: int, shape: tuple[int, int], first: int) -> Rows:
        """Return the block of a shape that starts at an element."""
        stored, piece = self._pair.before, self._pair.after
        before = _part(stored, start, shape, self._inputs) if stored is not None else np.zeros(shape)
        if piece is None:
            return _weights(first, before, before)
        kept = piece.replaced or piece.dense
        if self._pair.weights and kept is not None:
            return _weights(first, before, _part(kept, start, shape, self._inputs))
        change = self._change(start, shape, first)
        counts = _clean(before, change)
        return Rows(first, before, change, before + change, counts)

    def _change(self, start: int, shape: tuple[int, int], first: int) -> Doubles:
        piece = self._pair.after
        total = np.zeros(shape)
        if piece is None:
            return total
        if piece.dense is not None:
            total += _part(piece.dense, start, shape, self._inputs)
        if piece.encoded is not None:
            total += decoded(piece.encoded, start, shape[0] * shape[1], self._inputs).reshape(shape)
        if self._left is not None and self._right is not None:
            with np.errstate(all="ignore"):  # NaN is counted by whoever asked
                total += self._left[first : first + shape[0]] @ self._right
        return total


def _weights(first: int, before: Doubles, after: Doubles) -> Rows:
    counts = _clean(before, after)
    return Rows(first, before, after - before, after, counts)


def _clean(before: Doubles, after: Doubles) -> tuple[int, int, int]:
    """Put 0 in place of what is not finite on either side; return how many that is, as `Rows` has it."""
    broken = ~np.isfinite(before), ~np.isfinite(after)
    counts = tuple(int(np.count_nonzero(mask)) for mask in (*broken, broken[1] & ~broken[0]))
    for mask in broken if any(counts) else ():
        before[mask], after[mask] = 0.0, 0.0
    return counts[0], counts[1], counts[2]


def _part(stored: Stored, start: int, shape: tuple[int, int], inputs: Inputs) -> Doubles:
    dtype, count = stored.info.dtype, shape[0] * shape[1]
    raw = np.empty(-(-dtype.nbytes(count) // 8) * 8, np.uint8)
    inputs.read(stored, dtype.nbytes(start), raw.data[: dtype.nbytes(count)])
    numbers = np.empty(count)
    decode(raw, CODES[dtype.code], 0, count, numbers)
    return numbers.reshape(shape)


def _whole(matrix: Matrix, inputs: Inputs) -> Doubles:
    info = matrix.stored.info
    rows, columns = info.shape
    shaped = _part(matrix.stored, 0, (rows, columns), inputs)
    return shaped.T if matrix.transposed else shaped
