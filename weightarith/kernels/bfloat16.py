"""The common cases made fast: bfloat16 operands on a bfloat16 anchor, and their plain differences.

Same sums in the same order as `linear.combine`, and so the same bytes; what it saves are general conversions
and float64 accounts. A tile that meets a number it is not made for (NaN, overflow, a result too small to be
normal) is given back, to be done the general way.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from weightarith.kernels.bits import bf16_to_f32, normal_to_bf16

Halves = NDArray[np.uint16]
Singles = NDArray[np.float32]
Doubles = NDArray[np.float64]

_ZERO = np.float32(0)
_EXPONENT = np.uint16(0x7F80)
_NORMAL = np.float32(2.0**-126)  # the smallest normal bfloat16
_TINY = np.float32(2.0**-60)
# inlined, so that it shows to whom a tile belongs; see `bits.room_for_halves`
_compiled = njit(nogil=True, error_model="numpy", forceinline=True)
_any_order = njit(
    nogil=True, error_model="numpy", fastmath={"reassoc"}, forceinline=True
)  # sums only reported


@_compiled
def sum_of_difference(
    one: Halves, two: Halves, multiplier: float, anchor: Halves, out: Halves, wanted: Singles, count: int
) -> None:
    """Write `anchor + change`, rounded, to `out`, and `change` to `wanted`.

    The change is `multiplier · (one − two)`; one of zero leaves the anchor's bits.
    """
    for i in range(count):
        inner = np.float64(bf16_to_f32(one[i])) - np.float64(bf16_to_f32(two[i]))
        change = multiplier * inner + 0.0  # −0 becomes 0
        before = np.float64(bf16_to_f32(anchor[i]))
        out[i] = normal_to_bf16(before + change if change != 0.0 else before)
        wanted[i] = np.float32(change)


@_compiled
def sum_of_differences(
    one: Halves, two: Halves, multiplier: float, three: Halves, four: Halves, factor: float,
    anchor: Halves, out: Halves, wanted: Singles, count: int,
) -> None:  # fmt: skip
    """Do the same for the change `multiplier · (one − two) + factor · (three − four)`.

    One loop for both, so that nothing between them goes through memory, takes half the time.
    """
    for i in range(count):
        inner = np.float64(bf16_to_f32(one[i])) - np.float64(bf16_to_f32(two[i]))
        other = np.float64(bf16_to_f32(three[i])) - np.float64(bf16_to_f32(four[i]))
        change = multiplier * inner + 0.0 + factor * other
        before = np.float64(bf16_to_f32(anchor[i]))
        out[i] = normal_to_bf16(before + change if change != 0.0 else before)
        wanted[i] = np.float32(change)


@_compiled
def sum_from_anchor(
    one: Halves, multiplier: float, anchor: Halves, out: Halves, wanted: Singles, count: int
) -> None:
    """Do the same for the change `multiplier · (one − anchor)`, which needs the anchor once."""
    for i in range(count):
        before = np.float64(bf16_to_f32(anchor[i]))
        change = multiplier * (np.float64(bf16_to_f32(one[i])) - before) + 0.0
        out[i] = normal_to_bf16(before + change if change != 0.0 else before)
        wanted[i] = np.float32(change)


@_compiled
def sum_of_two_from_anchor(
    one: Halves, multiplier: float, two: Halves, factor: float, anchor: Halves, out: Halves,
    wanted: Singles, count: int,
) -> None:  # fmt: skip
    """Do the same for the change `multiplier · (one − anchor) + factor · (two − anchor)`."""
    for i in range(count):
        before = np.float64(bf16_to_f32(anchor[i]))
        change = multiplier * (np.float64(bf16_to_f32(one[i])) - before) + 0.0
        change += factor * (np.float64(bf16_to_f32(two[i])) - before)
        out[i] = normal_to_bf16(before + change if change != 0.0 else before)
        wanted[i] = np.float32(change)


@_compiled
def sum_of_blend(
    one: Halves, multiplier: float, share: float, anchor: Halves, out: Halves, wanted: Singles, count: int
) -> None:
    """Do the same for the change `multiplier · one + share · anchor`, as spherical means make it."""
    for i in range(count):
        before = np.float64(bf16_to_f32(anchor[i]))
        change = multiplier * np.float64(bf16_to_f32(one[i])) + 0.0
        change += share * before
        out[i] = normal_to_bf16(before + change if change != 0.0 else before)
        wanted[i] = np.float32(change)


@_compiled
def add_one(raw: Halves, sign: float, inner: Doubles, count: int) -> None:
    """Add `sign · raw` to `inner`."""
    for i in range(count):
        inner[i] += sign * np.float64(bf16_to_f32(raw[i]))


@_compiled
def round_tile(anchor: Halves, change: Doubles, out: Halves, wanted: Singles, count: int) -> None:
    """Write `anchor + change`, rounded, to `out`, and `change` to `wanted`.

    A change of zero leaves the anchor's bits.
    """
    for i in range(count):
        before = np.float64(bf16_to_f32(anchor[i]))
        out[i] = normal_to_bf16(before + change[i] if change[i] != 0.0 else before)
        wanted[i] = np.float32(change[i])


@_any_order
def is_small(anchor: Halves, wanted: Singles, out: Halves, count: int) -> bool:
    """Return whether a changed result is too small to be normal, and so may be rounded wrong.

    Where the anchor is not tiny itself, such a result is zero and right: in float64 a difference of numbers
    that large is zero or far above 2⁻¹²⁶.
    """
    suspect = np.uint16(0)
    for i in range(count):
        suspect |= np.uint16((out[i] & _EXPONENT) == 0)
    if suspect == 0:  # as good as always: the next loop is the slower one
        return False
    small = _ZERO
    for i in range(count):
        tiny = (abs(bf16_to_f32(out[i])) < _NORMAL) & (abs(bf16_to_f32(anchor[i])) < _TINY)
        small += np.float32(tiny & (wanted[i] != _ZERO))
    return bool(small != _ZERO)


@_any_order
def account_tile(anchor: Halves, wanted: Singles, out: Halves, count: int, sums: Doubles) -> bool:
    """Add intended², realised², their product and the elements changed to `sums`.

    Returns:
        Whether all of it is finite; if not, `sums` is untouched.
    """
    intended, realised, cross, changed = _ZERO, _ZERO, _ZERO, _ZERO
    for i in range(count):
        got = bf16_to_f32(out[i]) - bf16_to_f32(anchor[i])
        intended += wanted[i] * wanted[i]
        realised += got * got
        cross += wanted[i] * got
        changed += np.float32(got != _ZERO)
    if not np.isfinite(intended + realised):
        return False
    sums[0] += intended
    sums[1] += realised
    sums[2] += cross
    sums[3] += changed
    return True


@_any_order
def difference_tile(
    first: Halves,
    first_sign: float,
    second: Halves,
    second_sign: float,
    out: Singles,
    count: int,
    sums: Doubles,
) -> bool:
    """Write `±first ± second` to `out` as float32, the signs being 1 or −1, and add to `sums` as above.

    One float32 addition of two bfloat16 numbers is rounded once, so float64 has nothing to add to it.

    Returns:
        Whether all of it is finite; if not, `sums` is untouched.
    """
    squares, changed = _ZERO, _ZERO
    one, two = np.float32(first_sign), np.float32(second_sign)
    for i in range(count):
        moved = one * bf16_to_f32(first[i]) + two * bf16_to_f32(second[i]) + _ZERO  # −0 becomes 0
        out[i] = moved
        squares += moved * moved
        changed += np.float32(moved != _ZERO)
    if not np.isfinite(squares):
        return False
    sums[0] += squares
    sums[1] += squares
    sums[2] += squares
    sums[3] += changed
    return True
