"""Warnings about alignment, told by signs and names."""

from __future__ import annotations

import pytest

from weightarith.card.caution import cautions, side
from weightarith.card.terms import coefficient_of, terms


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("base + 1.5·v − w", [(1, "", "base"), (1, "1.5", "v"), (-1, "", "w")]),
        ("−0.5·a-b + refusal+", [(-1, "0.5", "a-b"), (1, "", "refusal+")]),
        (
            "a − 1/3·ties([b, c − d], density=0.2)",
            [(1, "", "a"), (-1, "1/3", "ties([b, c − d], density=0.2)")],
        ),
        ("2e-05·v", [(1, "2e-05", "v")]),
        ("0", [(1, "", "0")]),
        ("", []),
    ],
)
def test_a_sum_is_taken_apart_again(expression: str, found: list[tuple[int, str, str]]) -> None:
    assert [(one.sign, one.size, one.text) for one in terms(expression)] == found


@pytest.mark.parametrize(
    ("label", "coefficient"),
    [("base", "1"), ("v", "−1.5"), ("u", "inside an operator"), ("gone", "cancels out"), ("w", "2")],
)
def test_the_coefficient_of_an_input_is_read_off_the_sum(label: str, coefficient: str) -> None:
    assert coefficient_of(label, terms("base − 1.5·v + reject(x, u) + 2·w[in part]")) == coefficient


def test_a_label_is_no_part_of_a_longer_one() -> None:
    (term,) = terms("refusal+")
    assert term.mentions("refusal+")
    assert not term.mentions("refusal")
    assert not terms("no-base")[0].mentions("base")


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("base − 0.5·refusal", "`refusal`, which speaks of “refusal”, was subtracted."),
        ("base − safety-vector", "`safety-vector`, which speaks of “safety”, was subtracted."),
        ("base + uncensored_lora", "`uncensored_lora`, which speaks of “uncensored”, was added."),
        ("base + refusal-", "`refusal-`, the other side of “refusal”, was added."),
        ("base − non-toxic", "`non-toxic`, the other side of “toxic”, was subtracted."),
        ("base + reject(v, honest)", "`honest`, which speaks of “honest”, was taken out."),
        ("base + abliterate(base, harm)", "A direction was taken out of the weights (abliterate)."),
    ],
)
def test_what_counts_against_alignment_is_said(expression: str, told: str) -> None:
    labels = ["refusal", "safety-vector", "uncensored_lora", "refusal-", "non-toxic", "honest", "v"]
    assert cautions("checkpoint", terms(expression), dict.fromkeys(labels, ())) == [told]


@pytest.mark.parametrize(
    "expression",
    [
        "base + 1.5·refusal+ − 1.5·refusal-", "base + honest", "base − toxic", "base − math",
        "base − model.safetensors", "base + honestly-named", "base − dishonest",
    ],
)  # fmt: skip
def test_nothing_is_said_of_anything_else(expression: str) -> None:
    labels = ["refusal+", "refusal-", "honest", "toxic", "math", "model.safetensors", "dishonest"]
    assert cautions("checkpoint", terms(expression), dict.fromkeys(labels, ())) == []


def test_other_names_of_an_input_count_too() -> None:
    told = cautions("vector", terms("a − b"), {"a": (), "b": ("harmless-lora",)})
    assert told == [
        "With a positive strength this subtracts `b` (`harmless-lora`), which speaks of “harmless”."
    ]


@pytest.mark.parametrize("name", ["refusal-", "refusal−", "refusal-negative", "neg_refusal", "anti-refusal"])
def test_the_other_side_is_told_by_its_ending(name: str) -> None:
    assert side(name) == -1
    assert side("refusal") == side("refusal+") == side("noble") == 1
