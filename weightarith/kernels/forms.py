"""The loops behind operators on sums that are never written out; source, as `loops` is.

A tile of every operand is formed in the first-level cache and used there: for inner products, for thresholds,
for a vote. `fused` calls what comes of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import carray, njit  # type: ignore[attr-defined]  # its stubs forget carray
from numpy.typing import NDArray

from weightarith.kernels.bits import bf16_to_f32, room_for_doubles
from weightarith.kernels.conversions import Bytes, Doubles, Integers, Terms, add_scaled, decode
from weightarith.kernels.formats import BF16, TILE
from weightarith.kernels.votes import between, elect

Halves = NDArray[np.uint16]

_MAGNITUDE, _INFINITY = np.uint16(0x7FFF), np.uint16(0x7F80)  # bits of a bfloat16

_compiled = njit(nogil=True, error_model="numpy")
_any_order = njit(nogil=True, error_model="numpy", fastmath={"reassoc"})  # one order for a processor


@_compiled
def _largest(row: Halves, size: int) -> np.uint16:
    """Return the bits of the largest magnitude: those of infinity and of NaN are the largest there are."""
    found = np.uint16(0)
    for i in range(size):
        found = max(found, row[i] & _MAGNITUDE)
    return found


@_compiled
def _weight_tile(row: Halves, factor: float, size: int, out: Doubles) -> None:
    for i in range(size):
        out[i] = 0.0 + factor * np.float64(bf16_to_f32(row[i]))


@_compiled
def _difference_tile(one: Halves, other: Halves, factor: float, size: int, out: Doubles) -> None:
    if factor == 1.0:
        for i in range(size):
            out[i] = 0.0 + (np.float64(bf16_to_f32(one[i])) - np.float64(bf16_to_f32(other[i])))
    else:
        for i in range(size):
            inner = np.float64(bf16_to_f32(one[i])) - np.float64(bf16_to_f32(other[i]))
            out[i] = 0.0 + factor * (0.0 + inner)


@_compiled
def form_tile(
    workspace: Bytes, terms: Terms, bounds: Integers, form: int, start: int, size: int, checked: bool,
    out: Doubles,
) -> int:  # fmt: skip
    """Write a tile of one form to `out`, and return how many numbers are NaN or infinite.

    What was `checked` before is known to be finite.
    """
    rows, codes, signs, ends, multipliers, _origins = terms
    first, last = bounds[form], bounds[form + 1]
    k = ends[first - 1] if first else 0
    held = (ends[last - 1] if last > first else k) - k
    stop = start + size
    if last == first + 1 and held == 1 and codes[k] == BF16:
        one = workspace[rows[k]].view(np.uint16)[start:stop]
        if checked or _largest(one, size) < _INFINITY:
            _weight_tile(one, signs[k] * multipliers[first], size, out)
            return 0
    elif (
        last == first + 1
        and held == 2
        and codes[k] == BF16
        and codes[k + 1] == BF16
        and signs[k] == -signs[k + 1]
    ):
        one, other = (
            workspace[rows[k]].view(np.uint16)[start:stop],
            workspace[rows[k + 1]].view(np.uint16)[start:stop],
        )
        if checked or max(_largest(one, size), _largest(other, size)) < _INFINITY:
            _difference_tile(one, other, signs[k] * multipliers[first], size, out)
            return 0
    _general_tile(workspace, terms, first, last, start, size, out)
    nonfinite = 0
    for i in range(size):
        nonfinite += not np.isfinite(out[i])
    return nonfinite


@_compiled
def _general_tile(
    workspace: Bytes, terms: Terms, first: int, last: int, start: int, size: int, out: Doubles
) -> None:
    rows, codes, signs, ends, multipliers, _origins = terms
    inner, numbers = carray(room_for_doubles(), (TILE,)), carray(room_for_doubles(), (TILE,))
    out[:size] = 0.0
    k = ends[first - 1] if first else 0
    for group in range(first, last):
        inner[:] = 0.0
        while k < ends[group]:
            decode(workspace[rows[k]], codes[k], start, size, numbers)
            add_scaled(inner, numbers, signs[k], size)
            k += 1
        add_scaled(out, inner, multipliers[group], size)


@_any_order
def _dot(one: Doubles, other: Doubles, size: int) -> float:
    total = 0.0
    for i in range(size):
        total += one[i] * other[i]
    return total


@_compiled
def products(
    workspace: Bytes, terms: Terms, bounds: Integers, count: int, scratch: Doubles, out: Doubles
) -> int:
    """Do what `fused.products` says."""
    forms, nonfinite = bounds.size - 1, 0
    for start in range(0, count, TILE):
        size = min(TILE, count - start)
        for form in range(forms):
            nonfinite += form_tile(workspace, terms, bounds, form, start, size, False, scratch[form])
        for form in range(forms):
            for other in range(form + 1):
                out[form, other] += _dot(scratch[form], scratch[other], size)
    return nonfinite


@_compiled
def sizes_between(
    workspace: Bytes, terms: Terms, bounds: Integers, form: int, count: int, low: float, high: float,
    counts: Integers, kept: Any, tile: Doubles,
) -> int:  # fmt: skip
    """Do what `fused.sizes_between` says."""
    nonfinite, held = 0, 0
    for start in range(0, count, TILE):
        size = min(TILE, count - start)
        nonfinite += form_tile(workspace, terms, bounds, form, start, size, False, tile)
        held = between(tile[:size], low, high, True, counts, kept, held)
    counts[3] = held
    return nonfinite


@_compiled
def vote(
    workspace: Bytes, terms: Terms, bounds: Integers, least: Doubles, factors: Doubles, weights: Doubles,
    shares: Doubles, normalize: bool, plus: bool, checked: bool, scratch: Doubles, out: Doubles,
) -> int:  # fmt: skip
    """Do what `fused.vote` says."""
    nonfinite = 0
    for start in range(0, out.size, TILE):
        size = min(TILE, out.size - start)
        for form in range(bounds.size - 1):
            nonfinite += form_tile(workspace, terms, bounds, form, start, size, checked, scratch[form])
        elect(scratch, least, factors, weights, shares, normalize, plus, out[start : start + size])
    return nonfinite


@_compiled
def _bound(
    workspace: Any, stride: int, height: int, rows: Any, codes: Any, signs: Any, operands: int, ends: Any,
    multipliers: Any, origins: Any, groups: int, bounds: Any, forms: int,
) -> tuple[Bytes, Terms, Integers]:  # fmt: skip
    terms = (
        carray(rows, (operands,)), carray(codes, (operands,)), carray(signs, (operands,)),
        carray(ends, (groups,)), carray(multipliers, (groups,)), carray(origins, (groups,)),
    )  # fmt: skip
    return carray(workspace, (height, stride)), terms, carray(bounds, (forms + 1,))


def _products(
    workspace: Any, stride: int, height: int, rows: Any, codes: Any, signs: Any, operands: int, ends: Any,
    multipliers: Any, origins: Any, groups: int, bounds: Any, forms: int, count: int, scratch: Any, out: Any,
    nonfinite: Any,
) -> None:  # fmt: skip
    held, terms, cuts = _bound(
        workspace,
        stride,
        height,
        rows,
        codes,
        signs,
        operands,
        ends,
        multipliers,
        origins,
        groups,
        bounds,
        forms,
    )
    carray(nonfinite, (1,))[0] = products(
        held, terms, cuts, count, carray(scratch, (forms, TILE)), carray(out, (forms, forms))
    )


def _sizes_between(
    workspace: Any, stride: int, height: int, rows: Any, codes: Any, signs: Any, operands: int, ends: Any,
    multipliers: Any, origins: Any, groups: int, bounds: Any, forms: int, form: int, count: int, low: float,
    high: float, counts: Any, kept: Any, tile: Any, nonfinite: Any,
) -> None:  # fmt: skip
    held, terms, cuts = _bound(
        workspace,
        stride,
        height,
        rows,
        codes,
        signs,
        operands,
        ends,
        multipliers,
        origins,
        groups,
        bounds,
        forms,
    )
    carray(nonfinite, (1,))[0] = sizes_between(
        held, terms, cuts, form, count, low, high, carray(counts, (4,)), kept, carray(tile, (TILE,)),
    )  # fmt: skip


def _vote(
    workspace: Any, stride: int, height: int, rows: Any, codes: Any, signs: Any, operands: int, ends: Any,
    multipliers: Any, origins: Any, groups: int, bounds: Any, forms: int, least: Any, factors: Any,
    weights: Any, shares: Any, normalize: int, plus: int, checked: int, scratch: Any, count: int, out: Any,
    nonfinite: Any,
) -> None:  # fmt: skip
    held, terms, cuts = _bound(
        workspace,
        stride,
        height,
        rows,
        codes,
        signs,
        operands,
        ends,
        multipliers,
        origins,
        groups,
        bounds,
        forms,
    )
    carray(nonfinite, (1,))[0] = vote(
        held, terms, cuts, carray(least, (forms,)), carray(factors, (forms,)), carray(weights, (forms,)),
        carray(shares, (forms,)), normalize != 0, plus != 0, checked != 0, carray(scratch, (forms, TILE)),
        carray(out, (count,)),
    )  # fmt: skip


ENTRIES: dict[str, Callable[..., None]] = {
    "products": _products,
    "sizes_between": _sizes_between,
    "vote": _vote,
}
"""What can be called from outside."""
