"""The loops behind thresholds and sign election; source, as `loops` is. `elect` calls what comes of it.

Each does in one go through the numbers what `operators.election` and `operators.statistics` say array by
array, and gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import carray, njit  # type: ignore[attr-defined]  # its stubs forget carray
from numpy.typing import NDArray

from weightarith.kernels.bits import keep_between, room_for_doubles
from weightarith.kernels.formats import TILE

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

_compiled = njit(nogil=True, error_model="numpy")


@_compiled
def _kept(row: Doubles, least: float, factor: float, weight: float, size: int, out: Doubles) -> None:
    for i in range(size):
        out[i] = (row[i] if abs(row[i]) >= least else 0.0) * factor * weight


@_compiled
def _elect_pair(
    first: Doubles,
    second: Doubles,
    least: Doubles,
    shares: Doubles,
    normalize: bool,
    plus: bool,
    out: Doubles,
) -> None:
    """Do what `elect` does of two operands of weight 1, every element in registers."""
    of_zero, low, high, part, other = 1.0 if plus else 0.0, least[0], least[1], shares[0], shares[1]
    for i in range(out.size):
        one = first[i] if abs(first[i]) >= low else 0.0
        two = second[i] if abs(second[i]) >= high else 0.0
        total = (0.0 + one) + two
        sign = 1.0 if total > 0.0 else -1.0 if total < 0.0 else of_zero
        one *= sign
        two *= sign
        agreed = (one if one > 0.0 else 0.0) + (two if two > 0.0 else 0.0)
        share = (part if one > 0.0 else 0.0) + (other if two > 0.0 else 0.0)
        divisor = share if normalize and share != 0.0 else 1.0
        out[i] = agreed * sign / divisor + 0.0  # so that no zero has a sign


@_compiled
def elect(
    values: Doubles,  # (operands, elements), as many as `out` has or more
    least: Doubles,  # (operands,): what magnitude stays
    factors: Doubles,
    weights: Doubles,
    shares: Doubles,
    normalize: bool,
    plus: bool,
    out: Doubles,
) -> None:
    """Do what `elect.elect` says."""
    operands, count = values.shape[0], out.size
    if operands == 2 and factors[0] == factors[1] == weights[0] == weights[1] == 1.0:
        _elect_pair(values[0][:count], values[1][:count], least, shares, normalize, plus, out)
        return
    sign, kept = carray(room_for_doubles(), (TILE,)), carray(room_for_doubles(), (TILE,))
    agreed, share = carray(room_for_doubles(), (TILE,)), carray(room_for_doubles(), (TILE,))
    of_zero = 1.0 if plus else 0.0
    for start in range(0, count, TILE):
        size = min(TILE, count - start)
        sign[:size] = 0.0
        for k in range(operands):
            _kept(values[k][start : start + size], least[k], factors[k], weights[k], size, kept)
            for i in range(size):
                sign[i] += kept[i]
        for i in range(size):
            sign[i] = 1.0 if sign[i] > 0.0 else -1.0 if sign[i] < 0.0 else of_zero
            agreed[i] = 0.0
            share[i] = 0.0
        for k in range(operands):
            _kept(values[k][start : start + size], least[k], factors[k], weights[k], size, kept)
            part = shares[k]
            for i in range(size):
                along = kept[i] * sign[i]
                agreed[i] += along if along > 0.0 else 0.0
                share[i] += part if along > 0.0 else 0.0
        written = out[start : start + size]
        for i in range(size):
            divisor = share[i] if normalize and share[i] != 0.0 else 1.0
            written[i] = agreed[i] * sign[i] / divisor + 0.0


@_compiled
def between(
    numbers: Doubles, low: float, high: float, sizes: bool, counts: Integers, kept: Any, held: int
) -> int:
    """Do what `elect.between` says; return how many numbers lie at the address `kept`, where `held` did."""
    room = room_for_doubles()
    tile = carray(room, (TILE,))
    for start in range(0, numbers.size, TILE):
        size = min(TILE, numbers.size - start)
        given = numbers[start : start + size]
        for i in range(size):
            tile[i] = abs(given[i]) if sizes else given[i]
        for i in range(size, (size + 7) // 8 * 8):
            tile[i] = np.nan  # between nothing
        above, at_high, at_low, inside = 0, 0, 0, 0
        for i in range(size):
            above += 1 if tile[i] > high else 0
            at_high += 1 if tile[i] == high else 0
            at_low += 1 if tile[i] == low else 0
            inside += 1 if (tile[i] > low) & (tile[i] < high) else 0
        counts[0] += above
        counts[1] += at_high
        counts[2] += at_low
        for i in range(0, size if inside else 0, 8):
            held += keep_between(room, i, low, high, kept, held)
    return held


def _elect(
    values: Any, operands: int, count: int, least: Any, factors: Any, weights: Any, shares: Any,
    normalize: int, plus: int, out: Any,
) -> None:  # fmt: skip
    elect(
        carray(values, (operands, count)), carray(least, (operands,)), carray(factors, (operands,)),
        carray(weights, (operands,)), carray(shares, (operands,)), normalize != 0, plus != 0,
        carray(out, (count,)),
    )  # fmt: skip


def _between(numbers: Any, count: int, low: float, high: float, sizes: int, counts: Any, kept: Any) -> None:
    tally = carray(counts, (4,))
    tally[3] = between(carray(numbers, (count,)), low, high, sizes != 0, tally, kept, 0)


ENTRIES: dict[str, Callable[..., None]] = {"elect": _elect, "between": _between}
"""What can be called from outside."""
