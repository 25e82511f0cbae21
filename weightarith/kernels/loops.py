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

from weightarith.kernels.accounts import ACCOUNTS, CHANGED, CROSS, INTENDED, NONFINITE, REALISED
from weightarith.kernels.bits import room_for_doubles
from weightarith.kernels.conversions import Bytes, Doubles, Terms, change_tile, decode, encode
from weightarith.kernels.formats import NO_ANCHOR, TILE
from weightarith.kernels.shortcuts import GENERAL, case_of, fast_tile

_compiled = njit(nogil=True, error_model="numpy")
_any_order = njit(nogil=True, error_model="numpy", fastmath={"reassoc"})  # sums only reported


@_compiled
def add_product(change: Doubles, left: Doubles, right: Doubles, first: int, count: int) -> None:
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
    change, before = carray(room_for_doubles(), (TILE,)), carray(room_for_doubles(), (TILE,))
    total, inner = carray(room_for_doubles(), (TILE,)), carray(room_for_doubles(), (TILE,))
    nothing = carray(room_for_doubles(), (TILE,))
    nothing[:] = 0.0
    held = anchor != NO_ANCHOR
    case = (
        case_of(terms, anchor_code if held else NO_ANCHOR, added, out_code) if left.shape[1] == 0 else GENERAL
    )
    for start in range(0, count, TILE):
        size = min(TILE, count - start)
        if case != GENERAL and fast_tile(case, workspace, terms, anchor, out, start, size, account):
            continue
        if held:
            decode(workspace[anchor], anchor_code, start, size, before)
        change_tile(workspace, terms, 0, terms[3].size, before, start, size, change, inner, total)
        if left.shape[1]:
            add_product(change, left, right, first + start, size)
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

ENTRIES: dict[str, Callable[..., None]] = {
    "combine": _combine,
    "decode": _decode,
    "encode": _encode,
}
"""What can be called from outside."""
