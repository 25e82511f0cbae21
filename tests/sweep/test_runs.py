"""The t-interval over runs, against tables and against integration by brute force."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightarith.errors import RecipeError
from weightarith.sweep.runs import over_runs, t_below, t_quantile

TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 9: 2.262, 10: 2.228, 29: 2.045, 30: 2.042}


@pytest.mark.parametrize("freedom", TABLE)
def test_quantiles_are_those_of_the_printed_table(freedom: int) -> None:
    assert t_quantile(0.975, freedom) == pytest.approx(TABLE[freedom], abs=5e-4)


@given(st.floats(0.01, 6), st.integers(1, 40))
def test_the_chance_below_is_the_integral_of_the_density(t: float, freedom: int) -> None:
    scale = math.gamma((freedom + 1) / 2) / math.sqrt(freedom * math.pi) / math.gamma(freedom / 2)
    steps = 2000
    width = t / steps
    density = [
        (1 + (width * (step + 0.5)) ** 2 / freedom) ** (-(freedom + 1) / 2) for step in range(steps)
    ]  # fmt: skip

    assert t_below(t, freedom) == pytest.approx(0.5 + scale * width * sum(density), abs=1e-5)


def test_three_runs_have_their_mean_and_an_interval_by_hand() -> None:
    found = over_runs([0.2, 0.3, 0.4])

    half = 4.3027 * 0.1 / math.sqrt(3)
    assert found.mean == pytest.approx(0.3)
    assert found.low == pytest.approx(0.3 - half, abs=1e-4)
    assert found.high == pytest.approx(0.3 + half, abs=1e-4)
    assert found.values == (0.2, 0.3, 0.4)


def test_the_interval_of_a_share_ends_where_shares_do() -> None:
    found = over_runs([0.0, 1.0], share=True)

    assert (found.low, found.high) == (0.0, 1.0)


def test_one_run_has_no_interval() -> None:
    found = over_runs([0.5])

    assert (found.mean, found.low, found.high) == (0.5, None, None)


def test_no_runs_are_refused() -> None:
    with pytest.raises(RecipeError, match="no runs to take the mean of"):
        over_runs([])
