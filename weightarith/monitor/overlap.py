"""Inner products of a change with several vectors at one tensor, row by row and column by column.

What is in factors stays in factors: of ⟨B·A, D·C⟩ the rows are the row sums of (B·(A·Cᵀ)) ∘ D and the columns
the column sums of ((BᵀD)ᵀ·A) ∘ C, and neither change is multiplied out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from weightarith.engine.together import Together
from weightarith.operators.field import Product, row_length
from weightarith.operators.statistics import on_host

Doubles = NDArray[np.float64]
Blocks = Iterable[tuple[int, Mapping[int, Doubles]]]
"""The first row of a block, and by number the values, (rows, columns), of what is dense."""

CHANGE = 0
"""The number of the change itself; the vectors follow it."""


@dataclass(frozen=True, eq=False)
class Overlap:
    """What a change and V vectors have in common at one tensor.

    Attributes:
        own: the squared norm of the change.
        rows: (V, rows), inner products row by row.
        columns: (V, columns), the same column by column; either sums to the inner product of the tensor.
    """

    own: float
    rows: Doubles
    columns: Doubles


@dataclass(frozen=True, eq=False)
class Side:
    """Factors of several vectors next to each other.

    Attributes:
        left: (rows, S) for S columns of all of them together.
        right: (S, columns).
        belongs: (V, S), 1 where a column belongs to a vector.
    """

    left: Doubles
    right: Doubles
    belongs: Doubles


def overlap(shape: tuple[int, ...], factors: Sequence[Product | None], blocks: Blocks = ()) -> Overlap:
    """Return what a change and several vectors have in common at one tensor.

    Args:
        shape: of the tensor; one of a single axis is one row.
        factors: of the change and of each vector; None for what is dense, or zero here.
        blocks: of what is dense, all rows of it once.
    """
    width, count = row_length(shape), len(factors) - 1
    height = prod(shape) // width if width else 0
    rows, columns = np.zeros((count, height)), np.zeros((count, width))
    change, side = factors[CHANGE], side_of(factors[CHANGE + 1 :])
    own = 0.0
    if change is not None:
        own = float(((change.left.T @ change.left) * (change.right @ change.right.T)).sum())
        if side is not None:
            rows += side.belongs @ ((change.left @ (change.right @ side.right.T)) * side.left).T
            columns += side.belongs @ (((side.left.T @ change.left) @ change.right) * side.right)
    for first, values in blocks:
        own += _block(first, values, change, side, rows, columns)
    return Overlap(own, rows, columns)


def side_of(factors: Sequence[Product | None]) -> Side | None:
    """Return the factors of several vectors next to each other, None where none has any."""
    held = [(number, one) for number, one in enumerate(factors) if one is not None]
    if not held:
        return None
    owner = np.concatenate([np.full(one.left.shape[1], number) for number, one in held])
    return Side(
        np.concatenate([one.left for _, one in held], axis=1),
        np.concatenate([one.right for _, one in held], axis=0),
        (np.arange(len(factors))[:, None] == owner).astype(np.float64),
    )


def field_overlap(field: Together) -> Overlap:
    """Return `overlap` of a field whose first operand is the change and whose others are vectors."""
    operands = field.operands
    dense = [number for number, one in enumerate(operands) if one.parts]
    factors = [None if one.parts else joined(one.factors) for one in operands]
    return overlap(field.shape, factors, blocks_of(field, dense))


def blocks_of(field: Together, dense: Sequence[int]) -> Blocks:
    """Yield the values of the operands of a field that are dense, by their numbers."""
    if dense:
        for first, values in field.only(dense).rows():
            yield first, {number: values[place] for place, number in enumerate(dense)}


def joined(products: Sequence[Product]) -> Product | None:
    """Return a sum of products as one product, in float64; None for no product."""
    if not products:
        return None
    left = np.concatenate([on_host(one.left) for one in products], axis=1)
    return Product(left, np.concatenate([on_host(one.right) for one in products], axis=0))


def _block(
    first: int, values: Mapping[int, Doubles], change: Product | None, side: Side | None, rows: Doubles,
    columns: Doubles,
) -> float:  # fmt: skip
    """Add what a block of dense values gives, and return its share of the squared norm of the change."""
    moved, own = values.get(CHANGE), 0.0
    if moved is not None:
        own = float((moved * moved).sum())
        if side is not None:
            place, left = slice(first, first + len(moved)), side.left[first : first + len(moved)]
            rows[:, place] += side.belongs @ ((moved @ side.right.T) * left).T
            columns += side.belongs @ ((left.T @ moved) * side.right)
    for number, known in values.items():
        if number == CHANGE:
            continue
        place = slice(first, first + len(known))
        if moved is not None:
            common = moved * known
            rows[number - 1, place] += common.sum(axis=1)
            columns[number - 1] += common.sum(axis=0)
        elif change is not None:
            left = change.left[place]
            rows[number - 1, place] += ((known @ change.right.T) * left).sum(axis=1)
            columns[number - 1] += ((left.T @ known) * change.right).sum(axis=0)
    return own
