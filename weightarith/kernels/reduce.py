"""Reductions over one block: what `inspect` and norms need, summed in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weightarith.kernels.formats import LARGEST, SQUARES, SUMMARY, TILE, ZEROS
from weightarith.kernels.formats import NONFINITE_ELEMENTS as NONFINITE
from weightarith.kernels.machine import address, entries

__all__ = ["LARGEST", "NONFINITE", "SQUARES", "SUMMARY", "ZEROS", "summarise"]


def summarise(
    row: NDArray[np.uint8], code: int, count: int, scale: float, summary: NDArray[np.float64]
) -> None:
    """Add `count` elements of a row in format `code` to `summary`; what is not finite is only counted.

    Args:
        row: a block of bytes.
        code: the format of its elements.
        count: how many of them there are.
        scale: what they are multiplied by before they are squared.
        summary: `SUMMARY` numbers, added to.
    """
    numbers = np.empty(TILE)
    entries().summarise(address(row), row.size, code, count, scale, address(summary), address(numbers))
