"""Random numbers by position: SplitMix64, even, independent, and the same wherever they are drawn."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.operators.naive import Doubles, drawn
from tests.operators.running import LIBRARIES
from weightarith.operators import masks
from weightarith.operators.masks import mixed_key, uniform

COUNT = 200_000
KEYS = [0, 1, 2**63 - 1, 2**63, 2**64 - 1, 0x0123456789ABCDEF]


def numbers(key: int = 0, seed: int = 0, count: int = COUNT) -> Doubles:
    return np.asarray(uniform(key, seed, 0, np.zeros(count)))


def test_the_generator_is_splitmix64(monkeypatch: pytest.MonkeyPatch) -> None:
    # The first numbers of Vigna's splitmix64.c from the state 1234567.
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    monkeypatch.setattr(masks, "mixed_key", lambda *_: 1234567)

    assert [int(number * 2.0**53) for number in numbers(count=4)] == [each >> 11 for each in published]


@LIBRARIES
@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
@pytest.mark.parametrize("key", KEYS)
def test_numbers_are_those_of_whole_numbers_of_any_size(library: Any, key: int, seed: int) -> None:
    found = uniform(key, seed, 0, library(np.zeros(50)))

    assert np.array_equal(np.asarray(found), drawn(key, seed, 50))


@given(key=st.integers(0, 2**64 - 1), seed=st.integers(0, 2**63 - 1), start=st.integers(0, 2**40))
def test_torch_draws_the_bits_that_numpy_draws(key: int, seed: int, start: int) -> None:
    ours, theirs = (uniform(key, seed, start, like) for like in (np.zeros(9), torch.zeros(9)))

    assert theirs.dtype == torch.float64
    assert ours.tobytes() == theirs.numpy().tobytes()


@given(cut=st.integers(0, 100), key=st.integers(0, 2**64 - 1))
def test_blocks_make_no_difference(cut: int, key: int) -> None:
    parts = [uniform(key, 3, 0, np.zeros(cut)), uniform(key, 3, cut, np.zeros(100 - cut))]

    assert np.array_equal(np.concatenate(parts), numbers(key, 3, 100))


@pytest.mark.parametrize("key", KEYS)
def test_numbers_are_spread_evenly_from_0_to_1(key: int) -> None:
    found = numbers(key)

    counts = np.bincount((found * 100).astype(int), minlength=100)
    deviation = ((counts - COUNT / 100) ** 2 / (COUNT / 100)).sum()  # chi-squared, 99 degrees of freedom
    assert found.min() >= 0
    assert found.max() < 1
    assert 50 < deviation < 160
    assert abs(found.mean() - 0.5) < 5 / np.sqrt(12 * COUNT)


def test_streams_of_neighbouring_keys_and_seeds_and_elements_are_independent() -> None:
    streams = [
        numbers(key, seed) for key, seed in [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2**63, 0), (0, 2)]
    ]
    centred = [stream - 0.5 for stream in streams]
    least = 5 / np.sqrt(COUNT)

    correlations = np.asarray(np.corrcoef(streams))[np.triu_indices(len(streams), 1)]
    lagged = [(one[lag:] * one[:-lag]).mean() * 12 for one in centred for lag in (1, 2, 64, 4096)]
    assert np.abs(correlations).max() < least
    assert np.abs(lagged).max() < least
    assert all(
        np.mean((one < 0.5) & (two < 0.5)) == pytest.approx(0.25, abs=0.005) for one, two in pairwise(streams)
    )


def test_no_two_streams_are_one_stream_moved() -> None:
    seen = np.concatenate([numbers(key, seed, 2000) for key in range(8) for seed in range(8)])

    assert np.unique(seen).size == seen.size


def test_a_bit_of_the_key_or_of_the_seed_changes_half_of_the_bits() -> None:
    for bit in range(63):
        for other in (mixed_key(5 ^ 1 << bit, 9), mixed_key(5, 9 ^ 1 << bit)):
            assert 12 <= (mixed_key(5, 9) ^ other).bit_count() <= 52


@LIBRARIES
def test_no_elements_draw_no_numbers(library: Any) -> None:
    assert uniform(1, 2, 3, library(np.zeros(0))).shape == (0,)
