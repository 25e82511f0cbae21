"""Numbers over the tokens of all items: perplexity and percentiles, resampled item by item."""

from __future__ import annotations

import math
import random

import pytest

from weightarith.errors import IncompatibleError
from weightarith.evaluate import compare, estimate
from weightarith.evaluate import resample as resampling
from weightarith.evaluate.pooled import Pooled, Statistic, pooled
from weightarith.evaluate.resample import mean_draws, statistic_draws

RESAMPLES = 2000


def tokens(seed: int, items: int = 30, longest: int = 20) -> list[list[float]]:
    rng = random.Random(seed)
    return [[rng.expovariate(1) for _ in range(rng.randint(1, longest))] for _ in range(items)]


def of(statistic: Statistic, rows: list[list[float]]) -> Pooled:
    return pooled(statistic, [str(place) for place in range(len(rows))], rows, "nats")


def naive(statistic: Statistic, rows: list[list[float]]) -> float:
    every = sorted(number for row in rows for number in row)
    if statistic == "exp mean":
        return math.exp(sum(every) / len(every))
    share = {"p95": 0.95, "p99": 0.99}[statistic]
    return next(one for place, one in enumerate(every, 1) if place >= share * len(every))


@pytest.mark.parametrize("statistic", ["exp mean", "p95", "p99"])
def test_the_number_is_over_all_tokens_and_its_interval_over_items(statistic: Statistic) -> None:
    rows, rng = tokens(1), random.Random(2)
    draws = sorted(naive(statistic, [rng.choice(rows) for _ in rows]) for _ in range(RESAMPLES))

    found = estimate(of(statistic, rows))

    low, high = draws[RESAMPLES * 25 // 1000], draws[RESAMPLES * 975 // 1000]
    assert found.value == pytest.approx(naive(statistic, rows), rel=1e-6)
    assert found.n == 30
    assert found.low == pytest.approx(low, abs=0.15 * (high - low))
    assert found.high == pytest.approx(high, abs=0.15 * (high - low))


def test_perplexity_weighs_texts_by_their_tokens() -> None:
    found = estimate(of("exp mean", [[1.0], [4.0, 4.0, 4.0]]))

    assert found.value == pytest.approx(math.exp(13 / 4))


def test_an_items_own_value_is_its_mean_and_none_where_it_has_no_tokens() -> None:
    found = of("p95", [[1.0, 3.0], []])

    assert found.values == (2.0, None)
    assert estimate(found).n == 1


@pytest.mark.parametrize("statistic", ["exp mean", "p95"])
def test_two_models_are_resampled_alike_so_that_a_constant_change_has_no_width(
    statistic: Statistic,
) -> None:
    rows = tokens(3)
    found = compare(of(statistic, rows), of(statistic, rows))

    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)

    moved = [[number + 1 for number in row] for row in rows]
    if statistic == "p95":
        found = compare(of(statistic, moved), of(statistic, rows))
        assert (found.difference, found.low, found.high) == pytest.approx((1, 1, 1), abs=1e-5)
        assert found.p < 0.002


def test_perplexity_and_percentiles_are_not_compared() -> None:
    with pytest.raises(IncompatibleError, match="a p95 in nats cannot be compared with a p99 in nats"):
        compare(of("p95", [[1.0]]), of("p99", [[1.0]]))


def test_how_many_resamples_are_in_memory_at_a_time_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    rows, values = tokens(4), np.arange(30.0)
    before = [statistic_draws("p95", rows), statistic_draws("exp mean", rows), mean_draws(values)]
    monkeypatch.setattr(resampling, "AT_A_TIME", 7000)
    after = [statistic_draws("p95", rows), statistic_draws("exp mean", rows), mean_draws(values)]

    for one, two in zip(before, after, strict=True):
        assert np.array_equal(one, two)


def test_a_resampled_perplexity_weighs_every_token_alike() -> None:
    drawn = statistic_draws("exp mean", [[1.0], [3.0] * 9])

    possible = [math.exp(1), math.exp((1 + 27) / 10), math.exp(3)]
    nearest = [min(possible, key=lambda one: abs(one - found)) for found in drawn]
    assert drawn.tolist() == pytest.approx(nearest, rel=1e-12)
    assert {round(one, 6) for one in drawn} == {round(one, 6) for one in possible}
