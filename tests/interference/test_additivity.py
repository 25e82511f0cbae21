"""Whether effects add up: against naive sums and a bootstrap written out, and laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from weightarith.errors import IncompatibleError
from weightarith.evaluate import Outcome, compare
from weightarith.evaluate.pooled import pooled
from weightarith.interference import additivity, felt_cosine
from weightarith.interference.additivity import combined

ITEMS = tuple(f"q{number}" for number in range(40))
Z = 1.959963984540054


def mean(values: object, unit: str = "nats") -> Outcome:
    rows = tuple(float(one) for one in np.asarray(values))
    return Outcome("mean", tuple(f"q{place}" for place in range(len(rows))), rows, unit)


def share(values: object) -> Outcome:
    rows = tuple(float(one) for one in np.asarray(values))
    return Outcome("share", tuple(f"q{place}" for place in range(len(rows))), rows)


def draws(n: int) -> np.ndarray:
    """Return which items each of 2,000 resamples has, (2000, n)."""
    return np.random.default_rng(0).integers(0, n, (2000, n))


def test_a_mean_has_the_difference_and_the_percentiles_of_a_bootstrap_written_out() -> None:
    random = np.random.default_rng(5)
    together, one, other, base = (random.standard_normal(40) for _ in range(4))
    items = (together - base) - (one - base) - (other - base)

    found = additivity(mean(together), [mean(one), mean(other)], mean(base))

    drawn = items[draws(40)].mean(axis=1)
    assert math.isclose(found.difference, items.mean(), abs_tol=1e-12)
    assert np.allclose([found.low, found.high], np.percentile(drawn, [2.5, 97.5]), atol=1e-12)
    assert found.n == 40
    rarer = min((drawn <= 0).sum(), (drawn >= 0).sum())
    assert math.isclose(found.p, min(1, 2 * (rarer + 1) / 2001))


def test_three_vectors_leave_two_times_the_model_itself() -> None:
    random = np.random.default_rng(6)
    together, base, *alone = (random.standard_normal(40) for _ in range(5))

    found = additivity(mean(together), [mean(one) for one in alone], mean(base))

    naive = (together - base).mean() - sum((one - base).mean() for one in alone)
    assert math.isclose(found.difference, naive, abs_tol=1e-12)


def test_a_share_has_one_imaginary_item_up_and_one_down() -> None:
    random = np.random.default_rng(7)
    together, one, other, base = (random.integers(0, 2, 40) for _ in range(4))
    items = together - one - other + base

    found = additivity(share(together), [share(one), share(other)], share(base))

    rows = [*map(float, items), 1.0, -1.0]
    middle = sum(rows) / 42
    spread = math.sqrt((sum(row * row for row in rows) / 42 - middle**2) / 42)
    assert math.isclose(found.difference, items.mean())
    assert math.isclose(found.low, middle - Z * spread)
    assert math.isclose(found.high, middle + Z * spread)


def test_of_two_shares_it_is_the_interval_that_compare_gives() -> None:
    random = np.random.default_rng(8)
    one, other = (share(random.integers(0, 2, 40)) for _ in range(2))

    found, known = combined([(1.0, one), (-1.0, other)]), compare(one, other)

    assert np.allclose([found.difference, found.low, found.high],
                       [known.difference, known.low, known.high])  # fmt: skip


def test_shares_that_no_item_moves_still_have_an_interval() -> None:
    still = share(np.zeros(36))

    found = additivity(still, [still, still], still)

    assert found.difference == 0
    assert -0.1 < found.low < 0 < found.high < 0.1
    assert found.p == 1


def test_a_perplexity_is_resampled_text_by_text() -> None:
    random = np.random.default_rng(9)
    lengths = random.integers(1, 9, 12)
    items = [f"t{place}" for place in range(12)]
    tokens = [[random.random(n).tolist() for n in lengths] for _ in range(4)]
    rows = [pooled("exp mean", items, one, "") for one in tokens]

    found = additivity(rows[0], rows[1:3], rows[3])

    def naive(chosen: np.ndarray) -> float:
        def perplexity(of: int) -> float:
            flat = [number for item in chosen for number in rows[of].tokens[item]]
            return math.exp(sum(flat) / len(flat))

        return perplexity(0) - perplexity(1) - perplexity(2) + perplexity(3)

    assert math.isclose(found.difference, naive(np.arange(12)), abs_tol=1e-9)
    drawn = [naive(chosen) for chosen in draws(12)]
    assert np.allclose([found.low, found.high], np.percentile(drawn, [2.5, 97.5]), atol=1e-9)


def test_an_item_that_counts_not_everywhere_counts_nowhere() -> None:
    whole = Outcome("mean", ("a", "b", "c"), (1.0, 2.0, 3.0))
    part = Outcome("mean", ("a", "b", "c"), (1.0, None, 1.0))

    found = additivity(whole, [part, whole], whole)

    assert (found.n, found.difference) == (2, 1.0)
    assert math.isnan(additivity(whole, [Outcome("mean", ("a", "b", "c"), (None,) * 3)], whole).difference)


def test_other_items_are_refused() -> None:
    with pytest.raises(IncompatibleError, match="of other items, or of another quantity, do not add up"):
        additivity(mean([1.0]), [mean([1.0, 2.0])], mean([1.0]))
    with pytest.raises(IncompatibleError, match="another quantity"):
        additivity(mean([1.0]), [share([1])], mean([1.0]))


numbers = some.lists(
    some.tuples(*(some.floats(-100, 100) for _ in range(3))), min_size=1, max_size=30
)  # fmt: skip


@given(numbers)
def test_effects_that_add_up_leave_nothing(rows: list[tuple[float, float, float]]) -> None:
    one, other, base = np.array(rows).T

    found = additivity(mean(one + other - base), [mean(one), mean(other)], mean(base))

    assert all(abs(number) < 1e-9 for number in (found.difference, found.low, found.high))


@given(numbers)
def test_the_order_of_vectors_changes_nothing(rows: list[tuple[float, float, float]]) -> None:
    one, other, base = (mean(row) for row in np.array(rows).T)

    first, second = additivity(base, [one, other], base), additivity(base, [other, one], base)

    assert np.allclose([first.difference, first.low, first.high],
                       [second.difference, second.low, second.high], atol=1e-9)  # fmt: skip


def test_a_felt_cosine_is_that_of_the_metric_divergences_come_from() -> None:
    random = np.random.default_rng(10)
    one, other = random.standard_normal((2, 6))
    fishers = [shape @ shape.T for shape in random.standard_normal((40, 6, 6))]
    whole = sum(fishers)

    def divergences(step: np.ndarray) -> Outcome:
        return mean([0.5 * step @ fisher @ step for fisher in fishers])

    found = felt_cosine(divergences(one + other), divergences(one), divergences(other))

    exact = one @ whole @ other / math.sqrt((one @ whole @ one) * (other @ whole @ other))
    assert found is not None
    assert math.isclose(found.value, exact, abs_tol=1e-12)
    assert found.low <= found.value <= found.high


def test_no_cosine_is_felt_where_nothing_diverges() -> None:
    still, moved = mean(np.zeros(4)), mean(np.ones(4))

    assert felt_cosine(moved, still, moved) is None
    assert felt_cosine(share([1, 0]), share([1, 0]), share([1, 0])) is None
    assert felt_cosine(mean([math.nan]), mean([1.0]), mean([1.0])) is None
