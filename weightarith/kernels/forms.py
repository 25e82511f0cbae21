"""The loops behind operands of operators, sums without an anchor; source, as `loops` is.

A tile of an operand is formed in the first-level cache and, where it can be, used there and never written
out: for inner products, for thresholds, for a vote. `fused` calls what comes of it, and `linear` for values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import carray, njit  # type: ignore[attr-defined]  # its stubs forget carray
from numpy.typing import NDArray

from weightarith.kernels.bits import bf16_to_f32, bytes_at, doubles_at, longs_at, room_for_doubles
from weightarith.kernels.conversions import Bytes, Doubles, Integers, Terms, change_tile
from weightarith.kernels.formats import BF16, HEAD, TILE
from weightarith.kernels.loops import add_product
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
    workspace: Bytes, terms: Terms, first: int, last: int, start: int, size: int, checked: bool, out: Doubles
) -> int:
    """Write a tile of the form that groups `first …` up to `last` make; return how much is NaN or infinite.

    What was `checked` before is known to be finite.
    """
    rows, codes, signs, ends, multipliers, _origins = terms
    k = ends[first - 1] if first else 0
    held = (ends[last - 1] if last > first else k) - k
    plain = last == first + 1 and 1 <= held <= 2 and codes[k] == BF16 and codes[k + held - 1] == BF16
    if plain and (held == 1 or signs[k] == -signs[k + 1]):
        factor = signs[k] * multipliers[first]
        one = workspace[rows[k]].view(np.uint16)[start : start + size]
        other = workspace[rows[k + held - 1]].view(np.uint16)[start : start + size]
        if checked or max(_largest(one, size), _largest(other, size)) < _INFINITY:
            if held == 1:
                _weight_tile(one, factor, size, out)
            else:
                _difference_tile(one, other, factor, size, out)
            return 0
    inner, numbers = carray(room_for_doubles(), (TILE,)), carray(room_for_doubles(), (TILE,))
    change_tile(workspace, terms, first, last, numbers, start, size, out, inner, numbers)
    return _nonfinite(out, size)


@_compiled
def _nonfinite(numbers: Doubles, size: int) -> int:
    found = 0
    for i in range(size):
        found += not np.isfinite(numbers[i])
    return found


@_compiled
def values(
    workspace: Bytes,  # (rows, bytes)
    terms: Terms,
    left: Doubles,  # (rows of the block, rank)
    right: Doubles,  # (rank, columns)
    first: int,
    out: Doubles,
) -> int:
    """Do what `linear.values` says."""
    nonfinite = 0
    for start in range(0, out.size, TILE):
        size = min(TILE, out.size - start)
        tile = out[start : start + size]
        found = form_tile(workspace, terms, 0, terms[3].size, start, size, False, tile)
        if left.shape[1]:
            add_product(tile, left, right, first + start, size)
            found = _nonfinite(tile, size)
        nonfinite += found
    return nonfinite


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
            nonfinite += form_tile(
                workspace, terms, bounds[form], bounds[form + 1], start, size, False, scratch[form]
            )
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
        nonfinite += form_tile(workspace, terms, bounds[form], bounds[form + 1], start, size, False, tile)
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
            nonfinite += form_tile(
                workspace, terms, bounds[form], bounds[form + 1], start, size, checked, scratch[form]
            )
        elect(scratch, least, factors, weights, shares, normalize, plus, out[start : start + size])
    return nonfinite


@_compiled
def _unpacked(head: Any) -> tuple[Bytes, Terms, Integers]:
    """Return the workspace, the terms and the bounds that `fused.Forms` tells of in thirteen numbers."""
    told = carray(head, (HEAD,))
    operands, groups, forms = told[6], told[10], told[12]
    terms = (
        carray(longs_at(told[3]), (operands,)), carray(longs_at(told[4]), (operands,)),
        carray(doubles_at(told[5]), (operands,)), carray(longs_at(told[7]), (groups,)),
        carray(doubles_at(told[8]), (groups,)), carray(doubles_at(told[9]), (groups,)),
    )  # fmt: skip
    return carray(bytes_at(told[0]), (told[2], told[1])), terms, carray(longs_at(told[11]), (forms + 1,))


def _products(head: Any, count: int, scratch: Any, out: Any, nonfinite: Any) -> None:
    workspace, terms, bounds = _unpacked(head)
    forms = bounds.size - 1
    carray(nonfinite, (1,))[0] = products(
        workspace, terms, bounds, count, carray(scratch, (forms, TILE)), carray(out, (forms, forms))
    )


def _sizes_between(
    head: Any, form: int, count: int, low: float, high: float, counts: Any, kept: Any, tile: Any,
    nonfinite: Any,
) -> None:  # fmt: skip
    workspace, terms, bounds = _unpacked(head)
    carray(nonfinite, (1,))[0] = sizes_between(
        workspace, terms, bounds, form, count, low, high, carray(counts, (4,)), kept, carray(tile, (TILE,))
    )


def _vote(
    head: Any, least: Any, factors: Any, weights: Any, shares: Any, normalize: int, plus: int, checked: int,
    scratch: Any, count: int, out: Any, nonfinite: Any,
) -> None:  # fmt: skip
    workspace, terms, bounds = _unpacked(head)
    forms = bounds.size - 1
    carray(nonfinite, (1,))[0] = vote(
        workspace, terms, bounds, carray(least, (forms,)), carray(factors, (forms,)),
        carray(weights, (forms,)), carray(shares, (forms,)), normalize != 0, plus != 0, checked != 0,
        carray(scratch, (forms, TILE)), carray(out, (count,)),
    )  # fmt: skip


def _values(
    workspace: Any, stride: int, height: int, rows: Any, codes: Any, signs: Any, operands: int,
    ends: Any, multipliers: Any, origins: Any, groups: int, left: Any, left_rows: int, right: Any, rank: int,
    columns: int, first: int, count: int, out: Any, nonfinite: Any,
) -> None:  # fmt: skip
    terms = (
        carray(rows, (operands,)), carray(codes, (operands,)), carray(signs, (operands,)),
        carray(ends, (groups,)), carray(multipliers, (groups,)), carray(origins, (groups,)),
    )  # fmt: skip
    carray(nonfinite, (1,))[0] = values(
        carray(workspace, (height, stride)), terms, carray(left, (left_rows, rank)),
        carray(right, (rank, columns)), first, carray(out, (count,)),
    )  # fmt: skip


ENTRIES: dict[str, Callable[..., None]] = {
    "products": _products,
    "sizes_between": _sizes_between,
    "values": _values,
    "vote": _vote,
}
"""What can be called from outside."""
