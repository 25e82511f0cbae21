"""Principal angles between what two displacements read and what they write: their row and column spaces.

Of each displacement the directions with the largest singular values are taken, as many of both, so that a
matrix of full rank can be compared with an adapter of rank 8. Two random subspaces overlap too, and how much
stands beside every result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from weightarith.algebra import Linear
from weightarith.engine.settings import Policy
from weightarith.engine.together import Together, plan_of_all, visit_all
from weightarith.geometry.products import Doubles
from weightarith.geometry.stacked import Stacked
from weightarith.operators.factored import decomposed_product, is_matrix
from weightarith.operators.field import Product
from weightarith.operators.statistics import on_host
from weightarith.operators.svd import truncated

DIRECTIONS = 8
"""Directions of each displacement that are compared, at most."""


@dataclass(frozen=True, eq=False)
class Overlap:
    """How two matrices' leading directions lie to each other.

    Attributes:
        left: cosines of the principal angles between their column spaces, what they write; largest first.
        right: the same of their row spaces, what they read.
        ranks: how many directions of each were compared.
        shape: of the matrices.
    """

    left: Doubles
    right: Doubles
    ranks: tuple[int, int]
    shape: tuple[int, int]

    @property
    def writing(self) -> float:
        """The mean squared cosine of `left`, 0 to 1: `φ` of Hu et al. (2021), section 7.2.

        https://arxiv.org/abs/2106.09685
        """
        return _similarity(self.left)

    @property
    def reading(self) -> float:
        """The mean squared cosine of `right`, 0 to 1."""
        return _similarity(self.right)

    @property
    def by_chance(self) -> tuple[float, float]:
        """What `writing` and `reading` are on average where both subspaces are random."""
        rows, columns = self.shape
        return max(self.ranks) / rows, max(self.ranks) / columns


def overlap(
    one: Linear,
    other: Linear,
    *,
    directions: int = DIRECTIONS,
    policy: Policy | None = None,
    threads: int = 0,
    progress: Callable[[int], None] = lambda _moved: None,
) -> dict[str, Overlap]:
    """Return the principal angles of two vectors at every matrix that both of them move, by name.

    Björck and Golub (1973), "Numerical methods for computing angles between linear subspaces",
    https://doi.org/10.2307/2005662

    Args:
        one: a vector.
        other: another.
        directions: how many of each are compared, at most: those with the largest singular values.
        policy: what may happen where inputs disagree; None refuses every disagreement.
        threads: how many; 0 takes one a core.
        progress: called now and then with the bytes of the tensors done so far.

    Raises:
        WeightArithError: they are no vectors, do not fit together, or are damaged or not finite.
    """

    def look(field: Together) -> Overlap | None:
        return _looked_at(field, directions)

    seen = visit_all(plan_of_all([one, other], policy), look, threads=threads, progress=progress)
    return {name: found for name, found in seen.items() if found is not None}


def _looked_at(field: Together, most: int) -> Overlap | None:
    if not is_matrix(field):
        return None
    first, second = (_directions(field.only([number]), most) for number in (0, 1))
    ranks = first.left.shape[1], second.left.shape[1]
    if not min(ranks):
        return None
    left = np.linalg.svd(first.left.T @ second.left, compute_uv=False)
    right = np.linalg.svd(first.right @ second.right.T, compute_uv=False)
    rows, columns = field.shape
    return Overlap(np.minimum(left, 1.0), np.minimum(right, 1.0), ranks, (rows, columns))


def _directions(field: Together, most: int) -> Product:
    """Return orthonormal columns (rows, count) and orthonormal rows (count, columns) of the only operand."""
    (operand,) = field.operands
    if not operand.parts and not operand.factors:
        return Product(np.zeros((field.shape[0], 0)), np.zeros((0, field.shape[1])))
    if not operand.parts:
        found = decomposed_product(Stacked(field).product, most)
        return Product(on_host(found.left), on_host(found.right))
    made = truncated(field.whole()[0], most)
    held = made.values > made.values.max(initial=0.0) * _FLOOR
    left, right = on_host(made.left)[:, held], on_host(made.right)[held]
    return Product(left / np.linalg.norm(left, axis=0), right / np.linalg.norm(right, axis=1)[:, None])


def _similarity(cosines: Doubles) -> float:
    return float((cosines**2).mean())


_FLOOR = 1e-6
"""Singular values of a dense matrix below this share of its largest are rounding."""
