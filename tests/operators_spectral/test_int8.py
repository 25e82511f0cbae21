from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tests.operators_spectral.arrays import LIBRARIES, Doubles, back, dense, field, normal, to
from weightarith.operators.field import Mixed
from weightarith.operators.int8 import INT8, decode, encode, int8


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def naive(tensor: Doubles) -> Doubles:
    rows = tensor.reshape(-1, tensor.shape[-1] if tensor.ndim else 1)
    made = np.zeros_like(rows)
    for number, row in enumerate(rows):
        scale = float(np.float32(np.abs(row).max() / 127))
        if scale:
            made[number] = np.clip(np.rint(row / scale), -127, 127) * scale
    return made.reshape(tensor.shape)


@pytest.mark.parametrize("shape", [(5, 7), (4, 1, 3), (2, 3, 4), (9,), (1, 1), ()])
@pytest.mark.parametrize("block", [1, 7, 1 << 15])
def test_every_row_is_rounded_to_255_steps(library: str, shape: tuple[int, ...], block: int) -> None:
    tensor = np.asarray(normal(0, *(shape or (1,)))).reshape(shape)
    given = field(library, [tensor], block=block)
    np.testing.assert_array_equal(dense(int8(given), given), naive(tensor))


@drawn(
    arrays(
        np.float64,
        array_shapes(min_dims=1, max_dims=3, max_side=6),
        elements=st.floats(-1e6, 1e6, width=32),
    )
)
@settings(max_examples=80, deadline=None)
def test_no_element_is_off_by_more_than_half_a_step(tensor: Doubles) -> None:
    given = field("numpy", [tensor])
    made = dense(int8(given), given)
    step = np.abs(tensor).max(-1, keepdims=True) / 127
    assert (np.abs(made - tensor) <= step * (0.5 + 1e-4) + 1e-43).all()
    np.testing.assert_array_equal(made[tensor == 0], 0)


@pytest.mark.parametrize("shape", [(3, 8), (5, 7), (2, 3, 5), (9,), (), (0, 4), (4, 0)])
def test_what_is_encoded_decodes_to_what_the_operator_gives(library: str, shape: tuple[int, ...]) -> None:
    tensor = np.asarray(normal(1, *(shape or (1,)))).reshape(shape)
    stored = encode(to(library, tensor))
    assert back(stored.numbers).dtype == np.int8
    assert tuple(stored.numbers.shape) == shape
    assert back(stored.scale).dtype == np.float32
    assert tuple(stored.scale.shape) == shape[:-1]
    found = back(decode(stored))
    assert found.shape == shape
    if tensor.size:
        given = field(library, [tensor])
        np.testing.assert_array_equal(found, dense(int8(given), given).astype("float32"))


def test_the_largest_magnitude_uses_the_last_step_and_minus_128_is_not_used(library: str) -> None:
    numbers = back(encode(to(library, np.array([[-3.0, 1.0, 3.0], [0.0, 0.0, 0.0]]))).numbers)
    np.testing.assert_array_equal(numbers, [[-127, 42, 127], [0, 0, 0]])


def test_halves_are_rounded_to_even(library: str) -> None:
    numbers = back(encode(to(library, np.array([127.0, 0.5, 1.5, 2.5, -0.5]))).numbers)
    np.testing.assert_array_equal(numbers, [127, 0, 2, 2, 0])


def test_a_row_too_small_for_a_scale_becomes_zero(library: str) -> None:
    given = field(library, [np.array([[1e-44, 0.0], [1.0, 2.0]])])
    np.testing.assert_array_equal(dense(int8(given), given)[0], 0)


def test_an_empty_tensor_stays_as_it_is(library: str) -> None:
    assert isinstance(int8(field(library, [np.zeros((0, 3))])), Mixed)


def test_the_operator_says_what_it_takes() -> None:
    assert (INT8.name, INT8.most, INT8.options) == ("int8", 1, ())
