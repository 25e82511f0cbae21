from __future__ import annotations

import numpy as np
import pytest

from tests.operators_spectral.arrays import (
    LIBRARIES,
    NeverDense,
    Single,
    back,
    dense,
    field,
    normal,
    product,
    to,
    with_spectrum,
)
from weightarith.errors import RecipeError
from weightarith.operators.compress import COMPRESS, approximated, compress
from weightarith.operators.field import Mixed, Product


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_matrix_becomes_its_best_approximation_of_the_rank(library: str) -> None:
    matrix = normal(0, 12, 9)
    given = field(library, [matrix])
    found = compress(given, rank=3, energy=0.0)
    assert isinstance(found, Product)
    assert found.left.shape == (12, 3)
    outer, values, inner = np.linalg.svd(matrix, full_matrices=False)
    np.testing.assert_allclose(dense(found, given), (outer[:, :3] * values[:3]) @ inner[:3], atol=1e-12)


def test_a_float32_matrix_has_float32_factors(library: str) -> None:
    found = compress(Single([to(library, normal(1, 200, 150))]), rank=4, energy=0.0)
    assert isinstance(found, Product)
    assert back(found.left).dtype == back(found.right).dtype == np.float32


@pytest.mark.parametrize("shape", [(), (1,), (7,), (4, 1, 3), (2, 3, 4), (0,), (0, 5), (5, 0)])
def test_what_is_no_matrix_stays_as_it_is(library: str, shape: tuple[int, ...]) -> None:
    given = field(library, [normal(2, *shape) if shape else np.float64(3.0)])
    assert compress(given, rank=2, energy=0.5) == compress(given, rank=2, energy=0.0)
    found = compress(given, rank=2, energy=0.0)
    assert isinstance(found, Mixed)
    assert found.coefficients == (1.0,)
    assert approximated(given, 2, 0.0) is None


@pytest.mark.parametrize("shape", [(1, 6), (6, 1), (1, 1), (5, 5)])
def test_a_rank_that_covers_the_matrix_gives_it_back(library: str, shape: tuple[int, int]) -> None:
    matrix = normal(3, *shape)
    given = field(library, [matrix])
    np.testing.assert_allclose(dense(compress(given, rank=99, energy=0.0), given), matrix, atol=1e-12)


def test_directions_that_are_only_rounding_are_left_out(library: str) -> None:
    matrix = (normal(4, 300, 3) @ normal(5, 3, 200)).astype("float32")
    found = compress(Single([to(library, matrix)]), rank=16, energy=0.0)
    assert isinstance(found, Product)
    assert found.left.shape == (300, 3)


def test_zero_becomes_a_product_of_rank_one_that_is_zero(library: str) -> None:
    for given in (
        field(library, [np.zeros((300, 200))]),
        field(library, [np.zeros((3, 4))], factors=[product(library, np.zeros((3, 2)), np.zeros((2, 4)))]),
    ):
        found = compress(given, rank=2, energy=0.0)
        assert isinstance(found, Product)
        assert found.left.shape[1] == 1
        assert not dense(found, given).any()


def test_an_energy_takes_as_few_directions_as_hold_it(library: str) -> None:
    matrix = with_spectrum(6, 60, 50, np.sqrt([0.5, 0.3, 0.15, 0.05]))
    found = compress(field(library, [matrix]), rank=0, energy=0.79)
    assert isinstance(found, Product)
    assert found.left.shape == (60, 2)
    capped = compress(field(library, [matrix]), rank=1, energy=0.79)
    assert isinstance(capped, Product)
    assert capped.left.shape == (60, 1)


def test_a_matrix_that_factors_would_not_make_smaller_stays_dense_where_only_an_energy_is_asked_for(
    library: str,
) -> None:
    given = field(library, [normal(7, 20, 20)])
    assert isinstance(compress(given, rank=0, energy=0.99), Mixed)
    assert isinstance(compress(given, rank=20, energy=0.99), Product)


def test_neither_a_rank_nor_an_energy_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"compress\(\) needs rank= or energy=") as error:
        compress(field("numpy", [normal(8, 3, 3)]), rank=0, energy=0.0)
    assert "compress(v, rank=32)" in error.value.hint


def test_factors_are_recompressed_without_their_dense_form(library: str) -> None:
    left, right = normal(9, 8, 5), normal(10, 5, 7)
    factors = [product(library, left, right)]
    given = NeverDense([factors[0].left @ factors[0].right], factors=factors)
    found = compress(given, rank=2, energy=0.0)
    plain = compress(field(library, [left @ right]), rank=2, energy=0.0)
    np.testing.assert_allclose(dense(found, given), dense(plain, given), atol=1e-12)


def test_the_approximation_tells_its_error(library: str) -> None:
    matrix = with_spectrum(11, 30, 20, [3.0, 2.0, 1.0])
    found = approximated(field(library, [matrix]), 2, 0.0)
    assert found is not None
    np.testing.assert_allclose([found.error, found.norm, found.energy], [1.0, np.sqrt(14), 13 / 14])


def test_equal_tensors_of_two_names_get_different_random_vectors() -> None:
    matrix = normal(12, 250, 240)
    one = compress(field("numpy", [matrix], keys=(1,)), rank=16, energy=0.0)
    two = compress(field("numpy", [matrix], keys=(2,)), rank=16, energy=0.0)
    assert isinstance(one, Product)
    assert isinstance(two, Product)
    assert not np.array_equal(one.left, two.left)


def test_the_operator_takes_one_vector_and_says_what_it_does() -> None:
    assert (COMPRESS.fewest, COMPRESS.most, COMPRESS.takes) == (1, 1, "vector")
    assert COMPRESS.defaults == {"rank": 0, "energy": 0.0}
    assert COMPRESS.summary.startswith("Keep the largest singular directions")
