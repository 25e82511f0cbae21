"""The loops behind every linear expression: decode, multiply, add, round once, account.

Operands lie in the rows of a byte workspace, each in its own format; sums are formed in float64, `TILE`
elements at a time so that they stay in the first-level cache, and rounded to the output format once. The
order of operations per element is fixed and uses no fused multiply-add, so bytes do not depend on threads,
block size or device.

This is the source. `machine` compiles it, once a processor, and `linear` calls what came of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import carray, njit, types  # type: ignore[attr-defined]  # its stubs forget carray
from numpy.typing import NDArray

from weightarith.kernels import bfloat16
from weightarith.kernels.accounts import ACCOUNTS, CHANGED, CROSS, INTENDED, NONFINITE, REALISED
from weightarith.kernels.bits import bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16, to_odd
from weightarith.kernels.formats import BF16, F16, F32, NO_ANCHOR, TILE

Bytes = NDArray[np.uint8]
Doubles = NDArray[np.float64]

_compiled = njit(nogil=True, error_model="numpy")
_any_order = njit(nogil=True, error_model="numpy", fastmath={"reassoc"})  # sums only reported


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
        whole = right.shape[0] // 4 * 4  # four at a time: the target is loaded and stored a quarter as often
        for k in range(0, whole, 4):
            l0, l1, l2, l3 = left[row, k], left[row, k + 1], left[row, k + 2], left[row, k + 3]
            r0, r1 = right[k, column : column + width], right[k + 1, column : column + width]
            r2, r3 = right[k + 2, column : column + width], right[k + 3, column : column + width]
            for i in range(width):
                target[i] = (((target[i] + l0 * r0[i]) + l1 * r1[i]) + l2 * r2[i]) + l3 * r3[i]
        for k in range(whole, right.shape[0]):
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


GENERAL, SUM, DIFFERENCE = 0, 1, 2


@_compiled
def _case(codes: NDArray[np.int64], coefficients: Doubles, anchor_code: int, out_code: int) -> int:
    """Return which of the fast ways a block can go, `GENERAL` for none."""
    for k in range(codes.size):
        if codes[k] != BF16:
            return GENERAL
    if codes.size and anchor_code == BF16 and out_code == BF16:
        return SUM
    signs = codes.size == 2 and abs(coefficients[0]) == 1.0 and abs(coefficients[1]) == 1.0
    return DIFFERENCE if signs and anchor_code == NO_ANCHOR and out_code == F32 else GENERAL


@_compiled
def _sum_tile(
    workspace: Bytes,
    rows: NDArray[np.int64],
    coefficients: Doubles,
    anchor: int,
    out: int,
    start: int,
    size: int,
    change: Doubles,
    wanted: NDArray[np.float32],
    account: Doubles,
) -> bool:
    """Do one tile the fast way; return False, the account untouched, if it needs the general one."""
    stop = start + size
    raw = workspace[rows[0]].view(np.uint16)[start:stop]
    bfloat16.first_operand(raw, coefficients[0], change, size)
    for k in range(1, rows.size):
        raw = workspace[rows[k]].view(np.uint16)[start:stop]
        bfloat16.next_operand(raw, coefficients[k], change, size)
    held = workspace[anchor].view(np.uint16)[start:stop]
    written = workspace[out].view(np.uint16)[start:stop]
    bfloat16.round_tile(held, change, written, wanted, size)
    return bfloat16.account_tile(held, wanted, written, size, account)


@_compiled
def _difference_tile(
    workspace: Bytes,
    rows: NDArray[np.int64],
    coefficients: Doubles,
    out: int,
    start: int,
    size: int,
    account: Doubles,
) -> bool:
    """Do one tile the fast way; return False, the account untouched, if it needs the general one."""
    stop = start + size
    first = workspace[rows[0]].view(np.uint16)[start:stop]
    second = workspace[rows[1]].view(np.uint16)[start:stop]
    written = workspace[out].view(np.float32)[start:stop]
    return bfloat16.difference_tile(first, coefficients[0], second, coefficients[1], written, size, account)


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
    scratch: Doubles,  # (3, TILE)
    wanted: NDArray[np.float32],  # (TILE)
) -> None:
    """Do what `linear.combine` says, with room for three tiles of float64 and one of float32."""
    change, before, total = scratch[0], scratch[1], scratch[2]
    before[:] = 0.0
    case = GENERAL
    if left.shape[1] == 0:
        case = _case(codes, coefficients, anchor_code if anchor != NO_ANCHOR else NO_ANCHOR, out_code)
    for start in range(0, count, TILE):
        size = min(TILE, count - start)
        if case == SUM and _sum_tile(
            workspace, rows, coefficients, anchor, out, start, size, change, wanted, account
        ):
            continue
        if case == DIFFERENCE and _difference_tile(workspace, rows, coefficients, out, start, size, account):
            continue
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


def _combine(
    workspace: Any, stride: int, height: int, rows: Any, codes: Any, coefficients: Any, operands: int,
    anchor: int, anchor_code: int, left: Any, left_rows: int, right: Any, rank: int, columns: int,
    first: int, out: int, out_code: int, count: int, account: Any, scratch: Any, wanted: Any,
) -> None:  # fmt: skip
    combine(
        carray(workspace, (height, stride)), carray(rows, (operands,)), carray(codes, (operands,)),
        carray(coefficients, (operands,)), anchor, anchor_code, carray(left, (left_rows, rank)),
        carray(right, (rank, columns)), first, out, out_code, count, carray(account, (ACCOUNTS,)),
        carray(scratch, (3, TILE)), carray(wanted, (TILE,)),
    )  # fmt: skip


def _decode(row: Any, nbytes: int, code: int, start: int, count: int, out: Any) -> None:
    decode(carray(row, (nbytes,)), code, start, count, carray(out, (count,)))


def _encode(total: Any, row: Any, nbytes: int, code: int, start: int, count: int) -> None:
    encode(carray(total, (count,)), carray(row, (nbytes,)), code, start, count)


_pointer: Callable[[Any], Any] = types.CPointer
C_TYPES: dict[str, Any] = {
    "B": _pointer(types.uint8),
    "L": _pointer(types.int64),
    "D": _pointer(types.float64),
    "S": _pointer(types.float32),
    "i": types.int64,
    "d": types.float64,
}
"""What the letters of `formats.SIGNATURES` mean to Numba."""

ENTRIES: dict[str, Callable[..., None]] = {"combine": _combine, "decode": _decode, "encode": _encode}
"""What can be called from outside."""
