"""The t-interval over runs, by hand."""

from __future__ import annotations

import math

import pytest

from weightarith.errors import RecipeError
from weightarith.sweep.runs import over_runs


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
