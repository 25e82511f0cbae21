"""Whole singular value decompositions, and matrices made anew from changed singular values.

A direction whose singular value is rounding is left out: the vectors of such directions are arbitrary, and
a method that lifts small values must not lift those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from array_api_compat import array_namespace, device

from weightarith.operators.field import Array, Product

FLOORS = {4: 1e-6, 8: 1e-12}
"""Singular values below this share of the largest count as zero, by the bytes of a number."""

BLOCK = 1 << 17
"""Elements of a block that is worked on in float64; a few of them fit into a cache."""

DEEP = 1024
"""Rows of a block that goes into a matrix product, which is slow for few."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """`left · diag(values) · right`, the values above zero, largest first.

    Attributes:
        left: orthonormal columns, (rows, rank).
        values: singular values in float64, (rank,).
        right: orthonormal rows, (rank, columns).
    """

    left: Array
    values: Array
    right: Array

    @property
    def rank(self) -> int:
        """How many values there are."""
        return int(self.values.shape[0])

    def scaled(self, values: Array) -> Product:
        """Return the product with other singular values."""
        xp = array_namespace(self.left)
        return Product(self.left * xp.astype(values, self.left.dtype), self.right)

    def first(self, count: int) -> Spectrum:
        """Return the part with the largest values."""
        return Spectrum(self.left[:, :count], self.values[:count], self.right[:count, :])


def row_blocks(matrix: Array, least: int = 1) -> Iterator[slice]:
    """Yield runs of rows of a matrix, or of a batch of matrices: about `BLOCK` elements, `least` rows."""
    rows = matrix.shape[-2]
    size = 1
    for side in (*matrix.shape[:-2], matrix.shape[-1]):
        size *= side
    height = max(BLOCK // max(size, 1), least)
    for start in range(0, rows, height):
        yield slice(start, min(start + height, rows))


def decomposed(matrix: Array, most: int | None = None) -> Spectrum:
    """Return the singular value decomposition of a matrix (rows, columns), its numerical rank and no more.

    A float64 matrix is decomposed as it is. One of float32 goes through the inner products of its shorter
    side in float64, which is as exact as its own digits are, several times faster, and needs no second copy.

    Args:
        matrix: float32 or float64.
        most: how many singular values to return at most, the largest.
    """
    if 0 in matrix.shape:
        return nothing(matrix, matrix)
    if matrix.shape[0] < matrix.shape[1]:
        turned = decomposed(matrix.mT, most)
        return Spectrum(turned.right.mT, turned.values, turned.left.mT)
    xp = array_namespace(matrix)
    if matrix.dtype == xp.float64:
        left, values, right = xp.linalg.svd(matrix, full_matrices=False)
        return Spectrum(left, values, right).first(_numerical_rank(values, matrix, most))
    values, vectors = _eigen(matrix)
    rank = _numerical_rank(values, matrix, most)
    values, vectors = values[:rank], vectors[:, :rank]
    return Spectrum(_times(matrix, vectors / values), values, xp.astype(vectors.mT, matrix.dtype))


def nothing(left: Array, right: Array) -> Spectrum:
    """Return the decomposition of zero, with the rows of `left` and the columns of `right`."""
    xp = array_namespace(left)
    values = xp.zeros((0,), dtype=xp.float64, device=device(left))
    return Spectrum(left[:, :0], values, right[:0, :])


def with_values(matrix: Array, change: Callable[[Array], Array]) -> Array:
    """Return `U · diag(change(σ)) · Vᵀ` of a matrix `U · diag(σ) · Vᵀ`, (rows, columns).

    `change` is given the singular values above zero, largest first, and returns as many.
    """
    if matrix.shape[0] < matrix.shape[1]:
        return with_values(matrix.mT, change).mT
    xp = array_namespace(matrix)
    if matrix.dtype == xp.float64:
        found = decomposed(matrix)
        made = found.scaled(change(found.values))
        return made.left @ made.right
    values, vectors = _eigen(matrix)
    rank = _numerical_rank(values, matrix, None)
    values, vectors = values[:rank], vectors[:, :rank]
    return _times(matrix, (vectors * (change(values) / values)) @ vectors.mT)


def polar(matrix: Array) -> Array:
    """Return `U · Vᵀ` of a matrix `U · diag(σ) · Vᵀ`: the nearest with orthonormal columns, or rows.

    Directions it does not reach stay out of it. Higham (1986), "Computing the polar decomposition",
    https://doi.org/10.1137/0907079
    """
    return with_values(matrix, lambda values: values * 0.0 + 1.0)


def squares(matrix: Array) -> Array:
    """Return the sum of the squares of a matrix, or of each of a batch, in float64."""
    xp = array_namespace(matrix)
    total = xp.zeros(matrix.shape[:-2], dtype=xp.float64, device=device(matrix))
    for rows in row_blocks(matrix):
        total = total + flat_squares(xp.astype(matrix[..., rows, :], xp.float64))
    return total


def flat_squares(block: Array) -> Array:
    """Return the sum of the squares of each matrix of a block in float64."""
    xp = array_namespace(block)
    flat = xp.reshape(block, (*block.shape[:-2], -1))
    return xp.vecdot(flat, flat)


def _numerical_rank(values: Array, matrix: Array, most: int | None) -> int:
    xp = array_namespace(values)
    floor = FLOORS[8 if matrix.dtype == xp.float64 else 4] * values[0]
    rank = int(xp.count_nonzero(values > floor))
    return rank if most is None else min(rank, most)


def _eigen(matrix: Array) -> tuple[Array, Array]:
    """Return the singular values of a tall matrix and its right vectors (columns, columns), in float64."""
    xp = array_namespace(matrix)
    side = matrix.shape[1]
    products = xp.zeros((side, side), dtype=xp.float64, device=device(matrix))
    for rows in row_blocks(matrix, DEEP):
        block = xp.astype(matrix[rows, :], xp.float64)
        products = products + block.mT @ block
    squared, vectors = xp.linalg.eigh(products)
    return xp.sqrt(xp.flip(xp.clip(squared, min=0.0))), xp.flip(vectors, axis=1)


def _times(matrix: Array, right: Array) -> Array:
    """Return `matrix @ right`, multiplied in float64 and stored as `matrix` is."""
    xp = array_namespace(matrix)
    made = xp.empty((matrix.shape[0], right.shape[1]), dtype=matrix.dtype, device=device(matrix))
    for rows in row_blocks(matrix, DEEP):
        made[rows, :] = xp.astype(xp.astype(matrix[rows, :], xp.float64) @ right, matrix.dtype)
    return made
