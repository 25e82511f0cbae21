"""`multislerp` and `karcher`: against the iteration on whole tensors, and what a mean must be."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from tests.operators_geometry.fields import PLAIN, SHAPES, Doubles, Machine, close, random
from weightarith.errors import RecipeError
from weightarith.operators.field import Tensors
from weightarith.operators.slerp import slerp
from weightarith.operators.sphere import karcher, multislerp

WEIGHTS = (0.2, 0.5, 1.1)
MANY = [shape for shape in SHAPES if math.prod(shape) > 1]


def logarithm(at: Doubles, to: Doubles) -> Doubles:
    """Return the tangent at one unit vector that leads to another."""
    sideways = to - np.sum(at * to) * at
    length = float(np.linalg.norm(sideways))
    return sideways * (math.atan2(length, float(np.sum(at * to))) / length) if length else 0 * at


def naive(operands: Sequence[Doubles], weights: Sequence[float], steps: int = 400) -> Doubles:
    """Return the mean on the sphere, found by steps in the space of whole tensors."""
    shares = np.array(weights) / sum(weights)
    norms = [float(np.linalg.norm(one)) for one in operands]
    units = [one / norm for one, norm in zip(operands, norms, strict=True)]
    point = sum(share * unit for share, unit in zip(shares, units, strict=True))
    point = point / np.linalg.norm(point)
    for _ in range(steps):
        step = sum(share * logarithm(point, unit) for share, unit in zip(shares, units, strict=True))
        length = float(np.linalg.norm(step))
        point = math.cos(length) * point + (math.sin(length) / length if length else 1) * step
        point = point / np.linalg.norm(point)
    return np.asarray(point * float(shares @ norms))


@pytest.mark.parametrize("spread", [1.0, 1e-2, 1e-6])
@pytest.mark.parametrize("shape", MANY)
def test_the_mean_is_that_on_whole_tensors(machine: Machine, shape: tuple[int, ...], spread: float) -> None:
    operands = random(3, shape, seed=3, spread=spread)

    assert close(machine(multislerp, operands, weights=WEIGHTS), naive(operands, WEIGHTS), 1e-11)
    assert close(machine(karcher, operands), naive(operands, (1, 1, 1)), 1e-11)


def test_the_steps_towards_the_operands_cancel_at_the_mean() -> None:
    operands = random(5, (6, 5), spread=2)
    units = [one / np.linalg.norm(one) for one in operands]

    mean = PLAIN(karcher, operands)

    at = mean / np.linalg.norm(mean)
    assert np.linalg.norm(sum(logarithm(at, unit) for unit in units)) < 1e-10
    assert np.linalg.norm(mean) == pytest.approx(np.mean([np.linalg.norm(one) for one in operands]))


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_of_two_operands_of_one_norm_it_is_slerp(t: float) -> None:
    a, b = (one / np.linalg.norm(one) for one in random(2, (6, 5)))

    assert close(PLAIN(multislerp, [a, b], weights=(1 - t, t)), PLAIN(slerp, [a, b], t=t), 1e-12)


def test_one_step_is_not_the_mean_and_many_are() -> None:
    operands = random(4, (6, 5), spread=3)

    first, last = (PLAIN(karcher, operands, max_iter=steps) for steps in (1, 1000))

    assert close(first, naive(operands, (1,) * 4, steps=1), 1e-12)
    assert not close(first, last, 1e-6)


def test_a_large_tolerance_stops_at_the_normalised_mean() -> None:
    operands = random(3, (6, 5))
    expected = np.sum([one / np.linalg.norm(one) for one in operands], axis=0)

    found = PLAIN(karcher, operands, tol=3.0)

    assert close(found / np.linalg.norm(found), expected / np.linalg.norm(expected))


def test_what_is_zero_counts_for_the_norm_alone() -> None:
    a, b = random(2, (6, 5))
    without = PLAIN(karcher, [a, b])

    assert close(PLAIN(karcher, [a, 0 * a, b]), without * 2 / 3, 1e-12)
    assert close(PLAIN(multislerp, [a, 0 * a, b], weights=(1.0, 2.0, 1.0)), without / 2, 1e-12)
    assert close(PLAIN(karcher, [0 * a, 0 * a]), 0 * a)
    assert close(PLAIN(multislerp, [a, 0 * a], weights=(0.0, 1.0)), 0 * a)


@pytest.mark.parametrize(("values", "mean"), [((1, 1, -1), 1), ((2, -2), 0), ((3, 5, -7), 5), ((-4, -2), -3)])
def test_numbers_have_two_directions(values: tuple[float, ...], mean: float) -> None:
    operands = [np.array([float(value)]) for value in values]

    assert PLAIN(karcher, operands) == pytest.approx(np.array([mean]))
    assert PLAIN(multislerp, operands, weights=(1.0,) * len(values)) == pytest.approx(np.array([mean]))


def test_operands_that_cancel_have_the_plain_mean(machine: Machine) -> None:
    a, b = random(2, (6, 5))

    assert close(machine(karcher, [a, -a]), 0 * a)
    assert close(machine(multislerp, [a, -3 * a], weights=(1.0, 1.0)), -a)
    assert close(machine(multislerp, [a, -a, b, -2 * b], weights=(1.0,) * 4), -b / 4)


def test_the_norm_may_be_a_sum() -> None:
    operands = random(3, (6, 5))

    summed = PLAIN(multislerp, operands, weights=WEIGHTS, normalize=False)

    assert close(summed, sum(WEIGHTS) * PLAIN(multislerp, operands, weights=WEIGHTS))


def test_a_negative_weight_is_refused_and_no_error_to_mergekit() -> None:
    field = PLAIN.field(random(2, (6, 5)))

    with pytest.raises(RecipeError) as raised:
        multislerp(field, weights=(1.0, -0.3))

    assert raised.value.message == "a mean on the sphere has weights of 0 or more, not -0.3"
    assert "slerp" in raised.value.hint
    assert len(multislerp(field, weights=(1.0, -0.3), compat="mergekit").coefficients) == 2
    with pytest.raises(RecipeError, match="sum to 0"):
        multislerp(field, weights=(0.0, 0.0))


def test_an_empty_tensor_has_coefficients_too() -> None:
    field = Tensors([np.zeros((0, 3))] * 2)

    assert karcher(field).coefficients == (0.5, 0.5)
    assert multislerp(field, weights=(1.0, 3.0)).coefficients == (0.25, 0.75)
