from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.operators_spectral.arrays import (
    LIBRARIES,
    NeverDense,
    back,
    factored_field,
    field,
    normal,
    product,
    to,
)
from weightarith.operators.factored import (
    all_factored,
    concatenate,
    decomposed_product,
    recompress,
    spectra,
)
from weightarith.operators.field import Product, Tensors


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@given(
    ranks=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    rows=st.integers(1, 7),
    columns=st.integers(1, 7),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_a_sum_of_products_is_the_product_of_stacked_factors(
    ranks: list[int], rows: int, columns: int, data: st.DataObject
) -> None:
    numbers = data.draw(
        st.lists(st.floats(-3, 3, width=32), min_size=len(ranks), max_size=len(ranks)), label="coefficients"
    )
    pairs = [(normal(i, rows, rank), normal(i + 9, rank, columns)) for i, rank in enumerate(ranks)]
    found = concatenate([Product(*pair) for pair in pairs], numbers)
    expected = sum(number * (left @ right) for number, (left, right) in zip(numbers, pairs, strict=True))
    assert found.left.shape[1] == sum(ranks)
    np.testing.assert_allclose(found.left @ found.right, expected, atol=1e-12)


def test_the_difference_of_a_product_and_itself_is_zero_and_has_no_rank(library: str) -> None:
    one = product(library, normal(0, 8, 3), normal(1, 3, 6))
    found = recompress(concatenate([one, one], [1.0, -1.0]))
    assert float(found.norm) < 1e-14 * 8


@pytest.mark.parametrize("shape", [(9, 6), (6, 9), (3, 9), (1, 5), (5, 1)])
@pytest.mark.parametrize("rank", [0, 1, 2, 4])
def test_recompression_is_the_best_approximation_of_the_dense_product(
    library: str, shape: tuple[int, int], rank: int
) -> None:
    left, right = normal(2, shape[0], 4), normal(3, 4, shape[1])
    found = recompress(product(library, left, right), rank)
    outer, values, inner = np.linalg.svd(left @ right, full_matrices=False)
    kept = min(rank or 4, 4, *shape)
    best = (outer[:, :kept] * values[:kept]) @ inner[:kept]
    np.testing.assert_allclose(back(found.left @ found.right), best, atol=1e-12)
    np.testing.assert_allclose(found.error, np.linalg.norm(left @ right - best), atol=1e-12)
    np.testing.assert_allclose(found.norm, np.linalg.norm(left @ right))
    np.testing.assert_allclose(back((found.left**2).sum(0)), values[:kept])


def test_recompression_finds_the_rank_that_is_really_there(library: str) -> None:
    left, right = normal(4, 20, 2), normal(5, 2, 30)
    doubled = product(library, np.hstack([left, left]), np.vstack([right, right]))
    found = recompress(doubled)
    assert found.values.shape[0] == 2
    np.testing.assert_allclose(back(found.left @ found.right), 2 * left @ right, atol=1e-12)


@pytest.mark.parametrize(("energy", "rank", "kept"), [(0.5, 0, 1), (0.8, 0, 2), (0.8, 1, 1), (1.0, 0, 4)])
def test_recompression_by_energy_keeps_as_few_as_suffice(energy: float, rank: int, kept: int) -> None:
    values = np.sqrt([0.5, 0.3, 0.15, 0.05])
    left, right = np.eye(9)[:, :4] * values, np.eye(4, 7)
    found = recompress(Product(left, right), rank, energy)
    assert found.values.shape[0] == kept
    np.testing.assert_allclose(found.energy, (values[:kept] ** 2).sum())


def test_recompression_keeps_the_dtype_of_the_factors(library: str) -> None:
    left, right = normal(6, 9, 3).astype("float32"), normal(7, 3, 8).astype("float32")
    found = recompress(product(library, left, right), 2)
    assert back(found.left).dtype == back(found.right).dtype == np.float32


def test_recompression_needs_no_room_for_the_dense_form() -> None:
    found = recompress(Product(normal(8, 300_000, 2), normal(9, 2, 300_000)), 1)  # dense: 720 GB
    assert found.left.shape == (300_000, 1)


def test_a_product_without_columns_is_zero(library: str) -> None:
    found = recompress(product(library, np.zeros((4, 0)), np.zeros((0, 3))), 2)
    assert found.left.shape == (4, 0)
    assert float(found.norm) == float(found.error) == 0
    assert float(found.energy) == 1
    assert decomposed_product(product(library, np.zeros((4, 0)), np.zeros((0, 3)))).rank == 0


def test_operands_are_decomposed_from_what_they_are_stored_as(library: str) -> None:
    left, right, other = normal(10, 9, 2), normal(11, 2, 7), normal(12, 9, 7)
    mixed = Tensors(
        [to(library, left @ right), to(library, other)], factors=[product(library, left, right), None]
    )
    one, two = spectra(mixed, 3)
    assert (one.rank, two.rank) == (2, 3)
    np.testing.assert_allclose(back(one.values), np.linalg.svd(left @ right)[1][:2])
    np.testing.assert_allclose(back(two.values), np.linalg.svd(other)[1][:3])


def test_products_alone_are_never_made_dense(library: str) -> None:
    pairs = [product(library, normal(13, 6, 2), normal(14, 2, 5))] * 2
    spectra(NeverDense([pair.left @ pair.right for pair in pairs], factors=pairs))


def test_a_vector_that_does_not_touch_a_tensor_counts_as_factored(library: str) -> None:
    left, right = normal(15, 6, 2), normal(16, 2, 5)
    dense = [to(library, left @ right), to(library, np.zeros((6, 5)))]
    found = all_factored(Tensors(dense, factors=[product(library, left, right), None], block=4))
    assert found is not None
    assert [one.left.shape for one in found] == [(6, 2), (6, 0)]
    dense[1][5, 4] = 1.0
    assert all_factored(Tensors(dense, factors=[product(library, left, right), None], block=4)) is None
    assert all_factored(field(library, [left @ right])) is None
    assert all_factored(factored_field(library, [(left, right)])) is not None
