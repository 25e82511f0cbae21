"""Numbers in and out of the rows of a workspace, in whatever format they lie there; source, as `loops` is."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from weightarith.kernels.bits import bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16, to_odd
from weightarith.kernels.formats import BF16, F16, F32

Bytes = NDArray[np.uint8]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]
Terms = tuple[Integers, Integers, Doubles, Integers, Doubles, Doubles]
"""Rows, codes and signs of operands; ends, multipliers and origins of groups; see `linear.Terms`."""

_compiled = njit(nogil=True, error_model="numpy")


@_compiled
def decode(row: Bytes, code: int, start: int, count: int, out: Doubles) -> None:
    """Write elements `start … start + count` of a workspace row to `out` as float64."""
    if code == BF16:
        halves = row.view(np.uint16)[start : start + count]
        for i in range(count):
            out[i] = np.float64(bf16_to_f32(halves[i]))
    elif code == F16:
        halves = row.view(np.uint16)[start : start + count]
        for i in range(count):
            out[i] = np.float64(f16_to_f32(halves[i]))
    elif code == F32:
        singles = row.view(np.float32)[start : start + count]
        for i in range(count):
            out[i] = np.float64(singles[i])
    else:
        doubles = row.view(np.float64)[start : start + count]
        for i in range(count):
            out[i] = doubles[i]


@_compiled
def encode(total: Doubles, row: Bytes, code: int, start: int, count: int) -> None:
    """Round `count` numbers to a workspace row, from element `start` on."""
    if code == BF16:
        halves = row.view(np.uint16)[start : start + count]
        for i in range(count):
            halves[i] = f32_to_bf16(to_odd(total[i]))
    elif code == F16:
        halves = row.view(np.uint16)[start : start + count]
        for i in range(count):
            halves[i] = f32_to_f16(to_odd(total[i]))
    elif code == F32:
        singles = row.view(np.float32)[start : start + count]
        for i in range(count):
            singles[i] = np.float32(total[i])
    else:
        doubles = row.view(np.float64)[start : start + count]
        for i in range(count):
            doubles[i] = total[i]


@_compiled
def add_scaled(change: Doubles, operand: Doubles, coefficient: float, count: int) -> None:
    """Add `coefficient · operand` to `change`."""
    for i in range(count):
        change[i] += coefficient * operand[i]


@_compiled
def change_tile(
    workspace: Bytes, terms: Terms, first: int, last: int, before: Doubles, start: int, size: int,
    change: Doubles, inner: Doubles, numbers: Doubles,
) -> None:  # fmt: skip
    """Write the change that groups `first …` up to `last` make to `change`; `before` holds the anchor.

    Of groups that are not measured from an anchor `before` is never read.
    """
    rows, codes, signs, ends, multipliers, origins = terms
    change[:size] = 0.0
    k = ends[first - 1] if first else 0
    for group in range(first, last):
        inner[:] = 0.0
        while k < ends[group]:
            decode(workspace[rows[k]], codes[k], start, size, numbers)
            add_scaled(inner, numbers, signs[k], size)
            k += 1
        if origins[group] != 0.0:
            add_scaled(inner, before, -origins[group], size)
        add_scaled(change, inner, multipliers[group], size)
