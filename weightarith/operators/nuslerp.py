"""Interpolation along an arc with a weight for each end, over a tensor or each of its rows or columns.

A row runs along the last axis, a column along the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from array_api_compat import array_namespace, device

from weightarith.operators.angles import cosine, row_products, symmetric, tensor_products
from weightarith.operators.field import Array, Field, Mixed, Rowwise, row_length
from weightarith.operators.linear import WEIGHTS, normalised
from weightarith.operators.operator import COMPAT, Operator, Option
from weightarith.operators.slerp import arc

MERGEKIT_LEAST, MERGEKIT_CANCELLED = 1e-7, 1e-6


def nuslerp(
    field: Field, *, weights: Sequence[float], per: str = "tensor", compat: str = ""
) -> Mixed | Rowwise:
    """Return the point on the arc between two operands that divides it as their weights say.

    It is `slerp` at `t = w₂ / (w₁ + w₂)`, with an angle of its own for each vector that `per` names.

    Args:
        field: two operands.
        weights: of the two; one may be negative, which follows the arc beyond an end.
        per: `tensor`, `row` (vectors along the last axis) or `column` (vectors along the first).
        compat: `mergekit` counts norms below 1e-7 as 1e-7, so that what is zero is at a right angle to
            everything, and takes the middle where the weights cancel.

    Raises:
        RecipeError: the weights sum to 0.
    """
    theirs = compat == "mergekit"
    t = 0.5 if theirs and abs(sum(weights)) < MERGEKIT_CANCELLED else normalised(weights, field.name)[1]

    def coefficients(products: Array) -> tuple[Array, Array]:
        least = MERGEKIT_LEAST if theirs else 0.0
        return arc(cosine(products, 0, 1, least=least, undirected=1.0), t)

    def by_rows(values: Array, first: int) -> Array:  # noqa: ARG001  (the signature of a rule for rows)
        one, other = coefficients(row_products(values))
        return one[:, None] * values[0] + other[:, None] * values[1]

    if field.count == 0 or per == "tensor" or (per == "column" and len(field.shape) < 2):
        one, other = coefficients(tensor_products(field))
        return Mixed((float(one), float(other)))
    if per == "row":
        return Rowwise(by_rows)
    return _by_columns(*coefficients(column_products(field)))


def column_products(field: Field) -> Array:
    """Return the inner products of two operands in every column, (..., columns, 2, 2).

    The axes between the first and the last are one, (...): of a matrix it has the length 1.
    """
    between, pairs = prod(field.shape[1:-1]), ((0, 0), (0, 1), (1, 1))
    total: Array = None
    for first, values in field.rows():
        xp = array_namespace(values)
        if total is None:
            shape = (len(pairs), between, row_length(field.shape))
            total = xp.zeros(shape, dtype=xp.float64, device=device(values))
        products = xp.stack([values[i] * values[j] for i, j in pairs])  # (3, rows, columns)
        if between == 1:
            total = total + xp.sum(products, axis=1, keepdims=True)
            continue
        done, rows = 0, products.shape[1]
        while done < rows:  # up to where the first axis goes on by one
            place = (first + done) % between
            run = min(between - place, rows - done)
            total[:, place : place + run] += products[:, done : done + run]
            done += run
    return symmetric([[total[0], total[1]], [total[1], total[2]]])


def _by_columns(one: Array, other: Array) -> Rowwise:
    """Return the rule that multiplies by coefficients of columns, (..., columns)."""

    def at(values: Array, first: int) -> Array:
        xp = array_namespace(values)
        rows = xp.arange(first, first + values.shape[1], device=device(values)) % one.shape[0]
        return xp.take(one, rows, axis=0) * values[0] + xp.take(other, rows, axis=0) * values[1]

    return Rowwise(at)


NUSLERP = Operator(
    name="nuslerp",
    run=nuslerp,
    source="Shoemake (1985), great arc in-betweening, https://doi.org/10.1145/325334.325242",
    takes="either",
    fewest=2,
    most=2,
    options=(
        WEIGHTS,
        Option("per", "choice", "tensor", choices=("tensor", "row", "column"), help="what has an angle"),
        COMPAT,
    ),
)
