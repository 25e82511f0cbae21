"""Subspace Boosting: the small singular values of a merged matrix lifted to a floor.

Skorobogat et al. (2025), "Subspace-Boosted Model Merging", https://arxiv.org/abs/2506.16506
"""

from __future__ import annotations

from array_api_compat import array_namespace

from weightarith.operators.factored import all_factored, decomposed_product, is_matrix
from weightarith.operators.field import Array, Field, Mixed, Result, Whole
from weightarith.operators.isotropic import added
from weightarith.operators.operator import Operator, Option
from weightarith.operators.spectrum import with_values


def subspace_boosting(field: Field, beta: float) -> Result:
    """Add the vectors, and lift the small singular values of a matrix to a floor; the sum of other tensors.

    The floor is the singular value at which the largest, added up, first make `beta` of the sum of all. One
    vector that is merged already, such as `ties([v, w])`, is boosted as it is. Directions that the sum does
    not reach are not lifted.
    """
    if not is_matrix(field):
        return Mixed((1.0,) * len(field.keys))
    products = all_factored(field)
    if products is None:
        return Whole(with_values(added(field.whole()), lambda values: lifted(values, beta)))
    found = decomposed_product(added(products))
    return found.scaled(lifted(found.values, beta))


def lifted(values: Array, beta: float) -> Array:
    """Return singular values, largest first, none below the floor that `beta` sets."""
    xp = array_namespace(values)
    if not values.shape[0]:
        return values
    held = xp.cumulative_sum(values)
    place = min(int(xp.count_nonzero(held < beta * held[-1])), values.shape[0] - 1)
    return xp.maximum(values, values[place])


SUBSPACE_BOOSTING = Operator(
    name="subspace_boosting",
    run=subspace_boosting,
    source="Skorobogat et al. (2025), Subspace Boosting, https://arxiv.org/abs/2506.16506",
    options=(Option("beta", "number", 0.01, low=0.0, high=1.0, help="share of the sum of singular values"),),
)
