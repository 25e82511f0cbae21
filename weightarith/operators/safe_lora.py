"""Safe LoRA: a fine-tune's matrices projected towards what alignment changed, where they point elsewhere.

Hsu et al. (2024), "Safe LoRA", section 3, https://arxiv.org/abs/2405.16833
"""

from __future__ import annotations

import math

from array_api_compat import array_namespace

from weightarith.errors import RecipeError
from weightarith.operators.factored import decomposed_product, is_matrix
from weightarith.operators.field import Array, Field, Mixed, Product, Result, Whole
from weightarith.operators.operator import Operator, Option
from weightarith.operators.spectrum import decomposed, row_blocks, squares

KEPT = Mixed((1.0, 0.0))


def safe_lora(field: Field, operands: int, threshold: float, projection: str) -> Result:
    """Project a vector's matrices onto the alignment direction where they leave it; the rest stays.

    With V the aligned model less the unaligned one, C is `V·Vᵀ/‖V‖`, or with `projection="exact"` the
    orthogonal projection onto the columns of V. Where the cosine of Δ and `C·Δ` is at most `threshold`, Δ
    becomes `C·Δ`. Where alignment changed nothing, and at tensors that are no matrices, Δ stays.

    Raises:
        RecipeError: several vectors as `alignment`.
    """
    if len(field.keys) != operands + 1:
        raise RecipeError(f"safe_lora(alignment=…) takes one vector, not {len(field.keys) - operands}")
    if not is_matrix(field):
        return KEPT
    product, aligned_product = field.factors()
    dense = field.whole() if product is None or aligned_product is None else (None, None)
    aligned: Product | Array = aligned_product or dense[1]
    towards = _exact if projection == "exact" else _scaled
    if product is None:
        projected = towards(aligned, dense[0])
        if projected is None or _cosine(dense[0], projected) > threshold:
            return KEPT
        return Whole(projected)
    left = towards(aligned, product.left)
    if left is None or _cosine_of_products(product, left) > threshold:
        return product
    return Product(left, product.right)


def _scaled(aligned: Product | Array, delta: Array) -> Array | None:
    """Return `V·Vᵀ·delta/‖V‖`, multiplied in the cheaper order; None where V is zero."""
    xp = array_namespace(delta)
    if isinstance(aligned, Product):
        left, right = xp.astype(aligned.left, delta.dtype), xp.astype(aligned.right, delta.dtype)
        inner = right @ right.mT  # (rank, rank)
        norm = _root(xp.sum((left.mT @ left) * inner))
        return left @ (inner @ (left.mT @ delta)) / norm if norm else None
    norm = _root(squares(aligned))
    if not norm:
        return None
    turned = xp.astype(delta, aligned.dtype)
    rows, columns = aligned.shape
    narrow = columns <= rows or delta.shape[1] < rows
    product = aligned @ (aligned.mT @ turned) if narrow else (aligned @ aligned.mT) @ turned
    return xp.astype(product / norm, delta.dtype)


def _exact(aligned: Product | Array, delta: Array) -> Array | None:
    """Return the orthogonal projection of `delta` onto the columns of V; None where V is zero."""
    found = decomposed_product(aligned) if isinstance(aligned, Product) else decomposed(aligned)
    basis = array_namespace(delta).astype(found.left, delta.dtype)
    return basis @ (basis.mT @ delta) if basis.shape[1] else None


def _cosine(one: Array, other: Array) -> float:
    """Return the cosine of two matrices of one shape; 0 where one is zero."""
    size = _root(squares(one)) * _root(squares(other))
    if not size:
        return 0.0
    xp = array_namespace(one)
    total = 0.0
    for rows in row_blocks(one):
        first, second = (xp.reshape(xp.astype(each[rows, :], xp.float64), (-1,)) for each in (one, other))
        total += float(xp.vecdot(first, second))
    return total / size


def _cosine_of_products(product: Product, left: Array) -> float:
    """Return the cosine of a product and the one with another left factor."""
    xp = array_namespace(left)
    right = xp.astype(product.right, xp.float64)
    across = right @ right.mT  # (rank, rank)
    first, second = xp.astype(product.left, xp.float64), xp.astype(left, xp.float64)
    size = _root(xp.sum((first.mT @ first) * across)) * _root(xp.sum((second.mT @ second) * across))
    return float(xp.sum((first.mT @ second) * across)) / size if size else 0.0


def _root(squared: Array) -> float:
    return math.sqrt(max(float(squared), 0.0))


SAFE_LORA = Operator(
    name="safe_lora",
    run=safe_lora,
    source="Hsu et al. (2024), section 3, https://arxiv.org/abs/2405.16833",
    most=1,
    beside="alignment",
    options=(
        Option("threshold", "number", 0.5, low=-1.0, high=1.0, help="cosine up to which it is projected"),
        Option(
            "projection", "choice", "scaled", choices=("scaled", "exact"), help="the paper's, or orthogonal"
        ),
    ),
)
