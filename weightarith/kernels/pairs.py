"""The loops behind two rows compared: sums of squares and products in one go; source, as `loops` is.

Every product is formed and summed in float64, straight from the bytes. The order of the sums is one for a
processor, and not that of other kernels, so what is reported may rest on them and what is written must not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import carray, njit  # type: ignore[attr-defined]  # its stubs forget carray
from numpy.typing import NDArray

from weightarith.kernels.bits import plus_product, room_for_doubles, to_f64
from weightarith.kernels.conversions import Bytes, Doubles, decode
from weightarith.kernels.formats import BF16, F32, FIRST, PAIR, SECOND, THIRD, TILE

_compiled = njit(nogil=True, error_model="numpy")
_any_order = njit(nogil=True, error_model="numpy", fastmath={"reassoc"})  # sums only reported

Row = NDArray[Any]


@_any_order
def _with_cross(one: Row, other: Row, size: int) -> tuple[float, float, float]:
    first, second, cross = 0.0, 0.0, 0.0
    for i in range(size):
        x, y = to_f64(one[i]), to_f64(other[i])
        first = plus_product(first, x, x)
        second = plus_product(second, y, y)
        cross = plus_product(cross, x, y)
    return first, second, cross


@_any_order
def _with_apart(one: Row, other: Row, size: int) -> tuple[float, float, float]:
    first, second, apart = 0.0, 0.0, 0.0
    for i in range(size):
        x, y = to_f64(one[i]), to_f64(other[i])
        first = plus_product(first, x, x)
        second = plus_product(second, y, y)
        apart = plus_product(apart, x - y, x - y)
    return first, second, apart


@_any_order
def _from_base(one: Row, other: Row, base: Row, size: int) -> tuple[float, float, float]:
    first, second, cross = 0.0, 0.0, 0.0
    for i in range(size):
        origin = to_f64(base[i])
        x, y = to_f64(one[i]) - origin, to_f64(other[i]) - origin
        first = plus_product(first, x, x)
        second = plus_product(second, y, y)
        cross = plus_product(cross, x, y)
    return first, second, cross


@_compiled
def pair(
    workspace: Bytes,  # (rows, bytes)
    one: int,
    one_code: int,
    other: int,
    other_code: int,
    base: int,
    base_code: int,
    apart: int,
    count: int,
    sums: Doubles,  # (PAIR)
) -> None:
    """Add the sums over two rows, less `base` where that is none of −1; the third is Σ(x − y)² if `apart`."""
    alike = one_code == other_code and (base < 0 or base_code == one_code)
    first, second, third = workspace[one], workspace[other], workspace[max(base, 0)]
    if alike and one_code == BF16:
        halves, others, origins = first.view(np.uint16), second.view(np.uint16), third.view(np.uint16)
        _take(halves, others, origins, base, apart, count, sums)
    elif alike and one_code == F32:
        x, y, origin = first.view(np.float32), second.view(np.float32), third.view(np.float32)
        _take(x, y, origin, base, apart, count, sums)
    else:
        _take_decoded(first, one_code, second, other_code, third, base_code, base, apart, count, sums)


@_compiled
def _take_decoded(
    first: Bytes, one_code: int, second: Bytes, other_code: int, third: Bytes, base_code: int, base: int,
    apart: int, count: int, sums: Doubles,
) -> None:  # fmt: skip
    """Do the same where rows are of different formats, of float16, or of float64."""
    x, y = carray(room_for_doubles(), (TILE,)), carray(room_for_doubles(), (TILE,))
    origin = carray(room_for_doubles(), (TILE,))
    for start in range(0, count, TILE):
        size = min(TILE, count - start)
        decode(first, one_code, start, size, x)
        decode(second, other_code, start, size, y)
        if base >= 0:
            decode(third, base_code, start, size, origin)
        _take(x, y, origin, base, apart, size, sums)


@_compiled
def _take(one: Row, other: Row, base: Row, based: int, apart: int, size: int, sums: Doubles) -> None:
    if based >= 0:
        first, second, last = _from_base(one, other, base, size)
    elif apart:
        first, second, last = _with_apart(one, other, size)
    else:
        first, second, last = _with_cross(one, other, size)
    sums[FIRST] += first
    sums[SECOND] += second
    sums[THIRD] += last


def _pair(
    workspace: Any, stride: int, height: int, one: int, one_code: int, other: int, other_code: int, base: int,
    base_code: int, apart: int, count: int, sums: Any,
) -> None:  # fmt: skip
    pair(
        carray(workspace, (height, stride)), one, one_code, other, other_code, base, base_code, apart, count,
        carray(sums, (PAIR,)),
    )  # fmt: skip


ENTRIES: dict[str, Callable[..., None]] = {"pair": _pair}
"""What can be called from outside."""
