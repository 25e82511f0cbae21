"""BitDelta: a displacement as the sign of every element and one scale, one bit an element.

Zero has no sign of its own: it counts as positive, and comes back as the scale. Liu et al. (2024),
"BitDelta", section 3.1, https://arxiv.org/abs/2402.10193
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from array_api_compat import array_namespace, device

from weightarith.operators.field import Array, Blockwise, Field, Mixed, Result
from weightarith.operators.operator import Operator
from weightarith.operators.statistics import sums


@dataclass(frozen=True, eq=False)
class Signs:
    """A tensor as it is stored: `N::sign` and `N::scale`.

    Attributes:
        bits: uint8, eight elements a byte in row-major order, the first in the lowest bit; 1 is plus.
        scale: one float32, no axes.
        shape: of the tensor.
    """

    bits: Array
    scale: Array
    shape: tuple[int, ...]


def sign(field: Field) -> Result:
    """Replace every element of a matrix by its sign times the mean magnitude; tensors of one axis stay.

    The scale is that of least squared error, rounded to float32. Zeros come back as plus the scale, so that a
    sparse displacement does not; one that is all zero does.
    """
    if len(field.shape) < 2 or not field.count:
        return Mixed((1.0,))
    total = sums(field, lambda values: abs(values).sum(1))
    scale = float((total / field.count).astype("float32")[0])
    return Blockwise(lambda values, _: _plus_or_minus(values[0] >= 0, values.dtype) * scale)


def encode(tensor: Array) -> Signs:
    """Return a tensor as signs and its mean magnitude."""
    xp = array_namespace(tensor)
    flat = xp.reshape(tensor, (-1,))
    missing = -flat.shape[0] % 8
    plus = xp.concat([flat >= 0, xp.zeros((missing,), dtype=xp.bool, device=device(tensor))])
    weights = xp.asarray([1, 2, 4, 8, 16, 32, 64, 128], dtype=xp.uint8, device=device(tensor))
    bits = xp.sum(xp.astype(xp.reshape(plus, (-1, 8)), xp.uint8) * weights, axis=1, dtype=xp.uint8)
    total = xp.sum(xp.abs(flat), dtype=xp.float64)
    return Signs(bits, xp.astype(total / max(flat.shape[0], 1), xp.float32), tuple(tensor.shape))


def decode(signs: Signs) -> Array:
    """Return the tensor that signs and a scale stand for, in float32."""
    xp = array_namespace(signs.bits)
    places = xp.arange(8, dtype=xp.uint8, device=device(signs.bits))
    plus = xp.reshape(xp.bitwise_and(xp.bitwise_right_shift(signs.bits[:, None], places), 1), (-1,))
    flat = _plus_or_minus(plus, xp.float32)[: prod(signs.shape)]
    return xp.reshape(flat * signs.scale, signs.shape)


def _plus_or_minus(plus: Array, dtype: Any) -> Array:
    return array_namespace(plus).astype(plus, dtype) * 2.0 - 1.0


SIGN = Operator(
    name="sign",
    run=sign,
    source="Liu et al. (2024), BitDelta, section 3.1, https://arxiv.org/abs/2402.10193",
    most=1,
)
