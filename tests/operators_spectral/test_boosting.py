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
    product,
    to,
    with_spectrum,
)
from weightarith.operators.boosting import SUBSPACE_BOOSTING, lifted, subspace_boosting
from weightarith.operators.field import Mixed, Product


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def naive(matrices: list[Doubles], beta: float) -> Doubles:
    left, values, right = np.linalg.svd(sum(matrices), full_matrices=False)
    for place in range(len(values)):
        if values[: place + 1].sum() / values.sum() >= beta:
            break
    return np.asarray((left * np.maximum(values, values[place])) @ right)


@pytest.mark.parametrize("shape", [(12, 9), (9, 12), (1, 4)])
@pytest.mark.parametrize("beta", [0.0, 0.01, 0.1, 0.5, 0.999])
def test_boosting_is_that_of_the_paper(library: str, shape: tuple[int, int], beta: float) -> None:
    matrices = [normal(0, *shape), normal(1, *shape)]
    given = field(library, matrices)
    np.testing.assert_allclose(
        dense(subspace_boosting(given, beta), given), naive(matrices, beta), rtol=1e-9, atol=1e-11
    )


def test_the_floor_is_the_value_at_which_the_share_is_reached() -> None:
    values = np.array([4.0, 3.0, 2.0, 1.0])
    np.testing.assert_array_equal(lifted(values, 0.4), [4, 4, 4, 4])
    np.testing.assert_array_equal(lifted(values, 0.41), [4, 3, 3, 3])
    np.testing.assert_array_equal(lifted(values, 0.9), [4, 3, 2, 2])
    np.testing.assert_array_equal(lifted(values, 1.0), values)
    assert lifted(values[:0], 0.5).shape == (0,)


def test_directions_that_the_sum_does_not_reach_are_not_lifted(library: str) -> None:
    given = field(library, [with_spectrum(2, 9, 8, [3.0, 1.0])])
    found = np.linalg.svd(dense(subspace_boosting(given, 0.0), given))[1]
    np.testing.assert_allclose(found, [3, 3] + [0] * 6, atol=1e-12)


def test_float32_matrices_are_boosted_to_float32_rounding(library: str) -> None:
    matrix = normal(3, 40, 30).astype("float32")
    given = Single([to(library, matrix)])
    np.testing.assert_allclose(
        dense(subspace_boosting(given, 0.1), given), naive([matrix.astype(float)], 0.1), atol=2e-4
    )


@pytest.mark.parametrize("shape", [(), (5,), (4, 1, 3), (0, 3)])
def test_what_is_no_matrix_is_added(library: str, shape: tuple[int, ...]) -> None:
    found = subspace_boosting(field(library, [np.ones(shape)] * 3), 0.1)
    assert isinstance(found, Mixed)
    assert found.coefficients == (1.0, 1.0, 1.0)


def test_zeros_and_opposites_give_zero(library: str) -> None:
    matrix = normal(4, 6, 5)
    for operands in ([0 * matrix], [matrix, -matrix]):
        given = field(library, operands)
        assert not dense(subspace_boosting(given, 0.1), given).any()


def test_scale_carries_over_and_order_does_not_matter(library: str) -> None:
    one, two = normal(5, 8, 6), normal(6, 8, 6)
    given, other = field(library, [one, two]), field(library, [-3 * two, -3 * one])
    np.testing.assert_allclose(
        dense(subspace_boosting(other, 0.2), other),
        -3 * dense(subspace_boosting(given, 0.2), given),
        atol=1e-11,
    )


def test_factors_are_boosted_as_their_dense_form_is_and_stay_factors(library: str) -> None:
    pairs = [(normal(seed, 30, 2), normal(seed + 1, 2, 20)) for seed in (8, 10)]
    given = factored_field(library, pairs)
    found = subspace_boosting(given, 0.5)
    assert isinstance(found, Product)
    plain = field(library, [left @ right for left, right in pairs])
    np.testing.assert_allclose(dense(found, given), dense(subspace_boosting(plain, 0.5), plain), atol=1e-11)
    factors = [product(library, *pair) for pair in pairs]
    subspace_boosting(NeverDense([one.left @ one.right for one in factors], factors=factors), 0.5)


def test_the_operator_says_what_it_takes() -> None:
    assert SUBSPACE_BOOSTING.defaults == {"beta": 0.01}
    assert "2506.16506" in SUBSPACE_BOOSTING.source
