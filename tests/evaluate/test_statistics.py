"""Estimates and comparisons against counting by hand, and the laws they keep."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightarith.errors import IncompatibleError
from weightarith.evaluate import Outcome, compare, estimate
from weightarith.evaluate.statistics import Z95, bonett_price, mcnemar, wilson

RESAMPLES = 2000
SLACK = 0.15  # of an interval's width: what 2,000 resamples leave to chance


def outcome(*values: float | None, kind: str = "mean") -> Outcome:
    assert kind in ("mean", "share")
    return Outcome("share" if kind == "share" else "mean", tuple(map(str, range(len(values)))), values)


def shares(*values: float | None) -> Outcome:
    return outcome(*values, kind="share")


hits = st.lists(st.sampled_from([0.0, 1.0, None]), min_size=1, max_size=40)
numbers = st.lists(st.one_of(st.floats(-9, 9), st.none()), min_size=1, max_size=40)


@pytest.mark.parametrize(("hit", "n"), [(0, 5), (1, 7), (41, 76), (75, 76), (5, 5), (1, 1)])
def test_wilsons_interval_is_the_shares_that_a_score_test_would_not_reject(hit: int, n: int) -> None:
    def rejected(share: float) -> bool:
        return abs(hit / n - share) > Z95 * math.sqrt(share * (1 - share) / n)

    kept = [share / 10_000 for share in range(10_001) if not rejected(share / 10_000)]

    assert wilson(hit, n) == pytest.approx((kept[0], kept[-1]), abs=2e-4)


@given(st.integers(1, 5000))
def test_wilsons_interval_of_none_begins_at_0_and_of_all_ends_at_1(n: int) -> None:
    assert wilson(0, n)[0] == 0
    assert wilson(n, n)[1] == 1


def test_a_share_is_the_mean_of_what_counts_with_wilsons_interval() -> None:
    found = estimate(shares(1.0, None, 0.0, 1.0, None))

    assert found.value == pytest.approx(2 / 3)
    assert found.n == 3
    assert (found.low, found.high) == wilson(2, 3)


def test_the_interval_of_a_mean_is_that_of_resampling_item_by_item() -> None:
    rng = random.Random(1)
    values = [rng.expovariate(0.5) for _ in range(60)]
    draws = sorted(sum(rng.choice(values) for _ in values) / len(values) for _ in range(RESAMPLES))

    found = estimate(outcome(*values))

    low, high = draws[RESAMPLES * 25 // 1000], draws[RESAMPLES * 975 // 1000]
    assert found.value == pytest.approx(sum(values) / 60)
    assert found.low == pytest.approx(low, abs=SLACK * (high - low))
    assert found.high == pytest.approx(high, abs=SLACK * (high - low))


@given(numbers)
def test_an_interval_is_the_same_every_time_and_holds_the_mean(values: list[float | None]) -> None:
    found = estimate(outcome(*values))
    counted = [value for value in values if value is not None]

    assert found.n == len(counted)
    if counted:
        assert found == estimate(outcome(*values))
        assert found.value == pytest.approx(math.fsum(counted) / len(counted))
        assert min(counted) - 1e-9 <= found.low <= found.high <= max(counted) + 1e-9
    else:
        assert all(map(math.isnan, (found.value, found.low, found.high)))


def test_json_has_null_where_no_item_counts() -> None:
    assert estimate(outcome(None)).to_json() == {"value": None, "low": None, "high": None, "n": 0}
    assert compare(outcome(None), outcome(1.0)).to_json() == {
        "difference": None, "low": None, "high": None, "p": None, "n": 0,
    }  # fmt: skip


def test_a_value_that_is_not_finite_leaves_no_number_and_is_counted() -> None:
    found = estimate(outcome(1.0, math.inf))
    changed = compare(outcome(1.0, math.nan), outcome(1.0, 2.0))

    assert (math.isnan(found.value), math.isnan(found.low), found.n) == (True, True, 2)
    assert (math.isnan(changed.difference), math.isnan(changed.p), changed.n) == (True, True, 2)


@pytest.mark.parametrize(("more", "less"), list(itertools.product(range(6), repeat=2)))
def test_mcnemars_p_counts_the_ways_to_change_that_are_no_likelier(more: int, less: int) -> None:
    changed = more + less
    ways = [sum(signs) for signs in itertools.product((0, 1), repeat=changed)]
    as_far = [up for up in ways if abs(2 * up - changed) >= abs(more - less)]

    assert mcnemar(more, less) == pytest.approx(len(as_far) / len(ways))


def test_mcnemars_p_of_many_items_does_not_overflow() -> None:
    assert mcnemar(6000, 6000) == 1.0
    assert 0 <= mcnemar(6000, 0) < 1e-300


def test_the_interval_of_a_change_in_shares_covers_what_it_should() -> None:
    rng = random.Random(2)
    up, down, n, covered = 0.25, 0.1, 40, 0
    for _ in range(1500):
        drawn = [rng.random() for _ in range(n)]
        low, high = bonett_price(sum(one < up for one in drawn), sum(one > 1 - down for one in drawn), n)
        covered += low <= up - down <= high

    assert 0.93 <= covered / 1500 <= 0.98


def test_shares_are_compared_over_the_items_that_count_in_both() -> None:
    found = compare(shares(1, 1, 1, 0, None, 1, 1), shares(0, 0, 0, 0, 1, None, 1))

    assert (found.n, found.p) == (5, mcnemar(3, 0))
    assert found.difference == pytest.approx(3 / 5)
    assert (found.low, found.high) == bonett_price(3, 0, 5)


def test_the_interval_of_a_change_is_that_of_resampled_differences() -> None:
    rng = random.Random(3)
    before = [rng.gauss(0, 5) for _ in range(80)]
    after = [one + rng.gauss(0.5, 1) for one in before]

    found = compare(outcome(*after), outcome(*before))
    alone = estimate(outcome(*(one - two for one, two in zip(after, before, strict=True))))

    assert (found.difference, found.low, found.high) == pytest.approx((alone.value, alone.low, alone.high))
    assert found.p < 0.01


def test_p_is_never_smaller_than_the_signs_of_so_few_items_allow() -> None:
    found = compare(outcome(1.0, 2.0, 3.0), outcome(0.0, 0.0, 0.0))

    assert found.p == 2 / 2**3
    assert compare(outcome(1.0), outcome(0.0)).p == 1.0
    assert compare(outcome(*[1.0] * 3000), outcome(*[0.0] * 3000)).p == 2 / 2001


@given(st.data(), st.sampled_from(["share", "mean"]))
def test_turning_a_comparison_round_turns_its_sign_and_nothing_else(data: st.DataObject, kind: str) -> None:
    first = data.draw(hits if kind == "share" else numbers)
    values = st.sampled_from([0.0, 1.0, None]) if kind == "share" else st.one_of(st.floats(-9, 9), st.none())
    second = data.draw(st.lists(values, min_size=len(first), max_size=len(first)))

    one = compare(outcome(*first, kind=kind), outcome(*second, kind=kind))
    two = compare(outcome(*second, kind=kind), outcome(*first, kind=kind))

    assert one.n == two.n
    if one.n:
        assert one.difference == pytest.approx(-two.difference)
        assert (one.low, one.high) == pytest.approx((-two.high, -two.low))
        assert one.p == two.p
        assert one.low <= one.difference + 1e-9 or kind == "share"


@given(hits)
def test_nothing_differs_from_itself(values: list[float | None]) -> None:
    found = compare(shares(*values), shares(*values))

    assert math.isnan(found.p) if found.n == 0 else (found.difference, found.p) == (0, 1)


def test_what_is_not_the_same_quantity_of_the_same_items_is_refused() -> None:
    with pytest.raises(IncompatibleError, match="a mean cannot be compared with a share"):
        compare(outcome(1.0), shares(1.0))
    with pytest.raises(IncompatibleError, match="1 and 2 items that are not the same") as raised:
        compare(shares(1.0), shares(1.0, 0.0))
    assert "the same version of the same suite" in str(raised.value)
