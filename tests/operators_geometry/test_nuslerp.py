"""`nuslerp`: an arc for the tensor, each row or each column, divided as the weights say."""

from __future__ import annotations

import numpy as np
import pytest

from tests.operators_geometry.fields import PLAIN, SHAPES, Doubles, Machine, along, close, random
from tests.operators_geometry.test_slerp import naive
from weightarith.errors import RecipeError
from weightarith.operators.field import Mixed, Tensors
from weightarith.operators.nuslerp import nuslerp

AXES = {"tensor": None, "row": -1, "column": 0}


def naive_or_straight(a: Doubles, b: Doubles) -> Doubles:
    """Return the point at three quarters; of vectors of one element, that on the line."""
    return np.asarray(0.25 * a + 0.75 * b) if a.size == 1 else naive(a, b, 0.75)


@pytest.mark.parametrize("per", list(AXES))
@pytest.mark.parametrize("shape", SHAPES)
def test_each_vector_has_its_own_arc(machine: Machine, shape: tuple[int, ...], per: str) -> None:
    operands = random(2, shape)

    found = machine(nuslerp, operands, weights=(1.0, 3.0), per=per)

    assert close(found, along(AXES[per], naive_or_straight, operands), 1e-12)


@pytest.mark.parametrize("block", [1, 5, 10, 11, 25, 60])
def test_columns_between_which_there_are_others_are_found_whatever_the_blocks(block: int) -> None:
    operands = random(2, (3, 4, 5))

    found = Machine("numpy", block)(nuslerp, operands, weights=(1.0, 3.0), per="column")

    assert close(found, along(0, naive_or_straight, operands), 1e-12)


def test_rows_and_columns_that_are_zero_or_opposite_take_the_straight_line(machine: Machine) -> None:
    a, b = random(2, (4, 6))
    a[1], b[2], a[3] = 0, 0, -b[3]

    rows = machine(nuslerp, [a, b], weights=(1.0, 1.0), per="row")
    columns = machine(nuslerp, [a.T.copy(), b.T.copy()], weights=(1.0, 1.0), per="column")

    assert close(rows[1:], 0.5 * (a + b)[1:])
    assert close(rows[0], naive(a[0], b[0], 0.5), 1e-12)
    assert close(columns.T, rows, 1e-12)


def test_a_negative_weight_goes_beyond_an_end() -> None:
    a, b = random(2, (5, 3))

    assert close(PLAIN(nuslerp, [a, b], weights=(1.5, -0.5)), naive(a, b, -0.5), 1e-12)


def test_weights_that_cancel_are_refused_and_in_the_middle_for_mergekit() -> None:
    field = PLAIN.field(random(2, (5, 3)), name="x")

    with pytest.raises(RecipeError, match="the weights 1, -1 sum to 0 at 'x'"):
        nuslerp(field, weights=(1.0, -1.0))
    theirs = nuslerp(field, weights=(1.0, -1.0), compat="mergekit")
    even = nuslerp(field, weights=(1.0, 1.0))

    assert isinstance(theirs, Mixed)
    assert isinstance(even, Mixed)
    assert theirs.coefficients == even.coefficients


@pytest.mark.parametrize("per", list(AXES))
def test_an_empty_tensor_has_coefficients_too(per: str) -> None:
    found = nuslerp(Tensors([np.zeros((0, 3))] * 2), weights=(1.0, 3.0), per=per)

    assert isinstance(found, Mixed)
    assert found.coefficients == (0.25, 0.75)
