"""Core Space: adapters merged as small matrices, between bases that span the factors of all of them.

Panariello et al. (2025), "Accurate and efficient low-rank model merging in core space",
https://arxiv.org/abs/2509.17786
"""

from __future__ import annotations

from collections.abc import Sequence

from array_api_compat import array_namespace

from weightarith.errors import UnsupportedError, quoted
from weightarith.operators.factored import all_factored, is_matrix, moved
from weightarith.operators.field import Array, Field, Mixed, Product, Result, Tensors, computed
from weightarith.operators.isotropic import iso_c
from weightarith.operators.knots import elected, scaled
from weightarith.operators.operator import Operator, Option
from weightarith.operators.spectrum import decomposed
from weightarith.operators.tsv import tsv


def core_space(field: Field, merge: str, density: float, weights: tuple[float, ...]) -> Result:
    """Merge adapters as small matrices between bases they share; other tensors by their weighted sum.

    The left factors side by side give the left basis U, the right ones stacked the right basis V; the cores
    `Uᵀ·Bᵢ·Aᵢ·V`, scaled by `weights`, are merged as `merge` says, and put back between U and V. Nothing is
    lost on the way, and the result is as thin as the adapters' ranks added up.

    Raises:
        UnsupportedError: a matrix that is not in factored form.
    """
    if merge == "linear" or not is_matrix(field):
        return Mixed(weights)
    products = all_factored(field)
    if products is None:
        if not any(moved(field)):
            return Mixed(weights)
        raise UnsupportedError(
            f"core_space() merges adapters, and {quoted(field.name)} is dense in one of the vectors",
            hint="compress(v, rank=32) makes factors, and knots() merges dense matrices in a shared basis",
        )
    left, right, cores = _between(products)
    return Product(left, _merged(scaled(cores, weights), merge, density) @ right)


def _between(products: Sequence[Product]) -> tuple[Array, Array, list[Array]]:
    """Return both bases, (rows, some) and (some, columns), and the core of every product, in float64."""
    xp = array_namespace(products[0].left)
    lefts = [xp.astype(product.left, xp.float64) for product in products]
    rights = [xp.astype(product.right, xp.float64) for product in products]
    left = decomposed(xp.concat(lefts, axis=1)).left
    right = decomposed(xp.concat(rights, axis=0)).right
    return (
        left,
        right,
        [(left.mT @ one) @ (other @ right.mT) for one, other in zip(lefts, rights, strict=True)],
    )


def _merged(cores: list[Array], merge: str, density: float) -> Array:
    if merge == "ties" or 0 in cores[0].shape:
        return elected(cores, density)
    field = Tensors(cores)
    return computed(tsv(field, 0.0) if merge == "tsv" else iso_c(field), field)


CORE_SPACE = Operator(
    name="core_space",
    run=core_space,
    source="Panariello et al. (2025), Core Space, https://arxiv.org/abs/2509.17786",
    options=(
        Option(
            "merge", "choice", "tsv", choices=("tsv", "iso_c", "ties", "linear"), help="how cores are merged"
        ),
        Option("density", "number", 0.2, low=0.0, high=1.0, help="share of a core that `ties` keeps"),
        Option("weights", "number", 1.0, each=True, help="of the vectors"),
    ),
)
