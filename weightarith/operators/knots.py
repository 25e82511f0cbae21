"""KnOTS: matrices merged by their coordinates in the left singular vectors of all of them side by side.

Stoica et al. (2024), "Model merging with SVD to tie the KnOTS", https://arxiv.org/abs/2410.19735
"""

from __future__ import annotations

from collections.abc import Sequence

from array_api_compat import array_namespace
from array_api_compat import size as elements

from weightarith.operators.factored import all_factored, is_matrix
from weightarith.operators.field import Array, Field, Mixed, Product, Result, Whole
from weightarith.operators.operator import Operator, Option
from weightarith.operators.spectrum import decomposed


def knots(field: Field, merge: str, density: float, weights: tuple[float, ...]) -> Result:
    """Merge matrices by their coordinates in a basis they share; other tensors as they are.

    The matrices side by side are `U·Σ·[V₁ … V_T]ᵀ`; their coordinates `Σ·Vᵢᵀ` are scaled by `weights`, merged
    as `merge` says, and multiplied by U. What comes in as factors is never made dense.
    """
    if merge == "linear":
        return Mixed(weights)
    if not is_matrix(field):
        return Whole(elected(scaled(field.whole(), weights), density))
    products = all_factored(field)
    basis, coordinates = _aligned(field.whole()) if products is None else _aligned_products(products)
    product = Product(basis, elected(scaled(coordinates, weights), density))
    rows, columns = field.shape
    if basis.shape[1] * (rows + columns) < rows * columns:
        return product
    return Whole(product.left @ product.right)


def scaled(operands: Sequence[Array], weights: Sequence[float]) -> list[Array]:
    """Return arrays times their weights."""
    return [one * number for one, number in zip(operands, weights, strict=True)]


def elected(operands: Sequence[Array], density: float) -> Array:
    """Return the TIES merge of arrays of one shape: trimmed, signs elected, the mean of those that agree.

    Of each array the share `density` that is largest in magnitude stays, one element at least, and more where
    magnitudes tie. The sign of the sum is elected; where the sum is 0 so is the result. Yadav et al. (2023),
    "TIES-Merging", section 3, https://arxiv.org/abs/2306.01708
    """
    xp = array_namespace(*operands)
    trimmed = [trimmed_to(one, density) for one in operands]
    total = trimmed[0]
    for one in trimmed[1:]:
        total = total + one
    agreeing, count = xp.zeros_like(total), xp.zeros_like(total)
    for one in trimmed:
        agrees = xp.sign(one) * xp.sign(total) > 0
        agreeing = agreeing + xp.where(agrees, one, xp.zeros_like(one))
        count = count + xp.astype(agrees, total.dtype)
    return agreeing / xp.where(count > 0, count, xp.ones_like(count))


def trimmed_to(array: Array, density: float) -> Array:
    """Return an array with all but its largest magnitudes set to zero."""
    xp = array_namespace(array)
    magnitudes, count = xp.abs(array), elements(array)
    kept = max(int(density * count), 1)
    if kept >= count:
        return array
    threshold = xp.sort(xp.reshape(magnitudes, (-1,)))[count - kept]
    return xp.where(magnitudes >= threshold, array, xp.zeros_like(array))


def _aligned(matrices: Sequence[Array]) -> tuple[Array, list[Array]]:
    """Return left singular vectors (rows, rank) of matrices side by side, and each one's coordinates."""
    xp = array_namespace(*matrices)
    basis = decomposed(xp.concat(list(matrices), axis=1)).left
    return basis, [basis.mT @ matrix for matrix in matrices]


def _aligned_products(products: Sequence[Product]) -> tuple[Array, list[Array]]:
    """Return the same as `_aligned` of the products, from their factors, in float64.

    The left factors side by side are `Q·[R₁ … R_T]`, so that `Q·[R₁·A₁ … R_T·A_T]` are the matrices.
    """
    xp = array_namespace(products[0].left)
    left = xp.concat([xp.astype(product.left, xp.float64) for product in products], axis=1)
    outer, triangle = xp.linalg.qr(left)
    inner, start = [], 0
    for product in products:
        rank = product.left.shape[1]
        inner.append(triangle[:, start : start + rank] @ xp.astype(product.right, xp.float64))
        start += rank
    basis, coordinates = _aligned(inner)
    return outer @ basis, coordinates


KNOTS = Operator(
    name="knots",
    run=knots,
    source="Stoica et al. (2024), KnOTS, https://arxiv.org/abs/2410.19735",
    options=(
        Option("merge", "choice", "ties", choices=("ties", "linear"), help="how coordinates are merged"),
        Option("density", "number", 0.2, low=0.0, high=1.0, help="share of each one's coordinates kept"),
        Option("weights", "number", 1.0, each=True, help="of the vectors"),
    ),
)
