from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.operators_spectral.arrays import (
    LIBRARIES,
    Doubles,
    NeverDense,
    Single,
    back,
    dense,
    field,
    normal,
    orthonormal,
    product,
    to,
)
from weightarith.errors import RecipeError
from weightarith.operators.field import Array, Mixed, Product, Tensors, Whole
from weightarith.operators.safe_lora import SAFE_LORA, safe_lora


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def naive(delta: Doubles, aligned: Doubles, threshold: float, projection: str = "scaled") -> Doubles:
    if projection == "scaled":
        towards = aligned @ aligned.T / np.sqrt((aligned**2).sum())
    else:
        towards = aligned @ np.linalg.pinv(aligned)
    projected = towards @ delta
    cosine = (delta * projected).sum() / (np.linalg.norm(delta) * np.linalg.norm(projected))
    return np.asarray(projected if cosine <= threshold else delta)


def run(given: Any, threshold: float = 1.0, projection: str = "scaled") -> Any:
    return safe_lora(given, operands=1, threshold=threshold, projection=projection)


@pytest.mark.parametrize("shape", [(8, 5), (5, 8), (6, 6), (1, 4), (40, 3)])
@pytest.mark.parametrize("threshold", [-1.0, 0.2, 0.5, 0.9, 1.0])
def test_a_projection_is_that_of_the_paper(library: str, shape: tuple[int, int], threshold: float) -> None:
    delta, aligned = normal(0, *shape), normal(1, *shape)
    given = field(library, [delta, aligned])
    np.testing.assert_allclose(
        dense(run(given, threshold), given), naive(delta, aligned, threshold), atol=1e-12
    )


@pytest.mark.parametrize("shape", [(8, 3), (8, 8), (3, 8)])
def test_an_exact_projection_is_orthogonal(library: str, shape: tuple[int, int]) -> None:
    delta, aligned = normal(2, *shape), normal(3, *shape)
    given = field(library, [delta, aligned])
    found = dense(run(given, 1.0, "exact"), given)
    np.testing.assert_allclose(found, naive(delta, aligned, 1.0, "exact"), atol=1e-11)
    if shape[1] < shape[0]:
        assert isinstance(run(given, -1.0, "exact"), Mixed)
    twice = field(library, [found, aligned])
    np.testing.assert_allclose(dense(run(twice, 1.0, "exact"), twice), found, atol=1e-11)


def test_a_matrix_above_the_threshold_stays_untouched(library: str) -> None:
    delta = normal(4, 7, 5)
    found = run(field(library, [delta, delta]), 0.1)
    assert isinstance(found, Mixed)
    assert found.coefficients == (1.0, 0.0)


def test_a_matrix_at_right_angles_to_the_alignment_is_taken_out(library: str) -> None:
    basis = orthonormal(5, 6, 4)
    given = field(library, [basis[:, :2] @ normal(6, 2, 5), basis[:, 2:] @ normal(7, 2, 5)])
    for projection in ("scaled", "exact"):
        np.testing.assert_allclose(dense(run(given, 0.5, projection), given), 0, atol=1e-12)


def test_where_alignment_changed_nothing_the_matrix_stays(library: str) -> None:
    given = field(library, [normal(8, 4, 3), np.zeros((4, 3))])
    assert isinstance(run(given), Mixed)
    assert isinstance(run(given, 1.0, "exact"), Mixed)


def test_zero_stays_zero(library: str) -> None:
    given = field(library, [np.zeros((4, 3)), normal(9, 4, 3)])
    assert not dense(run(given), given).any()


@pytest.mark.parametrize("shape", [(), (5,), (4, 1, 3), (0, 3)])
def test_what_is_no_matrix_stays_as_it_is(library: str, shape: tuple[int, ...]) -> None:
    found = run(field(library, [np.ones(shape)] * 2))
    assert isinstance(found, Mixed)
    assert found.coefficients == (1.0, 0.0)


def mixed(library: str, delta: Any, aligned: Any, kind: type[Tensors] = Tensors) -> Tensors:
    """Return a field of two operands, each a pair of factors or an array."""
    factors = [product(library, *one) if isinstance(one, tuple) else None for one in (delta, aligned)]
    arrays: list[Array] = [
        to(library, one) if factor is None else factor.left @ factor.right
        for one, factor in zip((delta, aligned), factors, strict=True)
    ]
    return kind(arrays, factors=factors)


@pytest.mark.parametrize("projection", ["scaled", "exact"])
@pytest.mark.parametrize("threshold", [0.3, 1.0])
@pytest.mark.parametrize("kinds", ["both", "first", "second"])
def test_factors_are_projected_as_their_dense_form_is(
    library: str, kinds: str, threshold: float, projection: str
) -> None:
    delta, aligned = (normal(10, 9, 2), normal(11, 2, 7)), (normal(12, 9, 3), normal(13, 3, 7))
    dense_delta, dense_aligned = delta[0] @ delta[1], aligned[0] @ aligned[1]
    given = mixed(
        library,
        dense_delta if kinds == "second" else delta,
        dense_aligned if kinds == "first" else aligned,
        NeverDense if kinds == "both" else Tensors,
    )
    found = run(given, threshold, projection)
    np.testing.assert_allclose(
        dense(found, given), naive(dense_delta, dense_aligned, threshold, projection), atol=1e-11
    )
    assert isinstance(found, Product) == (kinds != "second")


def test_factors_above_the_threshold_stay_the_factors_they_are(library: str) -> None:
    pair = (normal(14, 9, 2), normal(15, 2, 7))
    found = run(mixed(library, pair, pair), 0.1)
    assert isinstance(found, Product)
    np.testing.assert_array_equal(back(found.left), pair[0])


def test_float32_whole_tensors_go_with_float64_factors(library: str) -> None:
    delta, aligned = (normal(16, 9, 2), normal(17, 2, 7)), normal(18, 9, 7)
    expected = naive(delta[0] @ delta[1], aligned, 1.0)
    for projection in ("scaled", "exact"):
        expected = naive(delta[0] @ delta[1], aligned, 1.0, projection)
        given = mixed(library, delta, aligned, Single)
        np.testing.assert_allclose(dense(run(given, 1.0, projection), given), expected, atol=1e-5)
    given = mixed(library, aligned, delta, Single)
    found = run(given)
    assert isinstance(found, Whole)
    assert back(found.tensor).dtype == np.float32


def test_several_alignments_are_refused() -> None:
    given = field("numpy", [normal(19, 3, 3)] * 3)
    with pytest.raises(RecipeError, match=r"safe_lora\(alignment=…\) takes one vector, not 2"):
        run(given)


def test_the_operator_says_what_it_takes() -> None:
    assert (SAFE_LORA.beside, SAFE_LORA.most) == ("alignment", 1)
    assert SAFE_LORA.defaults == {"threshold": 0.5, "projection": "scaled"}
