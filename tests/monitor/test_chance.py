"""How large a number must be: bounds that hold for every sum of signs, and for one more of a sample."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightarith.monitor.chance import (
    chance_in,
    chance_of_signs,
    needed_in,
    needed_of_signs,
    score_in,
)
from weightarith.monitor.copies import piece_of, turned
from weightarith.monitor.overlap import Overlap
from weightarith.monitor.watching import allowed


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=9), st.floats(0.1, 4))
def test_no_sum_with_random_signs_is_so_large_more_often_than_said(parts: list[float], score: float) -> None:
    size = math.sqrt(sum(one * one for one in parts))
    sums = [
        sum(sign * one for sign, one in zip(signs, parts, strict=True)) / size
        for signs in itertools.product((-1, 1), repeat=len(parts))
    ]

    assert sum(one >= score + 1e-9 for one in sums) / len(sums) <= chance_of_signs(score) + 1e-12


@given(st.floats(1e-9, 0.5))
def test_what_is_needed_has_the_chance_it_was_asked_for(chance: float) -> None:
    assert chance_of_signs(needed_of_signs(chance)) <= chance * (1 + 1e-9) or needed_of_signs(chance) == 0


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=8), st.floats(1e-6, 0.4))
def test_what_a_sample_makes_needed_is_reached_with_the_chance_it_was_asked_for(
    sample: list[float], chance: float
) -> None:
    needed = needed_in(tuple(sample), chance)
    assert needed is not None
    if max(sample) - min(sample) < 1e-6:
        return
    found = score_in(needed, tuple(sample))
    assert found is not None
    assert chance_in(found, len(sample)) == pytest.approx(chance, rel=1e-5)


def test_one_number_is_no_sample() -> None:
    assert score_in(0.5, (0.1,)) is None
    assert needed_in((0.1,), 0.01) is None


def test_the_rate_of_a_run_is_shared_among_all_its_tests() -> None:
    assert allowed(0.01, 10, 3) == pytest.approx(0.01 / 30)
    assert allowed(0.01, 0, 3) == 0.01


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=8))
def test_a_copy_is_the_sum_of_all_lines_with_either_sign(lines: list[int]) -> None:
    sums = {sum(sign * line for sign, line in zip(signs, lines, strict=True))
            for signs in itertools.product((-1, 1), repeat=len(lines))}  # fmt: skip

    found = turned(np.array([lines], float), 40, np.random.default_rng(0))

    assert set(found[:, 0].tolist()) <= sums


def test_the_signs_of_each_tensor_and_kind_and_seed_are_drawn_apart() -> None:
    lines = np.ones((1, 64))
    overlap = Overlap(1.0, lines, lines)
    pieces = [piece_of(name, overlap, 50, seed) for name, seed in (("a", 0), ("b", 0), ("a", 1))]

    drawn = [copies[:, 0] for one in pieces for copies in one.copies]  # rows, then columns, of each
    assert all(not np.array_equal(one, other) for one, other in itertools.combinations(drawn, 2))
    again = piece_of("a", overlap, 50, 0)
    assert np.array_equal(again.copies, pieces[0].copies)
