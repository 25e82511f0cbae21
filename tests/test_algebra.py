"""The flattened sum: exact coefficients, and the degree that tells a checkpoint from a vector."""

from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Tiny
from weightarith.algebra import Checkpoint, Leaf, Linear, Number, Sum, Vector, exact
from weightarith.errors import DegreeError, RecipeError, UnsupportedError
from weightarith.store import Kind, Source
from weightarith.weighting import Rule, Selection
from weightarith.wording import shown


def leaf(label: str, kind: Kind = "checkpoint", path: str = "") -> Leaf:
    source = Source(Path("/nowhere") / (path or label), kind, (), {})
    return Checkpoint(source, label) if kind == "checkpoint" else Vector(source, label)


BASE, A, B, C = (leaf(name) for name in ("base", "a", "b", "c"))
V, W = (leaf(name, "vector") for name in "vw")

numbers = st.one_of(
    st.fractions(max_denominator=1000),
    st.integers(-1000, 1000),
    st.decimals(min_value=-1000, max_value=1000, allow_nan=False, places=4),
    st.floats(-1000, 1000).map(lambda x: round(x, 6)),
)
leaves = st.sampled_from([BASE, A, B, V, W])
sums = st.lists(st.tuples(numbers, leaves), min_size=1, max_size=6).map(
    lambda pairs: sum_of([number * one for number, one in pairs])
)


def sum_of(parts: list[Sum]) -> Sum:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def coefficients(total: Linear) -> dict[str, Fraction]:
    return {term.leaf.label: term.coefficient for term in total.terms if term.coefficient}


@given(sums, sums, sums)
def test_addition_is_associative_and_commutative(x: Sum, y: Sum, z: Sum) -> None:
    assert coefficients((x + y) + z) == coefficients(x + (y + z))
    assert coefficients(x + y) == coefficients(y + x)


@given(sums, sums, numbers, numbers)
def test_numbers_distribute_over_sums(x: Sum, y: Sum, k: Number, m: Number) -> None:
    assert coefficients(k * (x + y)) == coefficients(k * x + k * y)
    assert coefficients((exact(k) + exact(m)) * x) == coefficients(k * x + m * x)
    assert coefficients(k * (m * x)) == coefficients((exact(k) * exact(m)) * x)


@given(sums, sums)
def test_what_is_subtracted_and_added_again_is_gone(x: Sum, y: Sum) -> None:
    assert coefficients(x - y + y) == coefficients(x)
    assert coefficients(x - x) == {}
    assert coefficients(-(x - y)) == coefficients(y - x)


@given(sums, numbers)
def test_the_degree_is_linear(x: Sum, k: Number) -> None:
    assert (k * x).degree == exact(k) * x.degree
    assert (x + BASE).degree == x.degree + 1
    assert (x + V).degree == x.degree


@given(sums, numbers.filter(bool))
def test_division_undoes_multiplication(x: Sum, k: Number) -> None:
    assert coefficients(x * k / k) == coefficients(x)


def test_a_tenth_and_two_tenths_and_seven_tenths_are_one() -> None:
    assert (0.1 * A + 0.2 * B + 0.7 * C).degree == 1
    assert (A * Decimal("0.1") + 0.2 * B + Fraction(7, 10) * C).degree == 1


def test_a_float_counts_as_the_decimal_it_prints_as() -> None:
    assert exact(0.1) == Fraction(1, 10)
    assert exact(np.float64(0.1)) == Fraction(1, 10)
    assert exact(1e-3) == Fraction(1, 1000)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity")])
def test_a_coefficient_is_finite(number: Number) -> None:
    with pytest.raises(RecipeError, match="a coefficient must be a finite number, not") as caught:
        number * V
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("total", "kind"),
    [
        (A - BASE, "vector"),
        (V + W, "vector"),
        (2 * V - W / 3, "vector"),
        (A - A, "vector"),
        (BASE + V, "checkpoint"),
        (V + BASE, "checkpoint"),
        (BASE + 0.5 * V - W, "checkpoint"),
        (0.5 * A + 0.5 * B, "checkpoint"),
        (2 * A - B, "checkpoint"),
        (A + B - BASE, "checkpoint"),
        (A + (B - BASE), "checkpoint"),
        ((A + B + C) / 3, "checkpoint"),
        ((1 - Fraction("0.3")) * A + 0.3 * B, "checkpoint"),
        (BASE + (A - A), "checkpoint"),
        (+BASE, "checkpoint"),
        (-(V - BASE), "checkpoint"),
        (BASE + 0 * V, "checkpoint"),
        (0 * BASE, "vector"),
    ],
)
def test_a_sum_is_what_its_degree_says_whatever_the_parentheses(total: Sum, kind: str) -> None:
    assert total.kind == kind


@pytest.mark.parametrize(
    ("total", "message", "hint"),
    [
        (
            A + B,
            "this adds two models: coefficients on checkpoints sum to 2",
            "0.5*(a + b), or a + (b - base)",
        ),
        (A + B + C, "this adds 3 models:", "(a + b + c)/3, or a + (b - base) + (c - base)"),
        (A + BASE, "this adds two models:", "0.5*(a + base), or base + k*(a - base)"),
        (1.5 * BASE, "1.5·base is a scaled model:", "scale a difference instead: base + k*(model - base)"),
        (A / 3 + V, "1/3·a is a scaled model:", "scale a difference instead: a + k*(model - a)"),
        (V - BASE, "base is only subtracted:", "a model minus it: model - base"),
        (BASE + 0.3 * A, "base + 0.3·a mixes models without meaning:", "base + 0.3*(a - base)"),
        (A - 0.5 * BASE, "a − 0.5·base mixes models", "base + 1*(a - base)"),
        (0.5 * A - 2 * B, "0.5·a − 2·b mixes models", "a - 2*(b - a)"),
        (A + B + V, "this adds two models: coefficients on checkpoints sum to 2", "0.5*(a + b), or"),
    ],
)
def test_a_sum_of_another_degree_is_refused_with_what_was_probably_meant(
    total: Sum, message: str, hint: str
) -> None:
    with pytest.raises(DegreeError) as caught:
        _ = total.kind
    assert message in str(caught.value)
    assert hint in caught.value.hint
    assert "only 1 (a checkpoint) or 0 (a vector) has a meaning" in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("number", [2, 0.5, Fraction(1, 3), Decimal("1.5"), np.float64(0.25), True])
def test_a_number_scales_from_either_side(number: Any) -> None:
    assert coefficients(number * V) == coefficients(V * number) == {"v": exact(number)}


@pytest.mark.parametrize(
    ("operate", "left", "right"),
    [
        (operator.mul, V, W),
        (operator.mul, V, "2"),
        (operator.truediv, 1, V),
        (operator.truediv, V, W),
        (operator.add, V, 1),
        (operator.add, 1, V),
        (operator.sub, V, None),
        (operator.sub, 1, V),
    ],
)
def test_python_refuses_what_has_no_meaning(operate: Callable[..., Any], left: Any, right: Any) -> None:
    with pytest.raises(TypeError, match=r"unsupported operand|multiply sequence"):
        operate(left, right)


def test_division_by_zero_is_refused() -> None:
    with pytest.raises(RecipeError, match="division by zero"):
        V / 0


def test_one_file_under_two_names_is_one_input() -> None:
    twin = leaf("twin", path="a")
    assert coefficients(A - twin) == {}
    assert coefficients(A + twin) == {"a": Fraction(2)}


def test_terms_that_cancel_stay_to_be_checked_and_named() -> None:
    assert {term.leaf.label: term.coefficient for term in (A - A + V).terms} == {"a": 0, "v": 1}


def test_a_weighting_holds_for_the_term_it_was_put_on_and_no_other() -> None:
    half = Selection((Rule(Fraction(1, 2), roles=("mlp",)),))
    first, second = (3 * V.weighted(half) + V).terms
    name = "model.layers.0.mlp.up_proj.weight"
    assert first.at(name, 2) == Fraction(3, 2)
    assert second.at(name, 2) == 1
    assert first.at("model.norm.weight", 2) == 3


@pytest.mark.parametrize(
    ("total", "text"),
    [
        (BASE + 1.5 * V - W, "base + 1.5·v − w"),
        (-V, "−v"),
        (-V / 3, "−1/3·v"),
        (V - V, "0"),
        (1e-3 * V, "0.001·v"),
        (A - A + V, "v"),
    ],
)
def test_a_sum_prints_as_people_write_it(total: Sum, text: str) -> None:
    assert str(total) == text


def test_a_number_prints_as_a_decimal_only_where_that_is_exact() -> None:
    assert shown(Fraction(3, 2)) == "1.5"
    assert shown(Fraction(1, 3)) == "1/3"
    assert shown(Fraction(10) ** 400) == "1" + "0" * 400


def test_opening_reads_what_lies_there(tiny: Tiny) -> None:
    base, v = Checkpoint.open(tiny.base), Vector.open(tiny.positive, label="v")
    assert (base + v).kind == "checkpoint"
    assert str(base + v) == f"{tiny.base} + v"


def test_a_vector_is_not_opened_as_a_checkpoint_nor_the_other_way_round(tiny: Tiny) -> None:
    with pytest.raises(UnsupportedError, match="is an adapter, expected a checkpoint") as caught:
        Checkpoint.open(tiny.positive)
    assert caught.value.exit_code == 10
    with pytest.raises(UnsupportedError, match="is a checkpoint, expected a vector"):
        Vector.open(tiny.base)
