"""Low-rank changes as pairs of arrays: added without loss, balanced without rounding, rounded once to a file.

`left @ right` is the change of a weight as the checkpoint stores it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weightarith.errors import IncompatibleError, NonFiniteError, quoted
from weightarith.kernels.linear import CODES, encode
from weightarith.tensorfile.dtypes import DType

Doubles = NDArray[np.float64]
Bytes = NDArray[np.uint8]

_OVERFLOWS = {"F16": 65520.0, "BF16": 2.0**127 * (2 - 2.0**-8), "F32": 2.0**127 * (2 - 2.0**-24)}
"""The least number that rounds to infinity."""


@dataclass(frozen=True, eq=False)
class Pair:
    """A low-rank change: `left @ right`."""

    left: Doubles  # (rows, rank)
    right: Doubles  # (rank, columns)

    def __post_init__(self) -> None:
        if self.left.ndim != 2 or self.right.ndim != 2 or self.left.shape[1] != self.right.shape[0]:
            raise IncompatibleError(
                f"two factors do not fit: {list(self.left.shape)} and {list(self.right.shape)}, "
                "expected (rows, rank) and (rank, columns)"
            )

    @property
    def rank(self) -> int:
        """The inner dimension."""
        return int(self.left.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the product."""
        return int(self.left.shape[0]), int(self.right.shape[1])


def side_by_side(terms: Sequence[tuple[float, Pair]]) -> Pair:
    """Return the sum of `coefficient · change` as one pair, whose rank is the sum of the ranks.

    Exact but for the products with the coefficients, which are folded into the left factor. PEFT calls this
    `cat`: https://huggingface.co/docs/peft/developer_guides/model_merging

    Raises:
        IncompatibleError: no terms, or two of different shapes.
    """
    shapes = {pair.shape for _, pair in terms}
    if len(shapes) != 1:
        raise IncompatibleError(f"changes of different shapes have no sum: {sorted(shapes)}")
    return Pair(
        np.concatenate([coefficient * pair.left for coefficient, pair in terms], axis=1),
        np.concatenate([pair.right for _, pair in terms], axis=0),
    )


def balanced(pair: Pair) -> Pair:
    """Return the same change, the columns on the left about as long as the rows on the right.

    What one side is multiplied by is a power of two and the other is divided by it, so nothing is rounded and
    small formats lose neither side to their range.
    """
    left, right = np.linalg.norm(pair.left, axis=0), np.linalg.norm(pair.right, axis=1)  # (rank,)
    live = (left > 0) & (right > 0) & np.isfinite(left) & np.isfinite(right)
    ratio = np.divide(right, left, out=np.ones_like(left), where=live)
    steps = np.rint(np.log2(ratio, out=np.zeros_like(ratio), where=np.isfinite(ratio) & (ratio > 0)) / 2)
    powers = steps.astype(np.int64)
    return Pair(np.ldexp(pair.left, powers), np.ldexp(pair.right, -powers[:, None]))


def padded(pair: Pair, rank: int) -> Pair:
    """Return the same change with factors of `rank`, filled up with zeros.

    Raises:
        IncompatibleError: its rank is above that.
    """
    more = rank - pair.rank
    if more < 0:
        raise IncompatibleError(f"a change of rank {pair.rank} does not fit in rank {rank}")
    return Pair(np.pad(pair.left, ((0, 0), (0, more))), np.pad(pair.right, ((0, more), (0, 0))))


def rounded(values: Doubles, dtype: DType, name: str) -> Bytes:
    """Return the bytes of `values`, row by row, each rounded once to the nearest of `dtype`, ties to even.

    Raises:
        NonFiniteError: one is NaN, infinite, or too large for the dtype.
    """
    flat = np.ascontiguousarray(values, np.float64).reshape(-1)
    fits = np.abs(flat) < _OVERFLOWS[dtype.code]
    if not fits.all():
        index = int(np.argmin(fits))
        raise NonFiniteError(
            f"{quoted(name)} holds {flat[index]} at element {index:,}, which {dtype.name} has no number for",
            hint="store the adapter as float32" if np.isfinite(flat[index]) else "",
        )
    row = np.zeros(-(-flat.size * dtype.bits // 64) * 8, np.uint8)
    encode(flat, row, CODES[dtype.code], 0, flat.size)
    return row[: dtype.nbytes(flat.size)]
