"""nearswap: no element of the vector is larger than the step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.operators.naive import vectors
from tests.operators.running import BLOCKS, LIBRARIES, SHAPES, mergekit, run
from weightarith.operators.nearswap import NEARSWAP

STEPS = pytest.mark.parametrize("step", [0.0, 1e-8, 1e-6, 0.005, 1.0])


@LIBRARIES
@BLOCKS
@SHAPES
@STEPS
def test_elements_are_limited_to_the_step(
    library: Any, block: int, shape: tuple[int, ...], step: float
) -> None:
    (vector,) = vectors(1, shape)

    found = run(NEARSWAP, [library(vector)], block, t=step)

    assert found.shape == shape
    assert np.array_equal(np.asarray(found), np.clip(vector, -step, step))


@given(value=st.floats(-1e3, 1e3), step=st.just(0.0) | st.floats(1e-200, 1e3))
def test_that_is_the_fraction_of_the_way_that_the_step_allows(value: float, step: float) -> None:
    fraction = min(1.0, step / abs(value)) if value else 1.0

    (found,) = run(NEARSWAP, [np.array([value])], t=step)

    assert found == pytest.approx(fraction * value, rel=1e-14, abs=0)


@pytest.mark.parametrize("compat", ["", "mergekit"])
def test_zeros_make_zeros(compat: str) -> None:
    assert not run(NEARSWAP, [np.zeros((3, 4))], t=0.1, compat=compat).any()


@pytest.mark.oracle
@STEPS
@pytest.mark.parametrize("size", [1.0, 1e-4, 1e-6])
def test_nearswap_is_mergekits_in_its_own_terms(step: float, size: float) -> None:
    vector = size * vectors(1, (50,))[0]
    vector[0] = 0.0

    theirs = mergekit("nearswap", np.zeros(50), [vector], t=step)

    assert np.allclose(run(NEARSWAP, [vector], 7, t=step, compat="mergekit"), theirs, rtol=1e-12, atol=0)
    if step >= 1e-6:
        assert np.allclose(run(NEARSWAP, [vector], t=step), theirs, rtol=1e-12, atol=0)
