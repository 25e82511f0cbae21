"""Thresholds and sign election on arrays in memory, each in one go through the numbers.

Thin callers of machine code, as in `linear`; the loops themselves are in `votes`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from weightarith.kernels.machine import address, entries

__all__ = ["between", "elect"]

Doubles = NDArray[np.float64]


def elect(
    values: Doubles,  # (operands, elements)
    least: Sequence[float],
    factors: Sequence[float],
    weights: Sequence[float],
    shares: Sequence[float],
    *,
    normalize: bool,
    plus: bool,
) -> Doubles:
    """Return the disjoint merge of operands, of which only what is large enough counts.

    Args:
        values: an operand a row, contiguous.
        least: the smallest magnitude of each operand that stays.
        factors: what stays is multiplied by this first.
        weights: then by this; the sum of it all elects the sign.
        shares: what each operand adds to the divisor where it has the sign elected.
        normalize: whether to divide by the sum of the shares, unless that is 0.
        plus: whether a sum of zero elects plus, not nothing.
    """
    out = np.empty(values.shape[1])
    each = [np.array(one, np.float64) for one in (least, factors, weights, shares)]
    entries().elect(address(values), *values.shape, *map(address, each), normalize, plus, address(out))
    return out


def between(
    numbers: Doubles, low: float, high: float, kept: Doubles, *, sizes: bool = False
) -> tuple[int, int, int, int]:
    """Return how many numbers are above `high`, equal to it, equal to `low`, and between the two.

    Args:
        numbers: contiguous.
        low: a number.
        high: a larger one, or the same.
        kept: where those that lie between are put, in their order; it has room for one more than there are
            numbers.
        sizes: whether it is about their magnitudes.
    """
    counts = np.zeros(4, np.int64)
    entries().between(address(numbers), numbers.size, low, high, sizes, address(counts), address(kept))
    above, at_high, at_low, inside = counts.tolist()
    return above, at_high, at_low, inside
