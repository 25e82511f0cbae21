"""Model Stock: the mean of task vectors, shortened by how much they disagree.

The angle between fine-tunes of one base says how far their mean is from the middle of the shell they lie on.
"""

from __future__ import annotations

from itertools import combinations

from array_api_compat import array_namespace

from weightarith.operators.angles import cosine, norms, row_products, tensor_products
from weightarith.operators.field import Array, Field, Mixed, Rowwise
from weightarith.operators.operator import COMPAT, Operator, Option

MERGEKIT_LEAST, MERGEKIT_SINGULAR = 1e-6, 1e-6


def model_stock(field: Field, *, per: str = "tensor", compat: str = "") -> Mixed | Rowwise:
    """Return `t` times the mean of the task vectors, `t = N·cos θ / (1 + (N−1)·cos θ)`.

    cos θ is the mean cosine over all pairs; a pair with a zero vector has 0. Where it is negative, which the
    derivation excludes, `t` is 0: vectors that point apart have no direction in common.

    Args:
        field: two task vectors or more.
        per: `tensor`, or `row` for an angle for each row ("filter-wise").
        compat: `mergekit` lets a negative cosine turn the mean around or enlarge it, and counts products of
            norms below 1e-6 as 1e-6.
    """
    theirs = compat == "mergekit"
    operands = len(field.keys)

    def by_rows(values: Array, first: int) -> Array:  # noqa: ARG001  (the signature of a rule for rows)
        xp = array_namespace(values)
        share = ratio(row_products(values), mergekit=theirs)
        return share[:, None] * (xp.sum(values, axis=0) / operands)

    if per == "row" and field.count:
        return Rowwise(by_rows)
    share = float(ratio(tensor_products(field), mergekit=theirs))
    return Mixed((share / operands,) * operands)


def ratio(products: Array, *, mergekit: bool) -> Array:
    """Return how much of the mean is kept, of shape (...), for inner products (..., operands, operands)."""
    xp, operands = array_namespace(products), products.shape[-1]
    pairs = list(combinations(range(operands), 2))
    if mergekit:
        sizes = norms(products)
        found = [products[..., i, j] / xp.clip(sizes[i] * sizes[j], min=MERGEKIT_LEAST) for i, j in pairs]
        found = [xp.clip(one, min=-1.0, max=1.0) for one in found]
    else:
        found = [cosine(products, i, j) for i, j in pairs]
    mean = xp.clip(sum(found) / len(pairs), min=-1.0 if mergekit else 0.0, max=1.0)
    below = 1 + (operands - 1) * mean
    singular = xp.abs(below) < MERGEKIT_SINGULAR
    return xp.where(singular, 0.0, operands * mean / xp.where(singular, 1.0, below))


MODEL_STOCK = Operator(
    name="model_stock",
    run=model_stock,
    source="Jang, Yun and Han (2024), Model Stock of N models, https://arxiv.org/abs/2403.19522",
    fewest=2,
    options=(
        Option("per", "choice", "tensor", choices=("tensor", "row"), help="what has an angle"),
        COMPAT,
    ),
)
