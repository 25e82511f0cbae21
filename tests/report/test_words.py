"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest

from weightarith.report import words


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (-0.33451, "−0.335"),
        (12345.6, "12,346"),
        (1e-7, "1e−07"),
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "–"),
    ],
)
def test_a_number_has_the_digits_that_mean_something(value: float | None, shown: str) -> None:
    assert words.number(value) == shown


def test_a_share_is_in_per_cent_and_its_change_in_points() -> None:
    assert words.share(0.125) == "12.5\u00a0%"
    assert words.share(None) == "–"
    assert words.change(0.02, as_share=True) == "+2 points"
    assert words.change(-0.5, as_share=False) == "−0.5"
    assert words.change(0.0, as_share=True) == "0 points"


def test_an_estimate_has_its_interval_where_it_has_one() -> None:
    found = {"value": 0.5, "low": 0.25, "high": 0.75, "n": 9}

    assert words.estimate(found, as_share=True) == ("50\u00a0%", "25 to 75")
    assert words.estimate(found, as_share=False) == ("0.5", "0.25 to 0.75")
    assert words.estimate(found | {"low": None}, as_share=False) == ("0.5", "")
    assert words.estimate(None, as_share=True) == ("–", "")


def test_things_are_counted() -> None:
    assert [words.counted(n, "matrix", "matrices") for n in (1, 2)] == ["1 matrix", "2 matrices"]
    assert words.counted(1200, "tensor") == "1,200 tensors"
