"""Which blocks can go a faster way, and how they go it; source, as `loops` is.

Every way here gives the bytes of the general one in `loops`, or gives a tile back to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit  # type: ignore[attr-defined]  # its stubs forget carray

from weightarith.kernels import bfloat16
from weightarith.kernels.bits import room_for_doubles, room_for_halves, room_for_singles
from weightarith.kernels.conversions import Bytes, Doubles, Terms, add_scaled
from weightarith.kernels.formats import BF16, F32, F64, TILE

_compiled = njit(nogil=True, error_model="numpy")

GENERAL, SUM, DIFFERENCE, ADDITION = 0, 1, 2, 3


@_compiled
def case_of(terms: Terms, anchor_code: int, added: bool, out_code: int) -> int:
    """Return which of the fast ways a block can go, `GENERAL` for none."""
    _rows, codes, _signs, ends, multipliers, origins = terms
    if added and anchor_code == BF16 and out_code == BF16 and codes.size == 1 and codes[0] == F64:
        return ADDITION if origins[0] == 0.0 else GENERAL
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
def _is_blend(terms: Terms) -> bool:
    """Return whether it is one operand by itself, and beside it the anchor."""
    _rows, codes, _signs, ends, _multipliers, origins = terms
    return bool(codes.size == 1 and ends.size == 2 and ends[0] == 1 and origins[0] == 0.0)


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
def sum_tile(
    workspace: Bytes, terms: Terms, anchor: int, out: int, start: int, size: int, account: Doubles
) -> Any:
    """Do one tile of bfloat16 on bfloat16; return False, the account untouched, if it is not for this way."""
    wanted, made = carray(room_for_singles(), (TILE,)), carray(room_for_halves(), (TILE,))
    held = workspace[anchor].view(np.uint16)[start : start + size]
    groups, origins = terms[4].size, terms[5]
    if _is_blend(terms):
        one = workspace[terms[0][0]].view(np.uint16)[start : start + size]
        multiplier, share = terms[4][0] * terms[2][0], -terms[4][1] * origins[1]
        bfloat16.sum_of_blend(one, multiplier, share, held, made, wanted, size)
    elif groups <= 2 and _is_difference(terms, 0) and _is_difference(terms, groups - 1):
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
def addition_tile(
    workspace: Bytes, terms: Terms, anchor: int, out: int, start: int, size: int, account: Doubles
) -> Any:
    """Do one tile of float64 on bfloat16; return False, the account untouched, if it is not for this way."""
    wanted, made = carray(room_for_singles(), (TILE,)), carray(room_for_halves(), (TILE,))
    change = carray(room_for_doubles(), (TILE,))
    rows, _codes, signs, _ends, multipliers, _origins = terms
    held = workspace[anchor].view(np.uint16)[start : start + size]
    added = workspace[rows[0]].view(np.float64)[start : start + size]
    sign, multiplier = signs[0], multipliers[0]
    for i in range(size):
        change[i] = 0.0 + multiplier * (0.0 + sign * added[i])
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
        add_scaled(change, inner, multipliers[group], size)


@_compiled
def difference_tile(
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
def fast_tile(
    case: int, workspace: Bytes, terms: Terms, anchor: int, out: int, start: int, size: int, account: Doubles
) -> Any:
    """Do one tile the way of its case; return False, the account untouched, if it needs the general way."""
    if case == SUM:
        return sum_tile(workspace, terms, anchor, out, start, size, account)
    if case == DIFFERENCE:
        return difference_tile(workspace, terms, anchor, out, start, size, account)
    return addition_tile(workspace, terms, anchor, out, start, size, account)
