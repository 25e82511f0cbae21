"""Iso-C and Iso-CTS: merged matrices whose singular values are all the same.

Marczak et al. (2025), "No Task Left Behind", section 4, https://arxiv.org/abs/2502.04959
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from array_api_compat import array_namespace

from weightarith.operators.factored import (
    all_factored,
    concatenate,
    decomposed_product,
    is_matrix,
    mean,
)
from weightarith.operators.field import Array, Field, Mixed, Product, Result, Whole
from weightarith.operators.operator import Operator, Option
from weightarith.operators.spectrum import FLOORS, Spectrum, decomposed, with_values
from weightarith.operators.tsv import joined


def iso_c(field: Field) -> Result:
    """Add the vectors, and give all singular directions of a matrix their mean value; the mean of others.

    The mean is over the directions that the sum reaches. What comes in as factors stays so.
    """
    if not is_matrix(field):
        return Mixed(mean(field))
    products = all_factored(field)
    if products is None:
        return Whole(with_values(added(field.whole()), level))
    found = decomposed_product(added(products))
    return found.scaled(level(found.values))


def iso_cts(field: Field, common: float) -> Result:
    """Like `iso_c`, with the weakest common directions replaced by the strongest of each vector's own.

    Of the directions that the sum reaches, the share `common` is kept, rounded so that every vector adds
    equally many: the strongest of what it has outside the left vectors kept. Left and right vectors are then
    each replaced by the nearest orthonormal ones.
    """
    if not is_matrix(field):
        return Mixed(mean(field))
    operands: Sequence[Product | Array] = all_factored(field) or field.whole()
    whole = _decomposed(added(operands))
    tasks = len(operands)
    own = min(round((whole.rank - int(whole.rank * common)) / tasks), whole.rank // tasks)
    kept = whole.first(whole.rank - own * tasks)
    parts = [kept]
    for operand in operands if own else ():
        found = _decomposed(_without(operand, kept.left), own)
        parts.append(found.first(_above(found, whole)))
    if not whole.rank:
        return whole.scaled(whole.values)
    values = array_namespace(whole.values).concat([part.values for part in parts])
    return joined(parts, field, level(values))


def added(operands: Sequence[Product | Array]) -> Any:
    """Return the sum of products as one, or the sum of arrays."""
    products = [one for one in operands if isinstance(one, Product)]
    if products:
        return concatenate(products, [1.0] * len(products))
    total: Array = operands[0]
    for other in operands[1:]:
        total = total + other
    return total


def level(values: Array) -> Array:
    """Return as many values as are given, all of them their mean."""
    xp = array_namespace(values)
    return xp.zeros_like(values) + xp.mean(values) if values.shape[0] else values


def _decomposed(operand: Product | Array, most: int | None = None) -> Spectrum:
    return decomposed_product(operand, most) if isinstance(operand, Product) else decomposed(operand, most)


def _without(operand: Product | Array, directions: Array) -> Product | Array:
    """Return an operand less what it has along orthonormal left vectors (rows, some)."""
    if isinstance(operand, Product):
        xp = array_namespace(directions)
        return Product(_without(xp.astype(operand.left, directions.dtype), directions), operand.right)
    return operand - directions @ (directions.mT @ operand)


def _above(part: Spectrum, whole: Spectrum) -> int:
    """Return how many values of a part are above rounding in the whole."""
    xp = array_namespace(part.values)
    floor = FLOORS[8 if whole.left.dtype == xp.float64 else 4] * whole.values[0]
    return int(xp.count_nonzero(part.values > floor))


ISO_C = Operator(
    name="iso_c",
    run=iso_c,
    source="Marczak et al. (2025), section 4, https://arxiv.org/abs/2502.04959",
)

ISO_CTS = Operator(
    name="iso_cts",
    run=iso_cts,
    source="Marczak et al. (2025), section 4, https://arxiv.org/abs/2502.04959",
    options=(
        Option("common", "number", 0.8, low=0.0, high=1.0, help="share of directions taken from the sum"),
    ),
)
