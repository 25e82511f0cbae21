"""Trimming: the largest stay, over a tensor or a model, whatever the blocks and the library."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.operators.naive import Doubles, rescaled, trimmed, vectors
from tests.operators.running import BLOCKS, LIBRARIES, SHAPES, run, run_over
from weightarith.operators.field import Tensors
from weightarith.operators.trim import TRIM

DENSITIES = pytest.mark.parametrize("density", [0.0, 1e-9, 0.1, 0.29, 0.5, 0.999, 1.0])
VALUES = arrays(
    np.float64, st.integers(1, 40), elements=st.floats(-1e100, 1e100) | st.integers(-2, 2).map(float)
)


@LIBRARIES
@BLOCKS
@SHAPES
@DENSITIES
def test_the_largest_stay_and_the_others_are_zero(
    library: Any, block: int, shape: tuple[int, ...], density: float
) -> None:
    (vector,) = vectors(1, shape)

    found = run(TRIM, [library(vector)], block, density=density)

    assert found.shape == shape
    assert np.array_equal(np.asarray(found), trimmed(vector, density))


@BLOCKS
def test_elements_as_large_as_the_last_that_stays_stay_too(block: int) -> None:
    vector = np.array([3.0, -1.0, 1.0, 0.5, 1.0, -0.25])

    assert run(TRIM, [vector], block, density=0.34).tolist() == [3, -1, 1, 0, 1, 0]
    assert run(TRIM, [np.full(9, -2.0)], block, density=0.1).tolist() == [-2.0] * 9


def test_one_element_stays_of_any_density_above_zero() -> None:
    assert run(TRIM, [np.array([1.0, -2.0])], density=1e-6).tolist() == [0, -2]
    assert run(TRIM, [np.array(-2.0)], density=1e-6) == -2
    assert run(TRIM, [np.array([1.0, -2.0])], density=0.0).tolist() == [0, 0]


@BLOCKS
@DENSITIES
def test_rescaled_the_vector_keeps_its_l1_norm(block: int, density: float) -> None:
    (vector,) = vectors(1, (6, 9))

    found = run(TRIM, [vector], block, density=density, rescale="l1")

    assert np.allclose(found, rescaled(trimmed(vector, density), vector), rtol=1e-14)
    assert density == 0 or np.abs(found).sum() == pytest.approx(np.abs(vector).sum(), rel=1e-14)


@pytest.mark.parametrize("rescale", ["none", "l1"])
@DENSITIES
def test_over_a_model_the_largest_of_all_its_tensors_stay(rescale: str, density: float) -> None:
    tensors = [vectors(1, shape, seed) for seed, shape in enumerate([(30,), (4, 5), (), (3, 1, 2)])]
    flat = np.concatenate([tensor.ravel() for (tensor,) in tensors])
    expected = trimmed(flat, density)
    if rescale == "l1":
        expected = rescaled(expected, flat)

    found = run_over(TRIM, tensors, density=density, rescale=rescale)

    assert [one.shape for one in found] == [tensor.shape for (tensor,) in tensors]
    assert np.allclose(np.concatenate([one.ravel() for one in found]), expected, rtol=1e-14, atol=0)


@given(vector=VALUES, density=st.floats(0, 1))
def test_trimming_is_what_a_sort_says(vector: Doubles, density: float) -> None:
    assert np.array_equal(run(TRIM, [vector], 7, density=density), trimmed(vector, density))


@given(vector=VALUES, density=st.floats(0, 1), power=st.integers(-60, 60), sign=st.sampled_from([-1, 1]))
def test_trimming_a_scaled_vector_is_scaling_a_trimmed_one(
    vector: Doubles, density: float, power: int, sign: int
) -> None:
    factor = sign * 2.0**power

    scaled = run(TRIM, [factor * vector], density=density)

    assert np.array_equal(scaled, factor * run(TRIM, [vector], density=density))


@given(vector=VALUES, density=st.floats(0, 1), more=st.floats(0, 1))
def test_a_larger_density_keeps_what_a_smaller_one_keeps(
    vector: Doubles, density: float, more: float
) -> None:
    low, high = sorted((density, more))

    few, many = (run(TRIM, [vector], density=each) for each in (low, high))

    assert np.array_equal(np.where(few != 0, vector, 0), few)
    assert np.all((few == 0) | (many == few))


@pytest.mark.parametrize("rescale", ["none", "l1"])
def test_zeros_and_empty_tensors_stay_what_they_are(rescale: str) -> None:
    assert not run(TRIM, [np.zeros((3, 4))], density=0.5, rescale=rescale).any()
    for shape in ((0,), (3, 0)):
        TRIM.run(Tensors([np.zeros(shape)]), density=0.5, rescale=rescale, over="tensor")
