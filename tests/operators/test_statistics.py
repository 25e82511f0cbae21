"""Sums, inner products, and the k-th largest number: exact whatever the data, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.operators.naive import Doubles
from tests.operators.running import BLOCKS, LIBRARIES
from weightarith.errors import NonFiniteError
from weightarith.operators import statistics
from weightarith.operators.field import Array, Tensors, sample_runs
from weightarith.operators.statistics import gram, kth_largest, sums


class Counted(Tensors):
    """A field that counts the passes over it and shows the sample it is told to."""

    def __init__(self, values: Any, shown: Any = None, block: int = 64) -> None:
        super().__init__([values], block=block)
        self.passes, self.shown = 0, shown

    def blocks(self) -> Iterator[tuple[int, Array]]:
        self.passes += 1
        yield from super().blocks()

    def sample(self) -> Array:
        return super().sample() if self.shown is None else np.asarray([self.shown], np.float64)


def sorted_largest(values: Any, rank: int) -> float:
    return float(sorted(np.abs(np.asarray(values)).ravel(), reverse=True)[rank - 1])


@given(
    values=st.lists(st.integers(-3, 3) | st.floats(-1e300, 1e300), min_size=1, max_size=60),
    place=st.floats(0, 1),
    block=st.sampled_from([1, 7, 64]),
)
def test_the_kth_largest_is_what_sorting_finds(values: list[float], place: float, block: int) -> None:
    rank = 1 + int(place * (len(values) - 1))

    (found,) = kth_largest(Counted(np.array(values, np.float64), block=block), abs, [rank])

    assert found == sorted_largest(values, rank)


@LIBRARIES
@pytest.mark.parametrize("rank", [1, 2, 50, 99, 100])
def test_of_equal_numbers_every_rank_is_that_number(library: Any, rank: int) -> None:
    assert kth_largest(Tensors([library(np.full(100, -0.25))]), abs, [rank]) == [0.25]


@LIBRARIES
def test_every_row_has_a_rank_of_its_own(library: Any) -> None:
    rows = np.random.default_rng(0).standard_normal((4, 1000))

    found = kth_largest(Tensors([library(row) for row in rows], block=7), abs, [1, 300, 1000, 0])

    assert found == [
        *(sorted_largest(row, rank) for row, rank in zip(rows, (1, 300, 1000), strict=False)),
        math.inf,
    ]


def test_no_rank_is_infinity_and_a_rank_beyond_the_last_is_minus_infinity_without_a_pass() -> None:
    field = Counted(np.arange(5.0))

    assert kth_largest(field, abs, [0]) == [math.inf]
    assert kth_largest(field, abs, [6]) == [-math.inf]
    assert kth_largest(Counted(np.zeros(0)), abs, [1]) == [-math.inf]
    assert field.passes == 0


def test_what_is_measured_may_be_negative_or_infinite() -> None:
    values = np.array([-math.inf, -2.0, -1.0, 3.0, math.inf])
    field = Counted(values)

    found = [kth_largest(field, lambda block: block, [rank])[0] for rank in range(1, 6)]

    assert found == sorted(values, reverse=True)


def test_numbers_that_are_not_are_an_error_where_they_hide_the_rank() -> None:
    field = Counted(np.array([1.0, math.nan, 2.0, math.nan]))

    assert kth_largest(field, abs, [2]) == [1.0]
    with pytest.raises(NonFiniteError, match="the 3 largest of 2 numbers are asked for: the others are NaN"):
        kth_largest(field, abs, [3])


def spoiled(values: Doubles, shown: float) -> Doubles:
    """Return values that look all alike where they are sampled."""
    for start, size in sample_runs(values.size):
        values[start : start + size] = shown
    return values


@pytest.mark.parametrize("share", [1e-5, 0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize(
    "case", ["random", "sorted", "sampled low", "sampled high", "few", "bfloat16", "rows"]
)
def test_data_that_misleads_the_sample_costs_passes_and_not_the_result(case: str, share: float) -> None:
    values = np.random.default_rng(0).standard_normal(200_000)
    made = {
        "random": values,
        "sorted": np.sort(values),
        "sampled low": spoiled(values.copy(), 0.0),
        "sampled high": spoiled(values.copy(), 9.0),
        "few": np.round(values),
        "bfloat16": torch.tensor(values).to(torch.bfloat16).double().numpy(),
        "rows": values * np.repeat(np.random.default_rng(1).integers(0, 2, 100), 2000),
    }[case]
    rank, field = max(1, round(share * made.size)), Counted(made, block=1 << 15)

    (found,) = kth_largest(field, abs, [rank])

    assert found == float(np.sort(np.abs(made))[-rank])
    assert field.passes <= (1 if case in ("random", "few", "bfloat16") else 3)


@pytest.mark.parametrize("rank", [1, 13_000, 40_000, 65_001, 99_999])
@pytest.mark.parametrize("shown", [[0.0], [-5.0, 5.0], [1e9], [], [math.nan], [0.1] * 100], ids=str)
def test_no_pass_holds_more_than_it_may_however_bad_the_sample(
    shown: list[float], rank: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    hold = statistics._Tally._hold

    def watched(tally: statistics._Tally, numbers: Doubles) -> None:
        hold(tally, numbers)
        held.append(tally.holding)

    monkeypatch.setattr(statistics, "GATHERED", 2000)
    monkeypatch.setattr(statistics._Tally, "_hold", watched)
    random = np.random.default_rng(0)
    values = np.where(
        random.random(100_000) < 0.3, np.round(random.standard_normal(100_000), 1), random.random()
    )
    field = Counted(values, shown, block=1000)

    (found,) = kth_largest(field, abs, [rank])

    assert found == float(np.sort(np.abs(values))[-rank])
    assert max(held, default=0) <= 2000
    assert field.passes <= 6


@LIBRARIES
@BLOCKS
def test_sums_and_inner_products_are_those_of_the_whole(library: Any, block: int) -> None:
    rows = np.random.default_rng(0).standard_normal((3, 100))
    field = Tensors([library(row) for row in rows], block=block)

    assert np.allclose(gram(field), rows @ rows.T, rtol=1e-13)
    assert np.allclose(sums(field, lambda values: abs(values).sum()), np.abs(rows).sum(), rtol=1e-13)


def test_the_sum_over_nothing_is_nothing() -> None:
    assert sums(Tensors([np.zeros(0)]), lambda values: values.sum(axis=1)).size == 0
