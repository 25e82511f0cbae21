"""The loops behind reductions over one block; the source, as `loops` is. `reduce` calls what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import carray, njit  # type: ignore[attr-defined]  # its stubs forget carray
from numpy.typing import NDArray

from weightarith.kernels.conversions import decode
from weightarith.kernels.formats import LARGEST, NONFINITE_ELEMENTS, SQUARES, SUMMARY, TILE, ZEROS

_WITHOUT_SIGN = np.int64(0x7FFF_FFFF_FFFF_FFFF)
_INFINITY = np.int64(0x7FF0_0000_0000_0000)  # the bits of it; those of every NaN are greater

_compiled = njit(nogil=True, error_model="numpy")
_any_order = njit(nogil=True, error_model="numpy", fastmath={"reassoc"})  # sums only reported


@_compiled
def summarise(
    row: NDArray[np.uint8],
    code: int,
    count: int,
    scale: float,
    summary: NDArray[np.float64],
    numbers: NDArray[np.float64],  # (TILE)
) -> None:
    """Do what `reduce.summarise` says, with room for one tile of float64."""
    for start in range(0, count, TILE):
        size = min(TILE, count - start)
        decode(row, code, start, size, numbers)
        largest, zeros = _extremes(numbers.view(np.int64), size)
        if largest >= _INFINITY:
            dropped = _drop_nonfinite(numbers, size)
            largest, zeros = _extremes(numbers.view(np.int64), size)
            zeros -= dropped
            summary[NONFINITE_ELEMENTS] += dropped
        summary[SQUARES] += _squares(numbers, size, scale)
        summary[LARGEST] = max(summary[LARGEST], np.int64(largest).view(np.float64))
        summary[ZEROS] += zeros


@_compiled
def _extremes(bits: NDArray[np.int64], size: int) -> tuple[np.int64, int]:
    """Return the bits of the largest magnitude and the number of zeros.

    Without its sign a float64 is ordered like the integer of the same bits, and integers are compared eight
    at a time where floats, for the sake of NaN, are not.
    """
    largest, zeros = np.int64(0), 0
    for i in range(size):
        magnitude = bits[i] & _WITHOUT_SIGN
        largest = max(largest, magnitude)
        zeros += magnitude == 0
    return largest, zeros


@_any_order
def _squares(numbers: NDArray[np.float64], size: int, scale: float) -> float:
    total = 0.0
    for i in range(size):
        total += (scale * numbers[i]) * (scale * numbers[i])
    return total


@_compiled
def _drop_nonfinite(numbers: NDArray[np.float64], size: int) -> int:
    """Put 0 in place of every NaN and infinity, and return how many there were."""
    dropped = 0
    for i in range(size):
        if not np.isfinite(numbers[i]):
            numbers[i] = 0.0
            dropped += 1
    return dropped


def _summarise(
    row: Any, nbytes: int, code: int, count: int, scale: float, summary: Any, numbers: Any
) -> None:
    summarise(
        carray(row, (nbytes,)), code, count, scale, carray(summary, (SUMMARY,)), carray(numbers, (TILE,))
    )


ENTRIES: dict[str, Callable[..., None]] = {"summarise": _summarise}
"""What can be called from outside."""
