from __future__ import annotations

import numpy as np
import pytest

from tests.operators_spectral.arrays import LIBRARIES, back, dense, field, normal, to
from weightarith.operators.field import Mixed
from weightarith.operators.signs import SIGN, decode, encode, sign


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("shape", [(5, 7), (4, 1, 3), (2, 3, 4), (1, 1)])
@pytest.mark.parametrize("block", [1, 7, 1 << 15])
def test_every_element_becomes_its_sign_times_the_mean_magnitude(
    library: str, shape: tuple[int, ...], block: int
) -> None:
    tensor = normal(0, *shape)
    given = field(library, [tensor], block=block)
    scale = np.float32(np.abs(tensor).mean())
    np.testing.assert_array_equal(dense(sign(given), given), np.where(tensor >= 0, scale, -scale))


def test_no_other_scale_has_a_smaller_squared_error() -> None:
    tensor = normal(1, 30, 20)
    given = field("numpy", [tensor])
    made = dense(sign(given), given)
    for factor in (0.99, 1.01):
        assert ((tensor - made) ** 2).sum() < ((tensor - factor * made) ** 2).sum()


def test_a_zero_among_others_counts_as_positive_and_zeros_alone_stay_zero(library: str) -> None:
    given = field(library, [np.array([[0.0, -0.0, 3.0, -1.0]])])
    np.testing.assert_array_equal(dense(sign(given), given), [[1, 1, 1, -1]])
    given = field(library, [np.zeros((3, 4))])
    assert not dense(sign(given), given).any()


@pytest.mark.parametrize("shape", [(), (5,), (0, 3)])
def test_tensors_of_one_axis_and_empty_ones_stay_as_they_are(library: str, shape: tuple[int, ...]) -> None:
    found = sign(field(library, [np.ones(shape)]))
    assert isinstance(found, Mixed)
    assert found.coefficients == (1.0,)


@pytest.mark.parametrize("shape", [(3, 8), (5, 7), (1, 1), (2, 3, 5), (9,), (), (0, 4)])
def test_encoded_signs_decode_to_what_the_operator_gives(library: str, shape: tuple[int, ...]) -> None:
    tensor = np.asarray(normal(2, *(shape or (1,)))).reshape(shape)
    signs = encode(to(library, tensor))
    assert back(signs.bits).dtype == np.uint8
    assert back(signs.bits).shape == (-(-tensor.size // 8),)
    assert back(signs.scale).dtype == np.float32
    assert tuple(signs.scale.shape) == ()
    found = back(decode(signs))
    assert found.dtype == np.float32
    assert found.shape == shape
    if len(shape) > 1 and tensor.size:
        given = field(library, [tensor])
        np.testing.assert_array_equal(found, dense(sign(given), given))


def test_bits_are_packed_in_row_major_order_the_first_in_the_lowest(library: str) -> None:
    tensor = np.array([[1.0, -1.0, -1.0, 1.0, 1.0], [-1.0, 1.0, -1.0, 1.0, -1.0]])
    bits = back(encode(to(library, tensor)).bits)
    np.testing.assert_array_equal(bits, np.packbits(tensor.ravel() >= 0, bitorder="little"))
    np.testing.assert_array_equal(bits, [0b01011001, 0b01])


def test_scale_carries_over_exactly_for_powers_of_two() -> None:
    tensor = normal(3, 6, 5)
    one, two = field("numpy", [tensor]), field("numpy", [-4 * tensor])
    np.testing.assert_array_equal(dense(sign(two), two), -4 * dense(sign(one), one))


def test_the_operator_says_what_it_takes() -> None:
    assert (SIGN.name, SIGN.most, SIGN.options) == ("sign", 1, ())
