from __future__ import annotations

import numpy as np
import pytest

from tests.operators_spectral.arrays import (
    LIBRARIES,
    Doubles,
    NeverDense,
    Single,
    back,
    dense,
    factored_field,
    field,
    normal,
    orthonormal,
    product,
    to,
)
from weightarith.operators.field import Mixed, Product, Whole
from weightarith.operators.knots import KNOTS, elected, knots, trimmed_to


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def naive_ties(arrays: list[Doubles], density: float) -> Doubles:
    """Return the TIES merge of arrays, element by element."""
    kept = max(int(density * arrays[0].size), 1)
    trimmed = []
    for array in arrays:
        mask = np.zeros(array.size, bool)
        mask[np.argsort(-np.abs(array), axis=None)[:kept]] = True
        trimmed.append(array * mask.reshape(array.shape))
    merged = np.zeros_like(arrays[0])
    for place in np.ndindex(merged.shape):
        numbers = [array[place] for array in trimmed]
        elect = np.sign(sum(numbers))
        agreeing = [number for number in numbers if number * elect > 0]
        merged[place] = np.mean(agreeing) if agreeing else 0.0
    return merged


def naive_knots(matrices: list[Doubles], density: float, weights: tuple[float, ...]) -> Doubles:
    left, values, right = np.linalg.svd(np.hstack(matrices), full_matrices=False)
    blocks = np.split(np.diag(values) @ right, len(matrices), axis=1)
    scaled = [weight * block for weight, block in zip(weights, blocks, strict=True)]
    return np.asarray(left @ naive_ties(scaled, density))


@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (20, 3), (3, 20), (1, 5)])
@pytest.mark.parametrize("density", [0.2, 0.6, 1.0])
def test_the_merge_is_that_of_the_paper(library: str, shape: tuple[int, int], density: float) -> None:
    matrices = [normal(seed, *shape) for seed in range(3)]
    weights = (1.0, 0.5, 2.0)
    given = field(library, matrices)
    found = dense(knots(given, "ties", density, weights), given)
    np.testing.assert_allclose(found, naive_knots(matrices, density, weights), atol=1e-11)


def test_float32_matrices_are_merged_to_float32_rounding(library: str) -> None:
    matrices = [normal(seed, 30, 40).astype("float32") for seed in range(2)]
    given = Single([to(library, one) for one in matrices])
    expected = naive_knots([one.astype(float) for one in matrices], 1.0, (1.0, 1.0))
    assert np.mean(np.abs(dense(knots(given, "ties", 1.0, (1.0, 1.0)), given) - expected) > 1e-4) < 0.05


def test_a_linear_merge_is_the_weighted_sum_as_the_basis_drops_out(library: str) -> None:
    found = knots(field(library, [normal(0, 4, 3)] * 2), "linear", 0.2, (0.5, -1.0))
    assert isinstance(found, Mixed)
    assert found.coefficients == (0.5, -1.0)


def test_adapters_are_merged_as_their_dense_form_is_and_stay_thin(library: str) -> None:
    pairs = [(normal(seed, 30, 2), normal(seed + 1, 2, 20)) for seed in (2, 4, 6)]
    given = factored_field(library, pairs)
    found = knots(given, "ties", 0.5, (1.0, 2.0, 0.5))
    assert isinstance(found, Product)
    assert found.left.shape == (30, 6)
    expected = naive_knots([left @ right for left, right in pairs], 1.0, (1.0, 2.0, 0.5))
    full = knots(given, "ties", 1.0, (1.0, 2.0, 0.5))
    np.testing.assert_allclose(dense(full, given), expected, atol=1e-11)
    factors = [product(library, *pair) for pair in pairs]
    dense_free = NeverDense([one.left @ one.right for one in factors], factors=factors)
    np.testing.assert_allclose(
        dense(knots(dense_free, "ties", 0.5, (1.0, 2.0, 0.5)), given), dense(found, given), atol=1e-12
    )


def test_the_density_counts_the_coordinates_there_are(library: str) -> None:
    left, right = orthonormal(8, 9, 2), np.array([[4.0, 3.0, 0.5], [2.0, 1.0, 0.1]])
    found = knots(factored_field(library, [(left, right)]), "ties", 0.5, (1.0,))
    assert isinstance(found, Whole | Product)
    made = dense(found, factored_field(library, [(left, right)]))
    coordinates = np.linalg.svd(left @ right, full_matrices=False)[0][:, :2].T @ made
    assert np.count_nonzero(np.abs(coordinates) > 1e-12) == 3


@pytest.mark.parametrize("shape", [(), (7,), (4, 1, 3)])
def test_what_is_no_matrix_is_merged_as_it_is(library: str, shape: tuple[int, ...]) -> None:
    arrays = [np.asarray(normal(seed, *(shape or (1,)))).reshape(shape) for seed in range(3)]
    given = field(library, arrays)
    np.testing.assert_allclose(
        dense(knots(given, "ties", 0.5, (1.0, 1.0, 2.0)), given),
        naive_ties([*arrays[:2], 2 * arrays[2]], 0.5),
    )


@pytest.mark.parametrize("shape", [(0,), (0, 4), (5, 0)])
def test_an_empty_tensor_stays_empty(library: str, shape: tuple[int, ...]) -> None:
    given = field(library, [np.zeros(shape)] * 2)
    assert dense(knots(given, "ties", 0.5, (1.0, 1.0)), given).shape == shape


def test_zeros_and_opposites_give_zero(library: str) -> None:
    matrix = normal(9, 6, 5)
    for operands in ([0 * matrix] * 2, [matrix, -matrix]):
        given = field(library, operands)
        np.testing.assert_allclose(dense(knots(given, "ties", 1.0, (1.0, 1.0)), given), 0, atol=1e-12)


def test_an_adapter_that_does_not_touch_a_tensor_counts_as_zero(library: str) -> None:
    left, right = normal(10, 9, 2), normal(11, 2, 8)
    given = field(library, [left @ right, np.zeros((9, 8))], factors=[product(library, left, right), None])
    found = knots(given, "ties", 1.0, (1.0, 1.0))
    assert isinstance(found, Product)
    np.testing.assert_allclose(dense(found, given), left @ right, atol=1e-12)


def test_order_does_not_matter_and_scale_carries_over(library: str) -> None:
    one, two = normal(12, 7, 6), normal(13, 7, 6)
    given = field(library, [one, two])
    merged = dense(knots(given, "ties", 0.4, (1.0, 1.0)), given)
    for operands, expected in (([two, one], merged), ([-2 * one, -2 * two], -2 * merged)):
        other = field(library, operands)
        np.testing.assert_allclose(dense(knots(other, "ties", 0.4, (1.0, 1.0)), other), expected, atol=1e-11)


def test_magnitudes_that_tie_are_all_kept(library: str) -> None:
    array = to(library, np.array([3.0, -2.0, 2.0, 1.0]))
    np.testing.assert_array_equal(back(trimmed_to(array, 0.5)), [3, -2, 2, 0])
    np.testing.assert_array_equal(back(trimmed_to(array, 0.0)), [3, 0, 0, 0])
    np.testing.assert_array_equal(back(trimmed_to(array, 1.0)), back(array))


def test_signs_that_cancel_elect_nothing(library: str) -> None:
    one, two = to(library, np.array([1.0, 2.0, 3.0])), to(library, np.array([-1.0, -1.0, 3.0]))
    np.testing.assert_array_equal(back(elected([one, two], 1.0)), [0, 2, 3])


def test_the_operator_says_what_it_takes() -> None:
    assert KNOTS.defaults == {"merge": "ties", "density": 0.2, "weights": 1.0}
    assert next(option for option in KNOTS.options if option.name == "weights").each
