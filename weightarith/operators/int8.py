"""A displacement in 8 bits an element, with a scale for every row.

A row of zeros has the scale 0 and stays zero; the number −128 is not used, so that signs are symmetric.
Dettmers et al. (2022), "LLM.int8()", section 2.1 (vector-wise absmax), https://arxiv.org/abs/2208.07339
"""

from __future__ import annotations

from dataclasses import dataclass

from array_api_compat import array_namespace, device

from weightarith.operators.field import Array, Field, Mixed, Result, Rowwise, row_length
from weightarith.operators.operator import Operator

LARGEST = 127


@dataclass(frozen=True, eq=False)
class Quantised:
    """A tensor as it is stored: `N` and `N::scale`.

    Attributes:
        numbers: int8, of the tensor's shape.
        scale: float32, one for each row along the last axis: the tensor's shape without it.
    """

    numbers: Array
    scale: Array


def int8(field: Field) -> Result:
    """Round every row to 255 steps between plus and minus its largest magnitude.

    An element is off by half a step at most, 0.4 % of the row's largest magnitude. A tensor of one axis is
    one row.
    """
    if not field.count:
        return Mixed((1.0,))
    return Rowwise(lambda values, _: _rounded(values[0], _scale(values[0])) * _scale(values[0]))


def encode(tensor: Array) -> Quantised:
    """Return a tensor as numbers of 8 bits and a scale for every row."""
    xp = array_namespace(tensor)
    if 0 in tensor.shape:
        scale = xp.zeros(tensor.shape[:-1], dtype=xp.float32, device=device(tensor))
        return Quantised(xp.astype(tensor, xp.int8), scale)
    rows = xp.reshape(xp.astype(tensor, xp.float64), (-1, row_length(tuple(tensor.shape))))
    scale = _scale(rows)
    return Quantised(
        numbers=xp.reshape(xp.astype(_rounded(rows, scale), xp.int8), tensor.shape),
        scale=xp.reshape(xp.astype(scale, xp.float32), tensor.shape[:-1]),
    )


def decode(quantised: Quantised) -> Array:
    """Return the tensor that numbers and scales stand for, in float32."""
    xp = array_namespace(quantised.numbers)
    numbers = xp.astype(quantised.numbers, xp.float32)
    scale = quantised.scale[..., None] if len(numbers.shape) else quantised.scale
    return numbers * scale


def _scale(rows: Array) -> Array:
    """Return a scale for each row, (rows, 1): float64 numbers that float32 has."""
    xp = array_namespace(rows)
    return xp.astype(xp.astype(xp.max(xp.abs(rows), axis=1, keepdims=True) / LARGEST, xp.float32), rows.dtype)


def _rounded(rows: Array, scale: Array) -> Array:
    """Return whole numbers from −127 to 127; a scale too small for float32 counts as 0."""
    xp = array_namespace(rows)
    safe = xp.where(scale > 0, scale, xp.ones_like(scale))
    found = xp.where(scale > 0, xp.round(rows / safe), xp.zeros_like(rows))
    return xp.clip(found, -LARGEST, LARGEST)


INT8 = Operator(
    name="int8",
    run=int8,
    source="Dettmers et al. (2022), section 2.1, https://arxiv.org/abs/2208.07339",
    most=1,
)
