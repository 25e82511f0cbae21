"""`slerp`: against the formula, near copies, opposites, and what has no direction."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.operators_geometry.fields import PLAIN, SHAPES, Doubles, Machine, close, random
from weightarith.operators.field import Mixed, Tensors
from weightarith.operators.slerp import slerp

TIMES = (-0.4, 0.0, 0.3, 1.0, 1.7)


def naive(a: Doubles, b: Doubles, t: float) -> Doubles:
    cosine = float(np.sum(a / np.linalg.norm(a) * (b / np.linalg.norm(b))))
    angle = math.acos(cosine)
    return np.asarray((math.sin((1 - t) * angle) * a + math.sin(t * angle) * b) / math.sin(angle))


@pytest.mark.parametrize("t", TIMES)
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if math.prod(shape) > 1])
def test_it_is_the_formula(machine: Machine, shape: tuple[int, ...], t: float) -> None:
    a, b = random(2, shape)

    assert close(machine(slerp, [a, b], t=t), naive(a, b, t), 1e-12)


@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-6, 1e-8])
def test_near_copies_lose_no_digits(distance: float) -> None:
    a, b = random(2, (40, 50))
    b = a + distance * (b - a * np.sum(a * b) / np.sum(a * a))  # a step at a right angle
    angle = math.atan(np.linalg.norm(b - a) / np.linalg.norm(a))

    for t in TIMES:
        one, other = (math.sin(share * angle) / math.sin(angle) for share in (1 - t, t))
        found = slerp(PLAIN.field([a, b]), t=t).coefficients
        assert found == pytest.approx((one, other), rel=1e-14, abs=1e-15)


def test_copies_are_what_they_are() -> None:
    (a,) = random(1, (6, 5))

    for t in TIMES:
        assert close(PLAIN(slerp, [a, a], t=t), a)


@pytest.mark.parametrize("t", TIMES)
def test_the_ends_are_the_operands(t: float) -> None:
    a, b = random(2, (6, 5))

    assert slerp(PLAIN.field([a, b]), t=0).coefficients == (1, 0)
    assert slerp(PLAIN.field([a, b]), t=1).coefficients == (0, 1)
    assert close(PLAIN(slerp, [a, b], t=t), PLAIN(slerp, [b, a], t=1 - t))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.ones(4), -np.ones(4)),
        (np.array(3.0), np.array(-2.0)),
        (np.array([3.0]), np.array([2.0])),
        (np.zeros((2, 2)), np.ones((2, 2))),
        (np.ones((2, 2)), np.zeros((2, 2))),
        (np.zeros(3), np.zeros(3)),
    ],
)
def test_where_there_is_no_arc_the_line_is_straight(machine: Machine, a: Doubles, b: Doubles) -> None:
    assert close(machine(slerp, [a, b], t=0.3), np.asarray(0.7 * a + 0.3 * b))


def test_an_empty_tensor_has_coefficients_too() -> None:
    assert slerp(Tensors([np.zeros((0, 3))] * 2), t=0.25).coefficients == (0.75, 0.25)


def test_mergekit_takes_the_straight_line_between_fine_tunes() -> None:
    a, b = random(2, (6, 5))
    near, opposite = a + 0.01 * b, 0.01 * b - a

    assert slerp(PLAIN.field([a, near]), t=0.3, compat="mergekit").coefficients == (0.7, 0.3)
    assert slerp(PLAIN.field([a, opposite]), t=0.3, compat="mergekit").coefficients == (0.7, 0.3)
    assert slerp(PLAIN.field([a, near]), t=0.3).coefficients != (0.7, 0.3)


def test_mergekit_holds_what_is_zero_to_be_at_a_right_angle() -> None:
    found: Mixed = slerp(PLAIN.field([np.zeros(4), np.ones(4)]), t=0.5, compat="mergekit")

    assert found.coefficients == pytest.approx((math.sqrt(0.5), math.sqrt(0.5)))


@given(st.integers(0, 1000), st.floats(0, 1))
def test_on_a_sphere_it_stays_on_it_and_moves_evenly(seed: int, t: float) -> None:
    a, b = (one / np.linalg.norm(one) for one in random(2, (4, 3), seed))

    found = PLAIN(slerp, [a, b], t=t)

    assert np.linalg.norm(found) == pytest.approx(1, rel=1e-13)
    whole = math.acos(np.clip(np.sum(a * b), -1, 1))
    assert math.acos(np.clip(np.sum(a * found), -1, 1)) == pytest.approx(t * whole, abs=1e-7)
