"""`project` and `reject`: against least squares, over tensors and over a model, banks of every kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.operators_geometry.fields import PLAIN, SHAPES, Doubles, Machine, close, random
from weightarith.errors import IncompatibleError, RecipeError
from weightarith.operators.field import Array, Tensors, computed
from weightarith.operators.projection import PROJECT, REJECT, model_coefficients, project, reject


def naive(vector: Doubles, *bank: Doubles) -> Doubles:
    columns = np.stack([one.reshape(-1) for one in bank], axis=1)
    found, *_ = np.linalg.lstsq(columns, vector.reshape(-1), rcond=1e-12)
    return np.asarray(columns @ found).reshape(vector.shape)


def cosine(a: Doubles, b: Doubles, whole: Doubles) -> float:
    """Return the inner product of what was left and a vector, beside the norms of that and of the whole."""
    return abs(float(np.sum(a * b))) / float(np.linalg.norm(b) * np.linalg.norm(whole))


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_projection_is_the_solution_of_least_squares(
    machine: Machine, shape: tuple[int, ...], count: int
) -> None:
    vector, *bank = random(1 + count, shape)
    expected = naive(vector, *bank)

    along = machine(project, [vector, *bank])
    beside = machine(reject, [vector, *bank])

    assert np.allclose(along, expected, rtol=0, atol=1e-11 * np.max(np.abs(vector)))
    assert np.allclose(beside, vector - expected, rtol=0, atol=1e-11 * np.max(np.abs(vector)))


@pytest.mark.parametrize("distance", [1.0, 1e-1, 1e-2, 1e-3])
def test_what_is_left_is_at_a_right_angle_to_vectors_that_nearly_coincide(
    machine: Machine, distance: float
) -> None:
    vector, first, other, third = random(4, (40, 50), spread=3)
    bank = [first, 1e-3 * (first + distance * other), third]

    left = machine(reject, [vector, *bank])

    assert all(cosine(left, one, vector) < 1e-12 for one in bank)
    assert close(left + machine(project, [vector, *bank]), vector, 1e-10)


@given(st.integers(0, 1000), st.integers(1, 4), st.floats(1e-4, 1e4))
def test_the_two_parts_add_up_and_only_one_has_anything_of_the_bank(
    seed: int, count: int, scale: float
) -> None:
    vector, *bank = random(1 + count, (5, 6), seed)
    bank[0] = scale * bank[0]

    along, left = PLAIN(project, [vector, *bank]), PLAIN(reject, [vector, *bank])

    assert close(along + left, vector)
    assert all(cosine(left, one, vector) < 1e-12 for one in bank)
    assert close(PLAIN(project, [along, *bank]), along, 1e-10)
    assert close(PLAIN(project, [vector, *reversed(bank)]), along, 1e-10)


def test_copies_and_multiples_in_a_bank_change_nothing() -> None:
    vector, a, b = random(3, (6, 5))

    once = PLAIN(reject, [vector, a, b])

    assert close(PLAIN(reject, [vector, a, b, a, -3 * b, a + b]), once, 1e-12)


def test_a_vector_of_the_bank_that_is_zero_is_left_out() -> None:
    vector, a = random(2, (6, 5))

    assert close(PLAIN(reject, [vector, 0 * a, a]), PLAIN(reject, [vector, a]))
    assert close(PLAIN(reject, [vector, 0 * a]), vector)
    assert close(PLAIN(project, [vector, 0 * a]), 0 * vector)
    assert close(PLAIN(project, [0 * vector, a]), 0 * vector)


def test_a_vector_of_the_bank_is_left_with_nothing() -> None:
    vector, a, b = random(3, (6, 5))

    assert np.max(np.abs(PLAIN(reject, [2 * a - b, a, b]))) < 1e-12
    assert close(PLAIN(project, [vector, vector]), vector)


class Model:
    """Fields one after the other."""

    def __init__(self, fields: Sequence[Tensors]) -> None:
        self.fields, self.count = fields, sum(field.count for field in fields)

    def blocks(self) -> Iterator[tuple[int, Array]]:
        for field in self.fields:
            yield from field.blocks()

    def sample(self) -> Array:
        raise NotImplementedError


def test_over_a_model_the_coefficients_are_the_same_for_all_tensors(machine: Machine) -> None:
    tensors = [random(3, shape, seed) for seed, shape in enumerate(SHAPES)]
    fields = [machine.field(one) for one in tensors]
    expected = naive(*(np.concatenate([one[i].reshape(-1) for one in tensors]) for i in range(3)))

    state = model_coefficients(Model(fields), operands=1, over="model")

    options: dict[str, Any] = {"operands": 1, "over": "model", "state": state}
    found, left = (
        np.concatenate([np.asarray(computed(run(field, **options), field)).reshape(-1) for field in fields])
        for run in (project, reject)
    )
    assert close(found, expected, 1e-11)
    for number in (1, 2):
        bank = np.concatenate([one[number].reshape(-1) for one in tensors])
        assert cosine(left, bank, expected) < 1e-12
    assert len({project(field, **options).coefficients for field in fields}) == 1


def test_a_vector_that_is_zero_all_over_the_model_is_refused() -> None:
    fields = [PLAIN.field([np.ones(3), np.ones(3), np.zeros(3)])] * 2

    with pytest.raises(IncompatibleError) as raised:
        model_coefficients(Model(fields), operands=1, over="model")

    assert raised.value.message == "vector 2 of onto is zero in every tensor, and has no direction"
    assert raised.value.hint


def test_a_model_without_tensors_has_no_coefficients() -> None:
    assert model_coefficients(Model([]), operands=1, over="model") == ()


def test_an_empty_bank_is_refused() -> None:
    for run in (project, reject):
        with pytest.raises(RecipeError, match="there is no vector to project onto"):
            run(PLAIN.field([np.ones(3)]), operands=1, over="tensor")


def test_an_empty_tensor_has_coefficients_too() -> None:
    field = Tensors([np.zeros((0, 3))] * 3)

    assert project(field).coefficients == (0, 0, 0)
    assert reject(field).coefficients == (1, 0, 0)


def test_the_measure_may_be_taken_over_the_model() -> None:
    for operator in (PROJECT, REJECT):
        assert operator.prepare is model_coefficients
        assert operator.defaults == {"over": "tensor"}
        assert (operator.fewest, operator.most, operator.beside) == (1, 1, "onto")
