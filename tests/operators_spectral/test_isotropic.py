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
from weightarith.operators.field import Mixed, Product
from weightarith.operators.isotropic import ISO_C, ISO_CTS, iso_c, iso_cts, level


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def naive_iso_c(matrices: list[Doubles]) -> Doubles:
    left, values, right = np.linalg.svd(sum(matrices), full_matrices=False)
    return np.asarray(values.mean() * left @ right)


def naive_iso_cts(matrices: list[Doubles], common: float) -> Doubles:
    """Return Iso-CTS of matrices whose sum has full rank."""
    tasks, side = len(matrices), min(matrices[0].shape)
    own = round((side - int(side * common)) / tasks)
    kept = side - own * tasks
    left, values, right = np.linalg.svd(sum(matrices), full_matrices=False)
    lefts, spectra, rights = [left[:, :kept]], [values[:kept]], [right[:kept]]
    for matrix in matrices:
        rest = matrix - left[:, :kept] @ left[:, :kept].T @ matrix
        one, two, three = np.linalg.svd(rest, full_matrices=False)
        lefts.append(one[:, :own])
        spectra.append(two[:own])
        rights.append(three[:own])
    one, _, two = np.linalg.svd(np.hstack(lefts), full_matrices=False)
    three, _, four = np.linalg.svd(np.vstack(rights), full_matrices=False)
    return np.asarray(np.concatenate(spectra).mean() * (one @ two) @ (three @ four))


@pytest.mark.parametrize("shape", [(12, 9), (9, 12), (10, 10), (1, 4), (1, 1)])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_iso_c_is_that_of_the_paper(library: str, shape: tuple[int, int], count: int) -> None:
    matrices = [normal(seed, *shape) for seed in range(count)]
    given = field(library, matrices)
    np.testing.assert_allclose(dense(iso_c(given), given), naive_iso_c(matrices), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("shape", [(20, 15), (15, 20)])
@pytest.mark.parametrize(("count", "common"), [(1, 0.8), (2, 0.8), (3, 0.8), (2, 0.3), (2, 1.0), (3, 0.0)])
def test_iso_cts_is_that_of_the_paper(
    library: str, shape: tuple[int, int], count: int, common: float
) -> None:
    matrices = [normal(seed, *shape) for seed in range(count)]
    given = field(library, matrices)
    np.testing.assert_allclose(
        dense(iso_cts(given, common), given), naive_iso_cts(matrices, common), rtol=1e-8, atol=1e-10
    )


def test_all_common_makes_iso_cts_iso_c(library: str) -> None:
    given = field(library, [normal(0, 9, 7), normal(1, 9, 7)])
    np.testing.assert_allclose(dense(iso_cts(given, 1.0), given), dense(iso_c(given), given), atol=1e-12)


def test_more_tasks_than_directions_leave_the_common_ones(library: str) -> None:
    given = field(library, [normal(seed, 3, 4) for seed in range(8)])
    np.testing.assert_allclose(dense(iso_cts(given, 0.0), given), dense(iso_c(given), given), atol=1e-12)


def test_float32_matrices_are_merged_to_float32_rounding(library: str) -> None:
    matrices = [normal(seed, 40, 30).astype("float32") for seed in range(2)]
    given = Single([to(library, one) for one in matrices])
    doubles = [one.astype(float) for one in matrices]
    np.testing.assert_allclose(dense(iso_c(given), given), naive_iso_c(doubles), atol=2e-4)
    np.testing.assert_allclose(dense(iso_cts(given, 0.8), given), naive_iso_cts(doubles, 0.8), atol=2e-4)


@pytest.mark.parametrize("shape", [(), (5,), (4, 1, 3), (0, 3)])
def test_what_is_no_matrix_is_averaged(library: str, shape: tuple[int, ...]) -> None:
    given = field(library, [np.ones(shape)] * 2)
    for found in (iso_c(given), iso_cts(given, 0.8)):
        assert isinstance(found, Mixed)
        assert found.coefficients == (0.5, 0.5)


def test_zeros_and_opposites_give_zero(library: str) -> None:
    matrix = normal(2, 6, 5)
    for operands in ([0 * matrix] * 2, [matrix, -matrix]):
        given = field(library, operands)
        assert not dense(iso_c(given), given).any()
        assert not dense(iso_cts(given, 0.8), given).any()


def test_directions_that_the_sum_does_not_reach_get_nothing(library: str) -> None:
    left, right = normal(3, 9, 2), normal(4, 2, 8)
    given = field(library, [left @ right])
    found = dense(iso_c(given), given)
    values = np.linalg.svd(left @ right)[1][:2]
    np.testing.assert_allclose(np.linalg.svd(found)[1], [values.mean()] * 2 + [0] * 6, atol=1e-12)
    np.testing.assert_allclose(dense(iso_cts(given, 0.5), given), found, atol=1e-11)


def test_order_does_not_matter_and_scale_and_rotation_carry_over(library: str) -> None:
    one, two, turn = normal(5, 8, 6), normal(6, 8, 6), orthonormal(7, 8, 8)
    first = field(library, [one, two])
    for run in (iso_c, lambda given: iso_cts(given, 0.6)):
        merged = dense(run(first), first)
        for operands, expected in (
            ([two, one], merged),
            ([-2.5 * one, -2.5 * two], -2.5 * merged),
            ([turn @ one, turn @ two], turn @ merged),
        ):
            given = field(library, operands)
            np.testing.assert_allclose(dense(run(given), given), expected, atol=1e-11)


def test_factors_are_merged_as_their_dense_form_is_and_stay_factors(library: str) -> None:
    pairs = [(normal(seed, 30, 2), normal(seed + 1, 2, 20)) for seed in (8, 10)]
    given = factored_field(library, pairs)
    plain = field(library, [left @ right for left, right in pairs])
    for run in (iso_c, lambda one: iso_cts(one, 0.5)):
        found = run(given)
        assert isinstance(found, Product)
        np.testing.assert_allclose(dense(found, given), dense(run(plain), plain), atol=1e-11)


def test_the_dense_form_of_factors_is_never_asked_for() -> None:
    factors = [product("numpy", normal(seed, 9, 2), normal(seed, 2, 8)) for seed in range(2)]
    given = NeverDense([one.left @ one.right for one in factors], factors=factors)
    iso_c(given)
    iso_cts(given, 0.5)


def test_float32_factors_of_an_adapter_are_merged_in_float64(library: str) -> None:
    pairs = [(normal(s, 9, 2).astype("float32"), normal(s, 2, 8).astype("float32")) for s in range(2)]
    given = factored_field(library, pairs)
    expected = factored_field(library, [(left.astype(float), right.astype(float)) for left, right in pairs])
    np.testing.assert_allclose(
        dense(iso_cts(given, 0.5), given), dense(iso_cts(expected, 0.5), expected), atol=1e-12
    )


def test_the_mean_of_no_values_is_none() -> None:
    assert level(np.zeros(0)).shape == (0,)
    np.testing.assert_array_equal(level(np.array([1.0, 3.0])), [2.0, 2.0])


def test_the_operators_say_what_they_take() -> None:
    assert (ISO_C.name, ISO_C.defaults) == ("iso_c", {})
    assert (ISO_CTS.name, ISO_CTS.defaults) == ("iso_cts", {"common": 0.8})
    assert "2502.04959" in ISO_C.source
