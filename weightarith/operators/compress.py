"""A matrix as a product of two thin ones: the low-rank form that adapters have.

Only matrices have one. What comes in as factors is recompressed exactly, dense form never made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from array_api_compat import array_namespace, device

from weightarith.errors import RecipeError
from weightarith.operators.factored import is_matrix, recompress
from weightarith.operators.field import Array, Field, Mixed, Product, Result
from weightarith.operators.operator import Operator, Option
from weightarith.operators.spectrum import FLOORS
from weightarith.operators.svd import Truncated, reaching, truncated

UNCHANGED = Mixed((1.0,))


def compress(field: Field, rank: int, energy: float) -> Result:
    """Keep the largest singular directions of a matrix, as two factors; other shapes stay as they are.

    With `rank` alone that many; with `energy` alone as few as hold that share of the squared norm, and a
    matrix that its factors would not make smaller stays dense; with both, as few, and at most `rank`.
    Directions that are only rounding are left out.
    """
    found = approximated(field, rank, energy)
    if found is None:
        return UNCHANGED
    return Product(found.left, found.right, float(found.norm), float(found.error))


def approximated(field: Field, rank: int, energy: float) -> Truncated | None:
    """Return what `compress` keeps of a tensor, with its error; None where it stays as it is.

    Raises:
        RecipeError: neither a rank nor an energy.
    """
    if not rank and not energy:
        raise RecipeError(
            "compress() needs rank= or energy=", hint="compress(v, rank=32), or compress(v, energy=0.95)"
        )
    if not is_matrix(field):
        return None
    product = field.factors()[0]
    if product is not None:
        return _one_at_least(recompress(product, rank, energy))
    (matrix,) = field.whole()
    key = field.keys[0]
    found = reaching(matrix, energy, most=rank, key=key) if energy else truncated(matrix, rank, key=key)
    found = _above_rounding(found, matrix)
    rows, columns = field.shape
    smaller = found.values.shape[0] * (rows + columns) < rows * columns
    return found if rank or smaller else None


def _above_rounding(found: Truncated, matrix: Array) -> Truncated:
    xp = array_namespace(matrix)
    floor = FLOORS[8 if matrix.dtype == xp.float64 else 4] * found.values[0]
    rank = max(int(xp.count_nonzero(found.values > floor)), 1)
    return replace(found, left=found.left[:, :rank], right=found.right[:rank, :], values=found.values[:rank])


def _one_at_least(found: Truncated) -> Truncated:
    """Return zero as a product of rank 1: every adapter's module has a pair of factors."""
    if found.values.shape[0]:
        return found
    xp, where, dtype = array_namespace(found.left), device(found.left), found.left.dtype
    return replace(
        found,
        left=xp.zeros((found.left.shape[0], 1), dtype=dtype, device=where),
        right=xp.zeros((1, found.right.shape[1]), dtype=dtype, device=where),
        values=xp.zeros((1,), dtype=xp.float64, device=where),
    )


def rank_kept(shape: tuple[int, ...], ranks: Sequence[int | None], *, rank: int, energy: float) -> int | None:
    """Return the rank of what `compress` answers with, at most; None where that depends on the numbers."""
    del energy
    if len(shape) != 2 or not min(shape):
        return None
    known = [each for each in (rank or None, ranks[0]) if each is not None]
    return max(min(*known, *shape), 1) if known else None


COMPRESS = Operator(
    name="compress",
    run=compress,
    source="Halko, Martinsson, Tropp (2011), https://doi.org/10.1137/090771806",
    most=1,
    rank=rank_kept,
    options=(
        Option("rank", "whole", 0, low=0, high=1 << 20, help="directions kept, at most; 0 for any number"),
        Option("energy", "number", 0.0, low=0.0, high=1.0, help="share of the squared norm that suffices"),
    ),
)
