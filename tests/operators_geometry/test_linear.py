"""`linear` and `task_arithmetic`: weights given, normalised or not, and refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.operators_geometry.fields import PLAIN, SHAPES, Machine, close, random
from weightarith.errors import RecipeError
from weightarith.operators.field import Field, Mixed, Tensors
from weightarith.operators.linear import LINEAR, TASK_ARITHMETIC, linear, task_arithmetic


def named(name: str = "model.norm.weight") -> Field:
    return Tensors([np.ones(2), np.ones(2)], name=name)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_mean_is_that_of_numpy(machine: Machine, shape: tuple[int, ...]) -> None:
    operands, weights = random(3, shape), (0.2, 0.5, 1.1)

    found = machine(linear, operands, weights=weights, normalize=True)

    assert close(found, np.average(operands, axis=0, weights=weights))


@pytest.mark.parametrize("shape", SHAPES)
def test_task_arithmetic_scales_a_sum(machine: Machine, shape: tuple[int, ...]) -> None:
    a, b = random(2, shape)

    found = machine(task_arithmetic, [a, b], weights=(0.5, -2.0), normalize=False, scale=3.0)

    assert close(found, 3 * (0.5 * a - 2 * b))


def test_task_arithmetic_divides_by_the_sum_of_the_weights_on_request() -> None:
    found = task_arithmetic(named(), weights=(1.0, -3.0), normalize=True, scale=2.0)

    assert found == Mixed((-1.0, 3.0)) or found.coefficients == (-1.0, 3.0)


def test_weights_that_sum_to_one_need_no_normalising() -> None:
    assert linear(named(), weights=(0.3, 0.7), normalize=False).coefficients == (0.3, 0.7)
    assert linear(named(), weights=(2.0, -1.0), normalize=False).coefficients == (2.0, -1.0)


@pytest.mark.parametrize("weights", [(1.0, -1.0), (0.0, 0.0), (0.1 + 0.2, -0.3)])
def test_weights_that_sum_to_zero_cannot_be_normalised(weights: tuple[float, float]) -> None:
    with pytest.raises(RecipeError) as raised:
        linear(named(), weights=weights, normalize=True)
    with pytest.raises(RecipeError, match="cannot be normalised"):
        task_arithmetic(named(), weights=weights, normalize=True, scale=1.0)

    assert "sum to 0 at 'model.norm.weight', and cannot be normalised" in raised.value.message
    assert raised.value.hint
    assert raised.value.exit_code == 2


def test_a_mean_of_models_has_weights_that_sum_to_one() -> None:
    with pytest.raises(RecipeError) as raised:
        linear(named(), weights=(1.0, 0.5), normalize=False)

    assert raised.value.message == (
        "the weights 1, 0.5 of a mean sum to 1.5 at 'model.norm.weight', expected 1"
    )
    assert "task_arithmetic" in raised.value.hint


def test_a_tensor_without_a_name_is_not_named_in_an_error() -> None:
    with pytest.raises(RecipeError) as raised:
        linear(named(""), weights=(1.0, -1.0), normalize=True)

    assert raised.value.message == "the weights 1, -1 sum to 0, and cannot be normalised"


def test_by_default_a_mean_is_plain_and_a_sum_is_a_sum() -> None:
    assert LINEAR.defaults == {"weights": 1.0, "normalize": True}
    assert TASK_ARITHMETIC.defaults == {"weights": 1.0, "normalize": False, "scale": 1.0}


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=5))
def test_normalised_weights_do_not_depend_on_their_size(weights: list[float]) -> None:
    operands = random(len(weights), (5,))

    once = PLAIN(linear, operands, weights=weights, normalize=True)
    larger = PLAIN(linear, operands, weights=[1000 * weight for weight in weights], normalize=True)

    assert close(once, larger)
