"""The fused kernel of every linear expression: decode, multiply, add, round once, account.

`combine` works on one block of one tensor. Operands lie in the rows of a byte workspace, each in its own
format; sums are formed in float64, `TILE` elements at a time so that they stay in the first-level cache, and
rounded to the output format once. The order of operations per element is fixed and uses no fused
multiply-add, so bytes do not depend on threads, block size or device.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from weightarith.kernels.accounts import CHANGED, CROSS, INTENDED, NONFINITE, REALISED
from weightarith.kernels.bits import bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16, to_odd

BF16, F16, F32, F64 = 0, 1, 2, 3
CODES = {"BF16": BF16, "F16": F16, "F32": F32, "F64": F64}
"""Format codes of the kernels, by the dtype's code in the file."""

TILE = 1024
NO_ANCHOR = -1

Bytes = NDArray[np.uint8]
Doubles = NDArray[np.float64]

_compiled = njit(nogil=True, cache=True, error_model="numpy")
_any_order = njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc"})  # sums only reported


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
def _add_scaled(change: Doubles, operand: Doubles, coefficient: float, count: int) -> None:
    for i in range(count):
        change[i] += coefficient * operand[i]


@_compiled
def _add_product(change: Doubles, left: Doubles, right: Doubles, first: int, count: int) -> None:
    """Add elements `first … first + count` of `left @ right`, counted along its rows."""
    columns = right.shape[1]
    done = 0
    while done < count:
        row, column = (first + done) // columns, (first + done) % columns
        width = min(columns - column, count - done)
        target = change[done : done + width]
        for k in range(right.shape[0]):
            factor, source = left[row, k], right[k, column : column + width]
            for i in range(width):
                target[i] += factor * source[i]
        done += width


@_any_order
def _account(change: Doubles, before: Doubles, after: Doubles, count: int, account: Doubles) -> None:
    intended, realised, cross, changed, nonfinite = 0.0, 0.0, 0.0, 0, 0
    for i in range(count):
        wanted, got = change[i], after[i] - before[i]
        intended += wanted * wanted
        realised += got * got
        cross += wanted * got
        changed += after[i] != before[i]
        nonfinite += not np.isfinite(after[i])
    account[INTENDED] += intended
    account[REALISED] += realised
    account[CROSS] += cross
    account[CHANGED] += changed
    account[NONFINITE] += nonfinite


@_compiled
def combine(
    workspace: Bytes,  # (rows, bytes)
    rows: NDArray[np.int64],
    codes: NDArray[np.int64],
    coefficients: Doubles,
    anchor: int,
    anchor_code: int,
    left: Doubles,  # (rows of the block, rank)
    right: Doubles,  # (rank, columns)
    first: int,
    out: int,
    out_code: int,
    count: int,
    account: Doubles,
) -> None:
    """Write `anchor + Σ coefficient·operand + left @ right` to row `out`, and add to `account`.

    Where the added change is exactly zero the anchor passes unchanged, the sign of a zero included.

    Args:
        workspace: one operand, the anchor or the result a row; each row a multiple of 8 bytes.
        rows: the workspace row of each operand.
        codes: the format of each operand.
        coefficients: the multiplier of each operand.
        anchor: the row of the point the change is added to, or `NO_ANCHOR` for a bare change.
        anchor_code: its format.
        left: left factor of a low-rank change, coefficients and scaling folded in; no columns if there is none.
        right: right factor.
        first: where the block begins in the rows of `left`, in elements.
        out: the row to write.
        out_code: its format.
        count: elements of the block.
        account: `ACCOUNTS` sums, added to.
    """
    change, before, total = np.empty(TILE), np.zeros(TILE), np.empty(TILE)
    for start in range(0, count, TILE):
        size = min(TILE, count - start)
        change[:] = 0.0
        for k in range(rows.size):
            decode(workspace[rows[k]], codes[k], start, size, total)
            _add_scaled(change, total, coefficients[k], size)
        if left.shape[1]:
            _add_product(change, left, right, first + start, size)
        if anchor != NO_ANCHOR:
            decode(workspace[anchor], anchor_code, start, size, before)
        for i in range(size):
            total[i] = before[i] + change[i] if change[i] != 0.0 else before[i]
        encode(total, workspace[out], out_code, start, size)
        decode(workspace[out], out_code, start, size, total)
        _account(change, before, total, size, account)
