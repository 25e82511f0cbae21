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
from weightarith.kernels.bits import (
    bf16_to_f32,
    f16_to_f32,
    f32_to_bf16,
    f32_to_f16,
    room_for_doubles,
    room_for_halves,
    room_for_singles,
    to_odd,
)
from weightarith.kernels.formats import BF16, F16, F32, NO_ANCHOR, TILE

Bytes = NDArray[np.uint8]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]
Terms = tuple[Integers, Integers, Doubles, Integers, Doubles, Doubles]
"""Rows, codes and signs of operands; ends, multipliers and origins of groups; see `linear.Terms`."""

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
def _case(terms: Terms, anchor_code: int, added: bool, out_code: int) -> int:
    """Return which of the fast ways a block can go, `GENERAL` for none."""
    _rows, codes, _signs, ends, multipliers, origins = terms
    for k in range(codes.size):
        if codes[k] != BF16:
            return GENERAL
    if added and codes.size and anchor_code == BF16 and out_code == BF16:
        return SUM
    plain = not added and ends.size == 1 and multipliers[0] == 1.0 and out_code == F32
    pair = codes.size == 2 and origins[0] == 0.0
    beside = codes.size == 1 and abs(origins[0]) == 1.0 and anchor_code == BF16
    return DIFFERENCE if plain and (pair or beside) else GENERAL


@_compiled
def _is_difference(terms: Terms, group: int) -> bool:
    """Return whether a group is one operand less another, or less the anchor."""
    _rows, _codes, signs, ends, _multipliers, origins = terms
    k = ends[group - 1] if group else 0
    if ends[group] - k == 2:
        return bool(origins[group] == 0.0 and signs[k] == -signs[k + 1])
    return bool(ends[group] - k == 1 and origins[group] == signs[k])


@_compiled
def _difference(
    workspace: Bytes, terms: Terms, anchor: int, start: int, size: int, group: int
) -> tuple[Any, Any, float]:
    """Return minuend, subtrahend and multiplier of such a group, the sign in the multiplier."""
    rows, _codes, signs, ends, multipliers, _origins = terms
    k = ends[group - 1] if group else 0
    minuend = workspace[rows[k]].view(np.uint16)[start : start + size]
    other = anchor if ends[group] - k == 1 else rows[k + 1]
    return minuend, workspace[other].view(np.uint16)[start : start + size], signs[k] * multipliers[group]


@_compiled
def _sum_tile(
    workspace: Bytes, terms: Terms, anchor: int, out: int, start: int, size: int, account: Doubles
) -> Any:
    """Do one tile of bfloat16 on bfloat16; return False, the account untouched, if it is not for this way."""
    wanted, made = carray(room_for_singles(), (TILE,)), carray(room_for_halves(), (TILE,))
    held = workspace[anchor].view(np.uint16)[start : start + size]
    groups, origins = terms[4].size, terms[5]
    if groups <= 2 and _is_difference(terms, 0) and _is_difference(terms, groups - 1):
        one, two, multiplier = _difference(workspace, terms, anchor, start, size, 0)
        three, four, factor = _difference(workspace, terms, anchor, start, size, groups - 1)
        if groups == 1 and origins[0] != 0.0:
            bfloat16.sum_from_anchor(one, multiplier, held, made, wanted, size)
        elif groups == 1:
            bfloat16.sum_of_difference(one, two, multiplier, held, made, wanted, size)
        elif origins[0] != 0.0 and origins[1] != 0.0:
            bfloat16.sum_of_two_from_anchor(one, multiplier, three, factor, held, made, wanted, size)
        else:
            bfloat16.sum_of_differences(one, two, multiplier, three, four, factor, held, made, wanted, size)
    else:
        change = carray(room_for_doubles(), (TILE,))
        _sum_change(workspace, terms, anchor, start, size, change)
        bfloat16.round_tile(held, change, made, wanted, size)
    if bfloat16.is_small(held, wanted, made, size):
        return False
    written = workspace[out].view(np.uint16)[start : start + size]
    for i in range(size):
        written[i] = made[i]
    return bfloat16.account_tile(held, wanted, made, size, account)


@_compiled
def _sum_change(workspace: Bytes, terms: Terms, anchor: int, start: int, size: int, change: Doubles) -> None:
    """Write the change that any number of bfloat16 operands make to `change`."""
    rows, _codes, signs, ends, multipliers, origins = terms
    inner = carray(room_for_doubles(), (TILE,))
    stop = start + size
    change[:size] = 0.0
    k = 0
    for group in range(ends.size):
        inner[:size] = 0.0
        while k < ends[group]:
            bfloat16.add_one(workspace[rows[k]].view(np.uint16)[start:stop], signs[k], inner, size)
            k += 1
        if origins[group] != 0.0:
            held = workspace[anchor].view(np.uint16)[start:stop]
            bfloat16.add_one(held, -origins[group], inner, size)
        _add_scaled(change, inner, multipliers[group], size)


@_compiled
def _difference_tile(
    workspace: Bytes, terms: Terms, anchor: int, out: int, start: int, size: int, account: Doubles
) -> bool:
    """Do one tile of a plain difference; return False, the account untouched, if it needs the general way."""
    rows, _codes, signs, _ends, _multipliers, origins = terms
    stop = start + size
    beside = rows.size == 1
    first = workspace[rows[0]].view(np.uint16)[start:stop]
    second = workspace[anchor if beside else rows[1]].view(np.uint16)[start:stop]
    sign = -origins[0] if beside else signs[1]
    written = workspace[out].view(np.float32)[start:stop]
    return bfloat16.difference_tile(first, signs[0], second, sign, written, size, account)


@_compiled
def _change(
    workspace: Bytes, terms: Terms, before: Doubles, start: int, size: int, change: Doubles,
    inner: Doubles, numbers: Doubles,
) -> None:  # fmt: skip
    """Write the change that operands of any format make to `change`; `before` holds the anchor."""
    rows, codes, signs, ends, multipliers, origins = terms
    change[:] = 0.0
    k = 0
    for group in range(ends.size):
        inner[:] = 0.0
        while k < ends[group]:
            decode(workspace[rows[k]], codes[k], start, size, numbers)
            _add_scaled(inner, numbers, signs[k], size)
            k += 1
        if origins[group] != 0.0:
            _add_scaled(inner, before, -origins[group], size)
        _add_scaled(change, inner, multipliers[group], size)


@_compiled
def combine(
    workspace: Bytes,  # (rows, bytes)
    terms: Terms,
    anchor: int,
    anchor_code: int,
    added: bool,
    left: Doubles,  # (rows of the block, rank)
    right: Doubles,  # (rank, columns)
    first: int,
    out: int,
    out_code: int,
    count: int,
    account: Doubles,
) -> None:
    """Do what `linear.combine` says."""
    change, before, total = (
        carray(room_for_doubles(), (TILE,)),
        carray(room_for_doubles(), (TILE,)),
        carray(room_for_doubles(), (TILE,)),
    )
    inner, nothing = carray(room_for_doubles(), (TILE,)), carray(room_for_doubles(), (TILE,))
    nothing[:] = 0.0
    held = anchor != NO_ANCHOR
    case = (
        _case(terms, anchor_code if held else NO_ANCHOR, added, out_code) if left.shape[1] == 0 else GENERAL
    )
    for start in range(0, count, TILE):
        size = min(TILE, count - start)
        if case == SUM and _sum_tile(workspace, terms, anchor, out, start, size, account):
            continue
        if case == DIFFERENCE and _difference_tile(workspace, terms, anchor, out, start, size, account):
            continue
        if held:
            decode(workspace[anchor], anchor_code, start, size, before)
        _change(workspace, terms, before, start, size, change, inner, total)
        if left.shape[1]:
            _add_product(change, left, right, first + start, size)
        origin = before if added else nothing
        for i in range(size):
            total[i] = origin[i] + change[i] if change[i] != 0.0 else origin[i]
        encode(total, workspace[out], out_code, start, size)
        decode(workspace[out], out_code, start, size, total)
        _account(change, origin, total, size, account)


def _combine(
    workspace: Any, stride: int, height: int, rows: Any, codes: Any, signs: Any, operands: int,
    ends: Any, multipliers: Any, origins: Any, groups: int, anchor: int, anchor_code: int, added: int,
    left: Any, left_rows: int, right: Any, rank: int, columns: int, first: int,
    out: int, out_code: int, count: int, account: Any,
) -> None:  # fmt: skip
    terms = (
        carray(rows, (operands,)), carray(codes, (operands,)), carray(signs, (operands,)),
        carray(ends, (groups,)), carray(multipliers, (groups,)), carray(origins, (groups,)),
    )  # fmt: skip
    combine(
        carray(workspace, (height, stride)), terms, anchor, anchor_code, added != 0,
        carray(left, (left_rows, rank)), carray(right, (rank, columns)), first, out, out_code, count,
        carray(account, (ACCOUNTS,)),
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
