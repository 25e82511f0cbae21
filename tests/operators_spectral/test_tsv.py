from __future__ import annotations

import numpy as np
import pytest

from tests.operators_spectral.arrays import (
    LIBRARIES,
    Doubles,
    NeverDense,
    Single,
    dense,
    factored_field,
    field,
    normal,
    orthonormal,
    product,
    to,
)
from weightarith.operators.field import Mixed, Product, Whole
from weightarith.operators.tsv import TSV, tsv


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def naive_orthogonal(matrix: Doubles) -> Doubles:
    left, _, right = np.linalg.svd(matrix, full_matrices=False)
    return np.asarray(left @ right)


def naive(matrices: list[Doubles], share: float) -> Doubles:
    """Return TSV-Merge of matrices whose singular vectors together are independent."""
    count = int(min(matrices[0].shape) * share)
    left, values, right = [], [], []
    for matrix in matrices:
        outer, singular, inner = np.linalg.svd(matrix, full_matrices=False)
        left.append(outer[:, :count])
        values.append(singular[:count])
        right.append(inner[:count])
    middle = np.diag(np.concatenate(values))
    return np.asarray(naive_orthogonal(np.hstack(left)) @ middle @ naive_orthogonal(np.vstack(right)))


@pytest.mark.parametrize("shape", [(12, 9), (9, 12), (10, 10)])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_merge_is_that_of_the_paper(library: str, shape: tuple[int, int], count: int) -> None:
    matrices = [normal(seed, *shape) for seed in range(count)]
    given = field(library, matrices)
    np.testing.assert_allclose(
        dense(tsv(given, 0.0), given), naive(matrices, 1 / count), rtol=1e-9, atol=1e-10
    )
    np.testing.assert_allclose(dense(tsv(given, 0.25), given), naive(matrices, 0.25), rtol=1e-9, atol=1e-10)


def test_float32_matrices_are_merged_to_float32_rounding(library: str) -> None:
    matrices = [normal(seed, 40, 30).astype("float32") for seed in range(2)]
    given = Single([to(library, one) for one in matrices])
    expected = naive([one.astype(float) for one in matrices], 0.5)
    np.testing.assert_allclose(dense(tsv(given, 0.0), given), expected, atol=2e-4)


def test_one_vector_is_itself(library: str) -> None:
    given = field(library, [normal(0, 7, 5)])
    np.testing.assert_allclose(dense(tsv(given, 0.0), given), normal(0, 7, 5), atol=1e-12)


def test_tasks_in_orthogonal_directions_are_added(library: str) -> None:
    left, right = orthonormal(1, 12, 6), orthonormal(2, 10, 6)
    one, two = (left[:, :3] * [3, 2, 1]) @ right[:, :3].T, (left[:, 3:] * [9, 5, 1]) @ right[:, 3:].T
    given = field(library, [one, two])
    np.testing.assert_allclose(dense(tsv(given, 0.3), given), one + two, atol=1e-12)


def test_a_vector_merged_with_itself_keeps_its_strongest_directions(library: str) -> None:
    matrix = normal(3, 8, 6)
    outer, values, inner = np.linalg.svd(matrix, full_matrices=False)
    given = field(library, [matrix, matrix])
    np.testing.assert_allclose(
        dense(tsv(given, 0.0), given), (outer[:, :3] * values[:3]) @ inner[:3], atol=1e-12
    )


@pytest.mark.parametrize("shape", [(), (5,), (4, 1, 3), (0, 3)])
def test_what_is_no_matrix_is_averaged(library: str, shape: tuple[int, ...]) -> None:
    found = tsv(field(library, [np.ones(shape), np.zeros(shape), np.ones(shape)]), 0.0)
    assert isinstance(found, Mixed)
    np.testing.assert_allclose(found.coefficients, (1 / 3, 1 / 3, 1 / 3))


def test_zeros_give_zero_and_a_zero_adds_nothing(library: str) -> None:
    given = field(library, [np.zeros((6, 5))] * 2)
    assert not dense(tsv(given, 0.0), given).any()
    given = field(library, [normal(4, 6, 5), np.zeros((6, 5))])
    alone = field(library, [normal(4, 6, 5)])
    np.testing.assert_allclose(dense(tsv(given, 0.4), given), dense(tsv(alone, 0.4), alone), atol=1e-12)


def test_more_tasks_than_directions_still_give_one_each(library: str) -> None:
    given = field(library, [normal(seed, 3, 2) for seed in range(5)])
    assert np.isfinite(dense(tsv(given, 0.0), given)).all()


def test_order_does_not_matter_and_scale_and_rotation_carry_over(library: str) -> None:
    one, two, turn = normal(5, 8, 6), normal(6, 8, 6), orthonormal(7, 8, 8)
    given = field(library, [one, two])
    merged = dense(tsv(given, 0.0), given)
    for operands, expected in (
        ([two, one], merged),
        ([-2.5 * one, -2.5 * two], -2.5 * merged),
        ([turn @ one, turn @ two], turn @ merged),
        ([one.T, two.T], merged.T),
    ):
        other = field(library, operands)
        np.testing.assert_allclose(dense(tsv(other, 0.0), other), expected, atol=1e-11)


def test_factors_are_merged_as_their_dense_form_is_and_stay_factors(library: str) -> None:
    pairs = [(normal(seed, 30, 2), normal(seed + 1, 2, 20)) for seed in (8, 10)]
    given = factored_field(library, pairs)
    found = tsv(given, 0.0)
    assert isinstance(found, Product)
    plain = field(library, [left @ right for left, right in pairs])
    np.testing.assert_allclose(dense(found, given), dense(tsv(plain, 0.0), plain), atol=1e-11)
    factors = [product(library, *pair) for pair in pairs]
    tsv(NeverDense([one.left @ one.right for one in factors], factors=factors), 0.0)


def test_matrices_of_full_rank_give_a_dense_result(library: str) -> None:
    assert isinstance(tsv(field(library, [normal(12, 6, 6), normal(13, 6, 6)]), 0.0), Whole)


def test_the_operator_says_what_it_takes() -> None:
    assert (TSV.name, TSV.fewest, TSV.most, TSV.defaults) == ("tsv", 1, 0, {"share": 0.0})
    assert "2412.00081" in TSV.source
