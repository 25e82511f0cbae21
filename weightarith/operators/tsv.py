"""TSV-Merge: the top singular directions of every task, made orthogonal to one another, then added.

Gargiulo et al. (2024), "Task Singular Vectors", TSV-Merge, https://arxiv.org/abs/2412.00081
"""

from __future__ import annotations

from collections.abc import Sequence

from array_api_compat import array_namespace

from weightarith.operators.factored import is_matrix, mean, spectra
from weightarith.operators.field import Array, Field, Mixed, Result, Whole
from weightarith.operators.operator import Operator, Option
from weightarith.operators.spectrum import Spectrum, polar


def tsv(field: Field, share: float) -> Result:
    """Add the top singular directions of each vector's matrices, made orthogonal; the mean of other tensors.

    Each of T vectors gives `share` of its singular triplets, 1/T where that is 0. Stacked left and right
    vectors are each replaced by the nearest orthonormal ones; the singular values stay.
    """
    if not is_matrix(field):
        return Mixed(mean(field))
    count = max(int(min(field.shape) * (share or 1.0 / len(field.keys))), 1)
    parts = spectra(field, count)
    return joined(parts, field, array_namespace(parts[0].left).concat([part.values for part in parts]))


def joined(parts: Sequence[Spectrum], field: Field, values: Array) -> Result:
    """Return the sum of decompositions whose vectors are made orthogonal first: factors where they are thin.

    `values` take the place of the singular values, part after part.
    """
    made = orthogonalised(parts)
    product = made.scaled(values)
    rows, columns = field.shape
    if made.rank * (rows + columns) < rows * columns:
        return product
    return Whole(product.left @ product.right)


def orthogonalised(parts: Sequence[Spectrum]) -> Spectrum:
    """Return decompositions side by side, with the nearest orthonormal left and right vectors.

    Vectors that coincide share their direction: two equal ones become `1/√2` of it each.
    """
    xp = array_namespace(*(part.left for part in parts))
    left = polar(xp.concat([part.left for part in parts], axis=1))
    right = polar(xp.concat([part.right for part in parts], axis=0))
    return Spectrum(left, xp.concat([part.values for part in parts]), right)


TSV = Operator(
    name="tsv",
    run=tsv,
    source="Gargiulo et al. (2024), TSV-Merge, https://arxiv.org/abs/2412.00081",
    options=(Option("share", "number", 0.0, low=0.0, high=1.0, help="of each one's directions; 0 for 1/T"),),
)
