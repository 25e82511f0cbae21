"""What a change and vectors have in common at a tensor, dense or in factors, against whole matrices."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from weightarith.monitor.overlap import overlap
from weightarith.operators.field import Product

ROWS, COLUMNS = 7, 5
KINDS = ("dense", "factors", "nothing")


def drawn(kind: str, seed: int) -> tuple[Product | None, np.ndarray]:
    """Return factors, if there are any, and the whole matrix."""
    random = np.random.default_rng(seed)
    left, right = random.standard_normal((ROWS, 2)), random.standard_normal((2, COLUMNS))
    if kind == "nothing":
        return None, np.zeros((ROWS, COLUMNS))
    return (Product(left, right), left @ right) if kind == "factors" else (None, left @ right)


@pytest.mark.parametrize("kinds", list(itertools.product(KINDS, repeat=3)), ids="-".join)
@pytest.mark.parametrize("block", [ROWS, 3])
def test_inner_products_by_row_and_by_column_are_those_of_the_whole_matrices(
    kinds: Sequence[str], block: int
) -> None:
    each = [drawn(kind, seed) for seed, kind in enumerate(kinds)]
    change, vectors = each[0][1], [whole for _, whole in each[1:]]
    dense = [number for number, kind in enumerate(kinds) if kind == "dense"]
    blocks = [
        (first, {number: each[number][1][first : first + block] for number in dense})
        for first in range(0, ROWS, block)
        if dense
    ]

    found = overlap((ROWS, COLUMNS), [factors for factors, _ in each], blocks)

    assert found.own == pytest.approx(float((change**2).sum()), abs=1e-12)
    for place, whole in enumerate(vectors):
        assert found.rows[place] == pytest.approx((change * whole).sum(axis=1), abs=1e-12)
        assert found.columns[place] == pytest.approx((change * whole).sum(axis=0), abs=1e-12)
