"""Exact algebra of displacements stored as two factors, `left @ right`: their dense form is never made.

A sum of products is a product of stacked factors, so ranks add; QR of both factors and a small decomposition
give the singular values. Sums and decompositions are in float64.
"""

from __future__ import annotations

from collections.abc import Sequence

from array_api_compat import array_namespace

from weightarith.operators.field import Field, Product
from weightarith.operators.spectrum import Spectrum, decomposed, nothing
from weightarith.operators.statistics import on_host
from weightarith.operators.svd import Truncated, balanced, rank_of_energy


def concatenate(products: Sequence[Product], coefficients: Sequence[float]) -> Product:
    """Return `Σ coefficients[i] · products[i]`, the coefficients in the left factor; ranks add."""
    xp = array_namespace(products[0].left)
    scaled = [product.left * number for product, number in zip(products, coefficients, strict=True)]
    return Product(xp.concat(scaled, axis=1), xp.concat([product.right for product in products], axis=0))


def decomposed_product(product: Product, most: int | None = None) -> Spectrum:
    """Return the singular value decomposition of a product, its numerical rank and no more, in float64."""
    xp = array_namespace(product.left)
    tall, wide = xp.astype(product.left, xp.float64), xp.astype(product.right, xp.float64)
    if 0 in (*tall.shape, *wide.shape):
        return nothing(tall, wide)
    left, first = xp.linalg.qr(tall)
    right, second = xp.linalg.qr(wide.mT)
    inner = decomposed(first @ second.mT, most)
    return Spectrum(left @ inner.left, inner.values, inner.right @ right.mT)


def recompress(product: Product, rank: int = 0, energy: float = 0.0) -> Truncated:
    """Return the best approximation of a product by one of lower rank, in the dtype of its factors.

    Args:
        product: left (rows, r) and right (r, columns).
        rank: the largest rank; 0 for none, and then nothing but zeros is left out.
        energy: the share of the squared norm that suffices, 0 to 1; 0 for all that `rank` allows.
    """
    import numpy as np

    xp, dtype = array_namespace(product.left), product.left.dtype
    found = decomposed_product(product)
    squared = on_host(found.values) ** 2
    kept = min(rank or found.rank, found.rank)
    if energy and kept:
        kept = min(kept, rank_of_energy(found.values, energy, float(squared.sum())))
    first = found.first(kept)
    made = balanced(first.left, first.values, first.right)
    return Truncated(
        left=xp.astype(made.left, dtype),
        right=xp.astype(made.right, dtype),
        values=first.values,
        norm=np.sqrt(np.asarray(squared.sum())),
        error=np.sqrt(np.asarray(squared[kept:].sum())),
        excess=np.zeros(()),
    )


def spectra(field: Field, most: int | None = None) -> list[Spectrum]:
    """Return the decomposition of every operand at a matrix, from its factors where it has some."""
    factors = field.factors()
    dense = list(field.whole()) if None in factors else [None] * len(factors)
    found = []
    for number, product in enumerate(factors):
        matrix, dense[number] = dense[number], None  # let go as soon as it is done with
        found.append(decomposed(matrix, most) if product is None else decomposed_product(product, most))
    return found


def all_factored(field: Field) -> list[Product] | None:
    """Return the factors of every operand; None where one is dense.

    A dense operand that is all zero counts as one of rank 0: a vector that does not touch this tensor.
    """
    factors = field.factors()
    if all(product is None for product in factors):
        return None
    some = next(product for product in factors if product is not None)
    empty = Product(some.left[:, :0], some.right[:0, :])
    touched = moved(field) if None in factors else [True] * len(factors)
    if any(product is None and moves for product, moves in zip(factors, touched, strict=True)):
        return None
    return [product or empty for product in factors]


def moved(field: Field) -> list[bool]:
    """Return which operands are anything but zero."""
    found = [False] * len(field.keys)
    for _, values in field.blocks():
        xp = array_namespace(values)
        each = on_host(xp.any(values != 0, axis=1))
        found = [known or bool(now) for known, now in zip(found, each, strict=True)]
        if all(found):
            break
    return found


def is_matrix(field: Field) -> bool:
    """Return whether a tensor has two axes and elements."""
    return len(field.shape) == 2 and field.count > 0


def mean(field: Field) -> tuple[float, ...]:
    """Return the coefficients of the mean of the operands."""
    return (1.0 / len(field.keys),) * len(field.keys)
