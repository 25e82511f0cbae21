"""Knee, safe range and recommended strength, on made-up curves whose answers are known."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sweep.made_up import suite
from weightarith.evaluate import Comparison, Estimate, Evaluation, Outcome
from weightarith.evaluate.suite import Spec
from weightarith.recipe.strictyaml import Place
from weightarith.sweep.knee import knee
from weightarith.sweep.point import Point
from weightarith.sweep.safe import Allowed, Change, Range, change, recommended, safe_range
from weightarith.sweep.verdict import verdict


def naive_knee(costs: list[float], gains: list[float]) -> int:
    """The point farthest from the chord by its distance as geometry has it, in the unit square."""
    xs = [(cost - costs[0]) / (costs[-1] - costs[0]) for cost in costs]
    ys = [(gain - gains[0]) / (gains[-1] - gains[0]) for gain in gains]
    return max(range(len(xs)), key=lambda place: (ys[place] - xs[place]) / math.sqrt(2))


def test_the_knee_of_a_square_root_is_at_a_quarter() -> None:
    costs = [place / 100 for place in range(101)]

    assert knee(costs, [math.sqrt(cost) for cost in costs]) == 25


@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=9))
def test_the_knee_is_the_point_farthest_from_the_chord(steps: list[float]) -> None:
    costs = [sum(steps[:place]) for place in range(len(steps))]
    gains = [cost**0.4 for cost in costs]

    found = knee(costs, gains)

    assert found == naive_knee(costs, gains)
    assert found not in (0, len(costs) - 1)


@pytest.mark.parametrize(
    "gains",
    [[0, 1, 2, 3], [0, 0, 0, 0], [0, -1, -2, -3], [0, 0.1, 0.5, 3]],
    ids=["straight", "flat", "falling", "convex"],
)
def test_a_curve_that_does_not_bend_has_no_knee(gains: list[float]) -> None:
    assert knee([0, 1, 2, 3], gains) is None


def test_two_points_have_no_knee() -> None:
    assert knee([0, 1], [0, 1]) is None


def changes(**found: float) -> dict[float, list[Change]]:
    """Changes of one number by strength, `m1=0.01` at −1 and `p2=0.05` at +2; bounds are 0.04 beyond."""
    sides = {"m": -1, "p": 1}
    return {
        sides[key[0]] * float(key[1:]): [Change("mc.correct", value, value + 0.04, 0.02)]
        for key, value in found.items()
    }


def test_the_safe_range_ends_before_the_first_strength_that_breaks() -> None:
    found = safe_range(changes(m1=0.02, m2=0.03, m3=0.0, p1=-0.5, p2=0.01))

    assert (found.low, found.high) == (-1, 2)
    below, above = found.limits
    assert below is not None
    assert (below.strength, below.change.found, below.change.allowed) == (-2, 0.03, 0.02)
    assert above is None


def test_of_what_breaks_at_one_strength_the_worst_is_named() -> None:
    broken = [Change("a.b", 0.03, 0.1, 0.02), Change("c.d", 0.5, 0.6, 0.1), Change("e.f", 0.2, 0.3, 0.1)]
    above = safe_range({1.0: broken}).limits[1]

    assert above is not None
    assert above.change.outcome == "c.d"


def test_a_safe_strength_behind_a_broken_one_is_not_in_the_range() -> None:
    assert safe_range(changes(p1=0.03, p2=0.0)).high == 0


def test_what_is_not_known_is_not_safe() -> None:
    assert (safe_range(changes(p1=math.nan)).high, safe_range(changes(m1=math.inf)).low) == (0, 0)


def test_the_proved_range_is_that_of_the_bounds() -> None:
    found = changes(p1=-0.03, p2=0.0)

    assert safe_range(found).high == 2
    assert safe_range(found, proved=True).high == 1


@given(st.dictionaries(st.floats(-4, 4).filter(bool), st.floats(-0.1, 0.1), max_size=9))
def test_the_proved_range_lies_in_the_safe_one(losses: dict[float, float]) -> None:
    found = {k: [Change("x.y", loss, loss + 0.01, 0.02)] for k, loss in losses.items()}
    safe, proved = safe_range(found), safe_range(found, proved=True)

    assert safe.low <= proved.low <= 0 <= proved.high <= safe.high
    assert all(loss <= 0.02 + 1e-8 for k, loss in losses.items() if safe.low <= k <= safe.high)


def test_two_points_of_a_share_are_allowed_and_more_are_not() -> None:
    def lost(before: float, after: float) -> bool:
        difference = after - before
        one = change(
            "mc.correct", (difference, difference - 0.05, difference + 0.05), kind="share", worse="less",
            unsteered=before, logarithmic=False, allowed=Allowed(),
        )  # fmt: skip
        return not one.within(proved=False)

    assert not lost(0.88, 0.86)  # 0.020000000000000018
    assert lost(0.88, 0.85)
    assert not lost(0.5, 0.9)


def test_three_per_cent_of_perplexity_are_allowed_whichever_way_it_is_written() -> None:
    for before, after, logarithmic in ((14.0, 14.4, False), (math.log(14.0), math.log(14.4), True)):
        for grown, kept in ((after, True), (after * 1.02, False)):
            one = change(
                "ppl", (grown - before, 0.0, 1.0), kind="mean", worse="more", unsteered=before,
                logarithmic=logarithmic, allowed=Allowed(),
            )  # fmt: skip
            assert one.within(proved=False) is kept
            assert not one.within(proved=True)


@pytest.mark.parametrize("difference", [0.11, -0.11])
def test_an_off_target_number_may_move_neither_way(difference: float) -> None:
    one = change(
        "refusal.benign", (difference, difference - 0.01, difference + 0.01), kind="share", worse="both",
        unsteered=0.2, logarithmic=False, allowed=Allowed(),
    )  # fmt: skip

    assert one.found == pytest.approx(0.11)
    assert one.bound == pytest.approx(0.12)
    assert not one.within(proved=False)


@pytest.mark.parametrize(("found", "kept"), [(0.99, True), (1.01, False)])
def test_a_divergence_is_measured_against_nats_and_not_against_its_0(found: float, kept: bool) -> None:
    one = change(
        "kl.p99", (found, 0.0, 2.0), kind="divergence", worse="both", unsteered=0.0, logarithmic=True,
        allowed=Allowed(),
    )  # fmt: skip

    assert one.within(proved=False) is kept
    assert not one.within(proved=True)


def test_the_strongest_effect_inside_the_safe_range_is_recommended() -> None:
    gains = {-2: -0.5, -1: -0.4, -0.5: -0.1, 0.5: 0.2, 1: 0.2, 2: 0.1, 3: 0.9}

    assert recommended(gains, Range(-1, 2, (None, None))) == (-1, 0.5)
    assert recommended(gains, Range(0, 0, (None, None))) == (None, None)
    assert recommended({-1: 0.1, 1: 0.0}, Range(-1, 1, (None, None))) == (None, None)


@pytest.mark.parametrize(
    ("grown", "safe"), [(0.29, True), (0.31, False), (-3.0, True)], ids=["less", "more", "better"]
)
def test_a_perplexity_of_any_metric_may_grow_by_three_per_cent_of_what_it_was(
    tmp_path: Path, grown: float, safe: bool
) -> None:
    name = "lm.word_perplexity"
    made = suite(tmp_path)
    metrics = made.metrics | {"lm": Spec("harness", None, {}, Place("suite.yaml", 1, 1))}
    asked = replace(made, capability=(name,), panel=(), metrics=metrics)
    numbers = {made.behaviour: 0.1, made.cost: 0.2, name: grown}
    before = {made.behaviour: 0.5, made.cost: 0.0, name: 10.0}

    def point(strength: float) -> Point:
        change = {each: number * bool(strength) for each, number in numbers.items()}
        found = {each: Estimate(before[each] + change[each], 0, 0, 9) for each in numbers}
        paired = {each: Comparison(change[each], change[each], change[each], 1.0, 9) for each in numbers}
        return Point("v", strength, found, paired)

    unsteered = Evaluation("s", "m", {each: Outcome("mean", ("q",), (0.0,)) for each in numbers})
    told = verdict([point(0.0), point(1.0)], unsteered, asked, Allowed())

    assert told.safe.high == (1.0 if safe else 0.0)
