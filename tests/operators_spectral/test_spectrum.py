from __future__ import annotations

import numpy as np
import pytest

from tests.operators_spectral.arrays import LIBRARIES, back, normal, orthonormal, to, with_spectrum
from weightarith.operators import spectrum
from weightarith.operators.spectrum import decomposed, polar, row_blocks, squares, with_values

SHAPES = [(7, 5), (5, 7), (6, 6), (1, 4), (4, 1), (1, 1), (2500, 3)]


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-6)])
def test_a_decomposition_multiplies_back_and_its_vectors_are_orthonormal(
    library: str, shape: tuple[int, int], dtype: str, tolerance: float
) -> None:
    matrix = normal(0, *shape).astype(dtype)
    found = decomposed(to(library, matrix))
    left, values, right = back(found.left), back(found.values), back(found.right)
    assert left.dtype == right.dtype == matrix.dtype
    assert values.dtype == np.float64
    np.testing.assert_allclose((left * values) @ right, matrix, atol=tolerance * 10)
    np.testing.assert_allclose(left.T @ left, np.eye(found.rank), atol=tolerance)
    np.testing.assert_allclose(right @ right.T, np.eye(found.rank), atol=tolerance)
    np.testing.assert_allclose(values, np.linalg.svd(matrix.astype(float))[1], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_singular_values_that_are_rounding_are_left_out(library: str, dtype: str) -> None:
    matrix = (normal(1, 40, 3) @ normal(2, 3, 30)).astype(dtype)
    assert decomposed(to(library, matrix)).rank == 3
    assert decomposed(to(library, matrix.T)).rank == 3
    assert decomposed(to(library, 0 * matrix)).rank == 0


def test_singular_values_of_float32_numbers_are_found_down_to_a_millionth(library: str) -> None:
    values = 10.0 ** -np.linspace(0, 5.5, 12)
    matrix = with_spectrum(3, 60, 40, values).astype("float32")
    np.testing.assert_allclose(back(decomposed(to(library, matrix)).values), values, rtol=2e-2)


def test_no_more_singular_values_are_returned_than_asked_for(library: str) -> None:
    matrix = normal(4, 9, 6)
    found = decomposed(to(library, matrix), 2)
    assert (found.left.shape, found.values.shape, found.right.shape) == ((9, 2), (2,), (2, 6))


def test_an_empty_matrix_has_no_singular_values(library: str) -> None:
    for shape in ((0, 3), (3, 0), (0, 0)):
        found = decomposed(to(library, np.zeros(shape)))
        assert (found.left.shape, found.right.shape) == ((shape[0], 0), (0, shape[1]))


@pytest.mark.parametrize("shape", [(7, 5), (5, 7)])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_changed_singular_values_stand_between_the_old_vectors(
    library: str, shape: tuple[int, int], dtype: str, tolerance: float
) -> None:
    matrix = normal(5, *shape).astype(dtype)
    left, values, right = np.linalg.svd(matrix.astype(float), full_matrices=False)
    found = with_values(to(library, matrix), lambda given: given * given + 1.0)
    np.testing.assert_allclose(back(found), (left * (values**2 + 1)) @ right, atol=tolerance)


@pytest.mark.parametrize("shape", [(9, 4), (4, 9)])
def test_the_polar_factor_is_the_nearest_with_orthonormal_columns_or_rows(
    library: str, shape: tuple[int, int]
) -> None:
    matrix = normal(6, *shape)
    found = back(polar(to(library, matrix)))
    short = found.T @ found if shape[0] > shape[1] else found @ found.T
    np.testing.assert_allclose(short, np.eye(4), atol=1e-12)
    distance = np.linalg.norm(found - matrix)
    for seed in range(20):
        other = orthonormal(seed, 9, 4)
        assert np.linalg.norm((other if shape[0] > 4 else other.T) - matrix) > distance


def test_the_polar_factor_stays_out_of_directions_that_are_not_reached(library: str) -> None:
    column = orthonormal(7, 8, 1)
    found = back(polar(to(library, np.hstack([column, column, 0 * column]))))
    np.testing.assert_allclose(found, np.hstack([column, column, 0 * column]) / np.sqrt(2), atol=1e-12)


def test_sums_of_squares_do_not_depend_on_the_blocks(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = normal(8, 3, 50, 20)
    for block in (1, 7, 1 << 20):
        monkeypatch.setattr(spectrum, "BLOCK", block)
        np.testing.assert_allclose(back(squares(to(library, matrix))), (matrix**2).sum((1, 2)), rtol=1e-13)


def test_blocks_of_rows_cover_a_matrix_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spectrum, "BLOCK", 64)
    for rows, least in ((0, 1), (1, 1), (10, 1), (100, 30)):
        places = [
            row for part in row_blocks(np.zeros((rows, 7)), least) for row in range(part.start, part.stop)
        ]
        assert places == list(range(rows))


def test_a_long_float32_matrix_is_decomposed_in_blocks(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spectrum, "BLOCK", 50)
    monkeypatch.setattr(spectrum, "DEEP", 16)
    matrix = normal(9, 333, 12).astype("float32")
    found = decomposed(to(library, matrix))
    made = (back(found.left) * back(found.values)) @ back(found.right)
    np.testing.assert_allclose(made, matrix, atol=1e-5)
