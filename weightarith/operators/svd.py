"""Truncated singular value decompositions, of large matrices from a random sketch.

What is said of the error is measured on the factors that are handed back, in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace, device

from weightarith.operators.field import Array, Product
from weightarith.operators.sketch import TOLERANCE, Triplets, rounding, sketched
from weightarith.operators.spectrum import decomposed, flat_squares, row_blocks, squares
from weightarith.operators.statistics import Doubles, on_host

OVERSAMPLE = 16
"""Random vectors beyond the rank asked for."""

ITERATIONS = 2
"""Power iterations, at least: with fewer the error may be several per cent above the smallest possible."""

SMALL = 4
"""A matrix is decomposed whole where its shorter side is at most this many times as long as the sketch."""

FIRST_RANK = 32
"""The rank first tried where one is chosen by energy."""


@dataclass(frozen=True, eq=False)
class Truncated:
    """The best approximation of a matrix by one of low rank, `left @ right`, or one close to it.

    Of a batch of matrices everything has the batch's axes first. `√σ` is in each factor; of each left vector
    the largest element is positive.

    Attributes:
        left: (rows, rank), in the matrix's dtype.
        right: (rank, columns).
        values: the singular values in float64, largest first, (rank,).
        norm: Frobenius norm of the matrix.
        error: Frobenius norm of the matrix less `left @ right`.
        excess: how far the error is above the smallest possible at this rank, relative: an estimate, made of
            how the captured energy still grew. 0 where the decomposition is exact.
    """

    left: Array
    right: Array
    values: Array
    norm: Doubles
    error: Doubles
    excess: Doubles

    @property
    def product(self) -> Product:
        """The factors."""
        return Product(self.left, self.right)

    @property
    def energy(self) -> Any:
        """The share of the matrix's squared norm that the factors hold, 0 to 1; 1 of a zero matrix."""
        import numpy as np

        lost = np.divide(self.error, self.norm, out=np.zeros_like(self.norm), where=self.norm > 0)
        return np.clip(1.0 - lost**2, 0.0, 1.0)

    @property
    def within(self) -> bool:
        """Whether the error is estimated to be within `TOLERANCE` of the smallest possible."""
        return bool((self.excess <= TOLERANCE).all())


def truncated(
    matrix: Array,
    rank: int,
    *,
    oversample: int = OVERSAMPLE,
    iterations: int = ITERATIONS,
    seed: int = 0,
    key: int = 0,
) -> Truncated:
    """Return the truncated singular value decomposition of a matrix (…, rows, columns), float32 or float64.

    The random vectors depend on `seed` and `key` only, so every device draws the same. Iterations go on from
    `iterations` to at most 16, until the error is estimated within `TOLERANCE` of the smallest.

    Args:
        matrix: one, or a batch with its axes first.
        rank: 1 or more; at most the shorter side is returned.
        oversample: random vectors beyond the rank.
        iterations: power iterations, at least.
        seed: the user's.
        key: of the tensor.
    """
    rank = min(rank, *matrix.shape[-2:])
    norm = _root(squares(matrix))
    if is_small(matrix, rank, oversample):
        found = _exact(matrix, rank)
    else:
        found = sketched(matrix, rank, rank + oversample, iterations, gaussian_key=(key, seed), norm=norm)
    return _finished(matrix, found, norm)


def reaching(matrix: Array, energy: float, *, most: int = 0, seed: int = 0, key: int = 0) -> Truncated:
    """Return the decomposition of the smallest rank that holds a share of a matrix's squared norm.

    The rank is found by doubling, up to the whole decomposition where it must be.

    Args:
        matrix: (rows, columns).
        energy: the share, 0 to 1.
        most: the largest rank; 0 for none. Where it does not suffice, it is the rank.
        seed: the user's.
        key: of the tensor.
    """
    limit = min(most or min(matrix.shape), *matrix.shape)
    norm = _root(squares(matrix))
    rank = min(FIRST_RANK, limit)
    while True:
        if is_small(matrix, rank):
            found, rank = _exact(matrix, limit), limit
        else:
            found = sketched(matrix, rank, rank + OVERSAMPLE, ITERATIONS, gaussian_key=(key, seed), norm=norm)
        enough = rank_of_energy(found.values, energy, float(norm) ** 2, rounding(matrix))
        if enough <= rank or rank == limit:
            return _finished(matrix, _first(found, min(enough, rank)), norm)
        rank = min(2 * rank, limit)


def rank_of_energy(values: Array, energy: float, total: float, rounding: float = 1e-14) -> int:
    """Return the fewest of the largest singular values whose squares make up a share of `total`, 1 at least.

    One more than there are if all do not suffice. A share within `rounding` of the whole counts as the whole.
    """
    xp = array_namespace(values)
    held = xp.cumulative_sum(values * values)
    missing = max(1.0 - energy, rounding) * total
    return max(int(xp.count_nonzero(total - held > missing)) + 1, 1)


def is_small(matrix: Array, rank: int, oversample: int = OVERSAMPLE) -> bool:
    """Return whether a matrix is decomposed whole rather than from a sketch."""
    return bool(min(matrix.shape[-2:]) <= SMALL * (rank + oversample))


def _root(squared: Array) -> Doubles:
    xp = array_namespace(squared)
    return on_host(xp.asarray(xp.sqrt(squared)))


def _exact(matrix: Array, rank: int) -> Triplets:
    """Return the largest singular triplets of a matrix, or of each of a batch; zeros past its rank."""
    import numpy as np

    xp = array_namespace(matrix)
    if len(matrix.shape) > 2:
        each = [_exact(matrix[number, ...], rank) for number in range(matrix.shape[0])]
        left, values, right = (
            xp.stack([getattr(one, part) for one in each]) for part in ("left", "values", "right")
        )
        return Triplets(left, values, right, np.zeros(matrix.shape[:-2]))
    found = decomposed(matrix, rank)
    missing, where = rank - found.rank, device(matrix)
    left = xp.zeros((matrix.shape[0], missing), dtype=matrix.dtype, device=where)
    right = xp.zeros((missing, matrix.shape[1]), dtype=matrix.dtype, device=where)
    none = xp.zeros((missing,), dtype=xp.float64, device=where)
    return Triplets(
        xp.concat([found.left, left], axis=1),
        xp.concat([found.values, none]),
        xp.concat([found.right, right]),
        np.zeros(()),
    )


def _first(found: Triplets, rank: int) -> Triplets:
    return Triplets(
        found.left[..., :rank], found.values[..., :rank], found.right[..., :rank, :], found.excess
    )


def balanced(left: Array, values: Array, right: Array) -> Product:
    """Return `left · diag(values) · right` with `√σ` in each factor, signs fixed by the left vectors."""
    xp = array_namespace(left)
    place = xp.argmax(xp.abs(left), axis=-2, keepdims=True)
    sign = xp.where(xp.take_along_axis(left, place, axis=-2) < 0, -1.0, 1.0)  # (..., 1, rank)
    root = xp.sqrt(values)[..., None, :] * sign
    return Product(left * xp.astype(root, left.dtype), right * xp.astype(root.mT, right.dtype))


def _finished(matrix: Array, found: Triplets, norm: Doubles) -> Truncated:
    product = balanced(found.left, found.values, found.right)
    error = _root(residual(matrix, product))
    return Truncated(product.left, product.right, found.values, norm, error, found.excess)


def residual(matrix: Array, product: Product) -> Array:
    """Return the sum of the squares of what a matrix, or each of a batch, and a product differ by."""
    xp = array_namespace(matrix)
    total = xp.zeros(matrix.shape[:-2], dtype=xp.float64, device=device(matrix))
    right = xp.astype(product.right, xp.float64)
    for rows in row_blocks(matrix):
        held = xp.astype(product.left[..., rows, :], xp.float64) @ right
        total = total + flat_squares(xp.astype(matrix[..., rows, :], xp.float64) - held)
    return total
