"""Student's t against printed tables, and against integration by brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightarith.student import student_quantile, student_tail

TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 9: 2.262, 10: 2.228, 29: 2.045, 30: 2.042}


@pytest.mark.parametrize("freedom", TABLE)
def test_quantiles_are_those_of_the_printed_table(freedom: int) -> None:
    assert student_quantile(0.025, freedom) == pytest.approx(TABLE[freedom], abs=5e-4)


@pytest.mark.parametrize("freedom", [0.4, 1, 2, 2.8, 3, 7, 11.6, 30])
@pytest.mark.parametrize("score", [0.0, 0.3, 1.0, 2.5, 6.0])
def test_the_tail_is_the_area_under_the_density(score: float, freedom: float) -> None:
    grid = np.linspace(0, score, 200_001)
    front = math.gamma((freedom + 1) / 2) / (math.sqrt(freedom * math.pi) * math.gamma(freedom / 2))
    inside = float(np.trapezoid(front * (1 + grid * grid / freedom) ** (-(freedom + 1) / 2), grid))

    assert student_tail(score, freedom) == pytest.approx(0.5 - inside, abs=1e-9)
    assert student_tail(-score, freedom) == pytest.approx(0.5 + inside, abs=1e-9)


@given(st.floats(1e-12, 0.499), st.floats(0.5, 60))
def test_a_quantile_has_the_tail_it_was_asked_for(tail: float, freedom: float) -> None:
    assert student_tail(student_quantile(tail, freedom), freedom) == pytest.approx(tail, rel=1e-9)


def test_far_tails_keep_their_digits_and_end_at_infinity() -> None:
    assert student_tail(1e6, 1) == pytest.approx(1 / (math.pi * 1e6), rel=1e-9)
    assert student_tail(math.inf, 3) == 0.0
