"""The strength that costs a given amount: found on made-up costs whose answer is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from weightarith.sweep.match import LOOKS, match, nearest

POWERS = st.floats(0.7, 3.5)


class Counted:
    """A cost that counts how often it is asked."""

    def __init__(self, cost: Callable[[float], float]) -> None:
        self.cost, self.asked = cost, list[float]()

    def __call__(self, strength: float) -> float:
        self.asked.append(strength)
        return self.cost(strength)


@given(POWERS, st.floats(-2, 2), st.floats(-2, 1))
def test_a_power_is_matched_within_six_looks(power: float, scale: float, target: float) -> None:
    wanted, size = 10**target, 10**scale
    assume((wanted / size) ** (1 / power) < 60)
    cost = Counted(lambda k: size * k**power)

    found = match(cost, wanted)

    assume((wanted / size) ** (1 / power) > 0.002)
    assert found.status == "matched"
    assert found.looks == len(cost.asked) <= LOOKS
    assert abs(size * found.strength**power - wanted) <= 0.05 * wanted


@given(st.floats(0.02, 0.95))
def test_a_cost_that_levels_off_is_matched_below_its_level(part: float) -> None:
    level = 2.0
    cost = Counted(lambda k: level * (1 - math.exp(-(k**2))))

    found = match(cost, part * level)

    assert found.status == "matched"
    assert found.strength == pytest.approx(math.sqrt(-math.log(1 - part)), rel=0.15)


def test_what_is_known_is_not_looked_at_again() -> None:
    cost = Counted(lambda k: 0.1 * k**2)

    known = match(cost, 0.1, {1.0: 0.1})
    between = match(cost, 0.225, {1.0: 0.1, 2.0: 0.4})

    assert (known.status, known.strength, known.looks) == ("matched", 1.0, 0)
    assert between.strength == pytest.approx(1.5, rel=1e-3)
    assert cost.asked == [between.strength]


def test_the_first_of_several_crossings_is_found() -> None:
    cost = Counted(lambda k: k if k < 1 else 2 - k if k < 1.9 else k)

    found = match(cost, 0.5, {0.25: 0.25, 1.0: 1.0, 1.6: 0.4, 3.0: 3.0})

    assert found.strength == pytest.approx(0.5, rel=0.05)


def test_a_method_that_cannot_cost_that_much_is_said_not_to() -> None:
    found = match(lambda k: min(0.1 * k, 0.01), 0.5)

    assert found.status == "unreached"
    assert found.cost == 0.01
    assert found.strength > 8


def test_a_method_without_effect_is_unreached_and_no_endless_search() -> None:
    cost = Counted(lambda _k: 0.0)

    assert match(cost, 0.5).status == "unreached"
    assert len(cost.asked) <= LOOKS


def breaking(broken: float, strength: float) -> float:
    return broken if strength > 2 else 0.01 * strength**2


def test_numbers_that_are_none_count_as_too_much() -> None:
    for broken in (math.nan, math.inf):
        found = match(partial(breaking, broken), 0.02, {8.0: broken})
        assert found.status == "matched"
        assert found.strength == pytest.approx(math.sqrt(2), rel=0.03)


def test_a_cost_that_jumps_over_the_target_is_said_to_be_near_only() -> None:
    found = match(lambda k: 0.01 if k < 1.5 else 1.0, 0.1)

    assert found.status == "near"
    assert found.cost in (0.01, 1.0)


def test_strengths_found_can_be_typed_again() -> None:
    found = match(lambda k: 0.0123 * k**2.1, 0.077)

    assert float(f"{found.strength:.4g}") == found.strength


def test_a_method_without_a_dial_has_the_nearest_below_and_above() -> None:
    costs = {0.25: 0.01, 0.5: 0.04, 1.0: 0.3, 2.0: math.inf}

    below, above = nearest(costs, 0.1)

    assert (below.status, below.strength, below.cost) == ("below", 0.5, 0.04)
    assert (above.status, above.strength, above.cost) == ("above", 1.0, 0.3)
    assert [found.status for found in nearest(costs, 0.0401)] == ["matched"]
    assert [found.status for found in nearest({1.0: 0.3}, 0.1)] == ["above"]
    assert [found.status for found in nearest({1.0: 0.3}, 1.0)] == ["below"]
    assert nearest({}, 1.0) == []


@pytest.mark.parametrize(
    ("cost", "known", "target", "looks"),
    [
        (lambda k: 0.01 * math.expm1(3 * k), (0.1, 8.0), 1.0, 6),
        (lambda k: 3 * (1 - math.exp(-k)), (0.05, 16.0), 2.0, 4),
    ],
    ids=["steep", "flat"],
)
def test_an_end_that_stays_where_it_was_does_not_hold_up_the_search(
    cost: Callable[[float], float], known: tuple[float, ...], target: float, looks: int
) -> None:
    found = match(cost, target, {k: cost(k) for k in known})

    assert (found.status, found.looks <= looks) == ("matched", True)


def test_a_large_strength_that_costs_too_much_is_where_the_search_begins() -> None:
    found = match(lambda k: 0.001 * k**2, 0.5, {100.0: 10.0})

    assert found.status == "matched"
    assert found.strength == pytest.approx(math.sqrt(500), rel=0.03)


def test_where_nothing_was_paid_is_not_looked_at_again() -> None:
    cost = Counted(lambda k: max(k - 1, 0.0))

    found = match(cost, 0.1, {1.0: 0.0, 4.0: 3.0})

    assert found.status == "matched"
    assert min(cost.asked) > 1
