"""Expression text: what it means."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.expressions import NAMES, V, coefficients
from weightarith.algebra import Linear, Number
from weightarith.recipe import parse_expression
from weightarith.weighting import Rule, Selection


def meaning(text: str, names: Mapping[str, Linear | Number] = NAMES) -> dict[str, Fraction]:
    return coefficients(parse_expression(text, names))


def weights(**numbers: str) -> dict[str, Fraction]:
    return {name: Fraction(number) for name, number in numbers.items()}


def test_the_flagship_expression_means_what_it_says() -> None:
    assert meaning("base + v + 1.5·(refusal+ − refusal−)") == {
        "base": 1, "v": 1, "refusal+": Fraction(3, 2), "refusal-": Fraction(-3, 2),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v", weights(v="1")),
        ("  +v\n", weights(v="1")),
        ("- -v", weights(v="1")),
        ("-v * -2", weights(v="2")),
        ("2*v/4", weights(v="0.5")),
        ("v*2*3", weights(v="6")),
        ("v/3", weights(v="1/3")),
        ("1/3*v", weights(v="1/3")),
        ("1e-3*v", weights(v="0.001")),
        ("1E+2*v", weights(v="100")),
        (".5v".replace("v", "*v"), weights(v="0.5")),
        ("5.*v", weights(v="5")),
        ("(1-t)*base + t*ft", weights(base="0.7", ft="0.3")),
        ("base + t/2*(ft - base)", weights(base="0.85", ft="0.15")),
        ("2*(v - (w - 3*(v + w)))", weights(v="8", w="4")),
        ("v - v", {}),
        ("0.1*v + 0.2*v + 0.7*v", weights(v="1")),
        ("mean(base, ft, ft)", weights(base="1/3", ft="2/3")),
        ("mean(1, 2, 6) * v", weights(v="3")),
        ("mean(v)", weights(v="1")),
        ("日本 + v", weights(日本="1", v="1")),
        ("2 \u22c5 v × 3 \u2217 1 ÷ 4 \u2215 3", weights(v="0.5")),
        ("1e−3*v", weights(v="0.001")),
    ],
)
def test_an_expression_is_its_exact_coefficients(text: str, expected: dict[str, Fraction]) -> None:
    assert meaning(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a+b", {"a": 1, "b": 1}),
        ("a+ b", {"a": 1, "b": 1}),
        ("a +b", {"a": 1, "b": 1}),
        ("a++b", {"a+": 1, "b": 1}),
        ("a+ + b", {"a+": 1, "b": 1}),
        ("a+−b", {"a+": 1, "b": -1}),
        ("a+", {"a+": 1}),
        ("2*a+", {"a+": 2}),
        ("(a+)*2", {"a+": 2}),
        ("a+*2", {"a+": 2}),
        ("mean(a+, a)", {"a+": Fraction(1, 2), "a": Fraction(1, 2)}),
        ("a+(b)", {"a": 1, "b": 1}),
        ("a+.5*b", {"a": 1, "b": Fraction(1, 2)}),
        ("a+\n b", {"a": 1, "b": 1}),
        ("refusal−-refusal+", {"refusal-": 1, "refusal+": -1}),
        ("refusal- - refusal+", {"refusal-": 1, "refusal+": -1}),
    ],
)
def test_a_name_keeps_its_sign_unless_an_operand_follows(text: str, expected: dict[str, Fraction]) -> None:
    assert meaning(text) == expected


def test_a_name_may_be_declared_with_a_minus_sign() -> None:
    assert meaning("v− + v-", {"v−": V}) == {"v": 2}


def test_numbers_of_every_kind_are_taken_exactly_as_names() -> None:
    names: dict[str, Linear | Number] = {"v": V, "x": 0.1, "y": Decimal("0.2"), "z": 7}
    assert meaning("(x + y)*v + z*v", names) == weights(v="7.3")


def test_ten_thousand_terms_are_added_without_deep_recursion() -> None:
    assert meaning("+".join(["v"] * 10_000)) == {"v": 10_000}
    assert meaning("v" + "*1" * 10_000) == {"v": 1}
    assert meaning("-" * 10_000 + "v") == {"v": 1}


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ('restrict(v, layers="8-20")', (Rule(Fraction(1), layers=(8, 20)),)),
        ("restrict(v, layers='8 − 20')", (Rule(Fraction(1), layers=(8, 20)),)),
        ("restrict(v, layers=3)", (Rule(Fraction(1), layers=(3, 3)),)),
        (
            'restrict(v, layers=[0, "2-3"], role="mlp")',
            (Rule(Fraction(1), (0, 0), ("mlp",)), Rule(Fraction(1), (2, 3), ("mlp",))),
        ),
        (
            'restrict(v, role=["q", "k"], name="*.q_proj.*")',
            (Rule(Fraction(1), None, ("q", "k"), "*.q_proj.*"),),
        ),
    ],
)
def test_restrict_is_zero_outside_what_it_names(text: str, rules: tuple[Rule, ...]) -> None:
    (term,) = parse_expression(text, NAMES).terms
    assert term.weightings == (Selection(rules, otherwise=Fraction(0)),)


def test_a_difference_is_restricted_as_a_whole() -> None:
    total = parse_expression('base + restrict(ft - base, role="mlp")', NAMES)
    at = {
        role: [term.at(f"model.layers.0.{role}.weight", 2) for term in total.terms]
        for role in ("mlp.up_proj", "self_attn.q_proj")
    }
    assert total.kind == "checkpoint"
    assert at == {"mlp.up_proj": [1, 1, -1], "self_attn.q_proj": [1, 0, 0]}


numbers = st.decimals(min_value=-99, max_value=99, places=3).map(str)
named = st.sampled_from(["base", "ft", "v", "w"])


@st.composite
def twins(draw: st.DrawFn, depth: int = 3) -> tuple[str, Linear]:
    """An expression, as text and as Python."""
    if not depth or draw(st.booleans()):
        name = draw(named)
        value = NAMES[name]
        assert isinstance(value, Linear)
        return name, value
    text, value = draw(twins(depth - 1))
    other_text, other = draw(twins(depth - 1))
    number = draw(numbers)
    return draw(
        st.sampled_from([
            (f"({text} + {other_text})", value + other),
            (f"({text}−{other_text})", value - other),
            (f"({number})·({text})", Decimal(number) * value),
            (f"({text}) / 8 * {number}", value / 8 * Decimal(number)),
            (f"-({text})", -value),
        ])
    )  # fmt: skip


@given(twins())
def test_an_expression_is_the_sum_that_python_builds(twin: tuple[str, Linear]) -> None:
    text, value = twin
    assert coefficients(parse_expression(text, NAMES)) == coefficients(value)
