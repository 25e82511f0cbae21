"""Inner products of the operands, over a tensor or over each of its rows, and the angles they make.

Everything here has the shape (..., operands, operands): a matrix for a tensor, a stack of them for its rows.
"""

from __future__ import annotations

import numpy as np
from array_api_compat import array_namespace

from weightarith.operators.field import Array, Field
from weightarith.operators.statistics import Doubles, gram


def tensor_products(field: Field) -> Doubles:
    """Return the inner products of the operands at one tensor, (operands, operands); zeros if it is empty."""
    operands = len(field.keys)
    return gram(field) if field.count else np.zeros((operands, operands))


def row_products(values: Array) -> Array:
    """Return those of every row, (rows, operands, operands), of values (operands, rows, columns)."""
    xp, operands = array_namespace(values), range(values.shape[0])
    found = {
        (one, other): xp.vecdot(values[one], values[other], axis=-1)
        for one in operands
        for other in operands
        if one <= other
    }
    return symmetric([[found[min(i, j), max(i, j)] for j in operands] for i in operands])


def symmetric(entries: list[list[Array]]) -> Array:
    """Return one array (..., operands, operands) of its entries, each of shape (...)."""
    xp = array_namespace(entries[0][0])
    return xp.stack([xp.stack(line, axis=-1) for line in entries], axis=-2)


def norms(products: Array) -> list[Array]:
    """Return the norm of each operand, an array of shape (...)."""
    xp = array_namespace(products)
    return [xp.sqrt(products[..., number, number]) for number in range(products.shape[-1])]


def cosine(products: Array, one: int, other: int, *, least: float = 0.0, undirected: float = 0.0) -> Array:
    """Return the cosine of the angle between two operands, in [−1, 1].

    Args:
        products: inner products, (..., operands, operands).
        one: the number of an operand.
        other: that of another.
        least: a norm below this counts as this much.
        undirected: the answer where an operand is zero and has no direction.
    """
    xp = array_namespace(products)
    lengths = norms(products)
    size = xp.clip(lengths[one], min=least) * xp.clip(lengths[other], min=least)
    found = products[..., one, other] / xp.where(size > 0, size, 1.0)
    return xp.clip(xp.where(size > 0, found, undirected), min=-1.0, max=1.0)
