"""Selections and schedules: which factor each tensor gets, exactly."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightarith.errors import RecipeError
from weightarith.weighting import Rule, Schedule, Selection

EMBED, HEAD = "model.embed_tokens.weight", "lm_head.weight"
Q, UP = "model.layers.{}.self_attn.q_proj.weight", "model.layers.{}.mlp.up_proj.weight"
NAMES = [EMBED, HEAD, *(pattern.format(layer) for layer in range(4) for pattern in (Q, UP))]
HALF, TWO = Fraction(1, 2), Fraction(2)


def test_the_last_rule_that_matches_wins() -> None:
    selection = Selection(
        (Rule(HALF, layers=(0, 2)), Rule(TWO, layers=(1, 1)), Rule(HALF * 0, roles=("embed",)))
    )

    assert [selection.factor(Q.format(layer), 4) for layer in range(4)] == [HALF, TWO, HALF, 1]
    assert selection.factor(EMBED, 4) == 0
    assert selection.factor(HEAD, 4) == 1


def test_otherwise_is_what_no_rule_matches() -> None:
    selection = Selection((Rule(TWO, roles=("mlp",)),), otherwise=Fraction(0))

    assert [name for name in NAMES if selection.factor(name, 4)] == [UP.format(layer) for layer in range(4)]


@pytest.mark.parametrize(
    ("rule", "matched"),
    [
        (Rule(TWO, layers=(1, 2)), [Q.format(1), UP.format(1), Q.format(2), UP.format(2)]),
        (Rule(TWO, roles=("attention",)), [Q.format(layer) for layer in range(4)]),
        (Rule(TWO, roles=("embed", "head")), [EMBED, HEAD]),
        (Rule(TWO, layers=(1, 2), roles=("mlp",)), [UP.format(1), UP.format(2)]),
        (Rule(TWO, pattern="*.q_proj.*"), [Q.format(layer) for layer in range(4)]),
        (Rule(TWO, pattern="lm_head.weight"), [HEAD]),
        (Rule(TWO, pattern="LM_HEAD*"), []),
        (Rule(TWO, layers=(3, 3), roles=("q",), pattern="*.weight"), [Q.format(3)]),
        (Rule(TWO), NAMES),
    ],
    ids=str,
)
def test_a_rule_matches_where_every_condition_holds(rule: Rule, matched: list[str]) -> None:
    assert [name for name in NAMES if rule.matches(name)] == matched


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (
            Rule(TWO, layers=(4, 9)),
            "a rule matches no tensor: layers 4-9; 10 tensors were tried, such as 'lm_head",
        ),
        (Rule(TWO, roles=("router", "expert")), "no tensor: role router or expert; 10 tensors"),
        (Rule(TWO, layers=(0, 1), pattern="*.bias"), "no tensor: layers 0-1, name '*.bias'; 10 tensors"),
    ],
)
def test_a_rule_that_matches_nothing_is_an_error_that_names_it(rule: Rule, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Selection((Rule(TWO), rule)).check(NAMES)

    assert said in caught.value.message
    assert caught.value.hint == "see the names, layers and roles with: weightarith inspect"


def test_a_rule_over_no_tensors_at_all_is_an_error() -> None:
    with pytest.raises(RecipeError, match="0 tensors were tried, such as none"):
        Selection((Rule(TWO),)).check([])


def test_a_selection_whose_rules_all_match_passes() -> None:
    Selection((Rule(TWO, layers=(0, 0)), Rule(HALF, roles=("head",)))).check(NAMES)


def test_a_schedule_runs_in_straight_lines_from_first_to_last_layer() -> None:
    schedule = Schedule((Fraction(0), Fraction(1), Fraction(1, 2)), elsewhere=TWO)

    assert [schedule.factor(Q.format(layer), 5) for layer in range(5)] == [0, HALF, 1, Fraction(3, 4), HALF]
    assert schedule.factor(EMBED, 5) == TWO


def test_a_schedule_of_thirds_is_exact() -> None:
    assert Schedule((Fraction(0), Fraction(1))).factor(Q.format(1), 4) == Fraction(1, 3)


@pytest.mark.parametrize(("depth", "layer"), [(1, 0), (4, 0), (4, 3), (4, 9)])
def test_one_value_is_the_same_everywhere(depth: int, layer: int) -> None:
    assert Schedule((HALF,)).factor(Q.format(layer), depth) == HALF


def test_a_single_layer_gets_the_first_value() -> None:
    assert Schedule((HALF, TWO)).factor(Q.format(0), 1) == HALF


def test_a_layer_beyond_the_depth_gets_the_last_value() -> None:
    assert Schedule((HALF, TWO)).factor(Q.format(9), 4) == TWO


fractions = st.fractions(min_value=-4, max_value=4, max_denominator=20)


@given(st.lists(fractions, min_size=1, max_size=6).map(tuple), st.integers(1, 40))
def test_a_schedule_meets_its_ends_and_stays_within_its_values(
    values: tuple[Fraction, ...], depth: int
) -> None:
    schedule = Schedule(values)
    found = [schedule.factor(Q.format(layer), depth) for layer in range(depth)]

    assert found[0] == values[0]
    assert depth == 1 or found[-1] == values[-1]
    assert all(min(values) <= one <= max(values) for one in found)


def test_a_schedule_without_layers_to_run_over_is_an_error() -> None:
    with pytest.raises(
        RecipeError, match="a schedule needs layers, and none of 2 tensor names has a layer number"
    ):
        Schedule((HALF,)).check([EMBED, HEAD])


def test_the_blocks_of_a_vision_tower_are_no_layers_of_the_model() -> None:
    with pytest.raises(RecipeError, match="none of 1 tensor names has a layer number"):
        Schedule((HALF,)).check(["visual.blocks.0.attn.qkv.weight"])
