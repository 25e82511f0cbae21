"""A ledger told in few lines: nothing left out, nothing told twice, patterns that mean what they say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightarith.engine.explain import EVERYTHING, Line, grouped, ranges
from weightarith.engine.plan import Entry, Fate

PARTS = ("mlp.down.weight", "mlp.up.weight", "norm.weight", "self_attn.k.weight", "self_attn.q.weight")


def changed(*names: str) -> list[Entry]:
    return [Entry(name, "changed", "base + v") for name in names]


def copied(*names: str) -> list[Entry]:
    return [Entry(name, "copied", "base") for name in names]


def layer(number: int) -> list[str]:
    return [f"model.layers.{number}.{part}" for part in PARTS]


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [([], ""), ([3], "3"), ([0, 1], "0-1"), ([2, 0, 1, 7, 9, 10], "0-2,7,9-10")],
)
def test_numbers_are_told_as_ranges(numbers: list[int], shown: str) -> None:
    assert ranges(numbers) == shown


def test_one_fate_for_all_is_one_line() -> None:
    ledger = changed("model.embed.weight", *layer(0), *layer(1))

    assert grouped(ledger) == [Line(EVERYTHING, 11, "changed", "base + v")]


def test_an_empty_ledger_has_no_lines() -> None:
    assert grouped([]) == []


def test_layers_that_are_alike_share_a_line_and_stand_in_order() -> None:
    ledger = [*copied("lm_head.weight"), *changed(*layer(0), *layer(10), *layer(1)), *copied(*layer(2))]

    assert grouped(ledger) == [
        Line("lm_head.weight", 1, "copied", "base"),
        Line("model.layers.{0-1,10}.*", 15, "changed", "base + v"),
        Line("model.layers.2.*", 5, "copied", "base"),
    ]


def test_parts_of_a_layer_that_are_alike_share_a_pattern() -> None:
    split = [name for number in range(4) for name in layer(number)]
    ledger = [
        Entry(name, "changed" if "attn" in name or "down" in name else "copied", "reason") for name in split
    ]

    assert [(line.names, line.count, line.fate) for line in grouped(ledger)] == [
        ("model.layers.{0-3}.mlp.down.weight", 4, "changed"),
        ("model.layers.{0-3}.mlp.up.weight", 4, "copied"),
        ("model.layers.{0-3}.norm.weight", 4, "copied"),
        ("model.layers.{0-3}.self_attn.*", 8, "changed"),
    ]


def test_a_layer_that_holds_less_than_another_is_told_apart() -> None:
    ledger = [*copied("head"), *changed(*layer(0), *layer(1)[:-1])]

    assert [line.names for line in grouped(ledger)] == ["head", "model.layers.0.*", "model.layers.1.*"]
    assert [line.count for line in grouped(ledger)] == [1, 5, 4]


def test_stacks_of_different_names_are_told_apart() -> None:
    ledger = [*changed("encoder.layers.0.w", "decoder.layers.0.w"), *copied("encoder.layers.1.w")]

    assert {line.names for line in grouped(ledger)} == {
        "encoder.layers.0.w", "decoder.layers.0.w", "encoder.layers.1.w",
    }  # fmt: skip


def test_a_name_left_out_of_two_inputs_is_told_twice() -> None:
    ledger = [
        Entry("model.layers.0.w", "absent", reason) for reason in ("only a holds it", "only b holds it")
    ]

    assert sorted(line.reason for line in grouped(ledger)) == ["only a holds it", "only b holds it"]


@pytest.mark.parametrize(
    "names",
    [
        ["h.0", "h.0.a", "h.0.a.b", "h.0.ab", "h.0.a.c"],
        ["h.0.a", "h.0.a.", "h.0.a..", "h.0..a"],
        [f"h.0{'.a' * length}" for length in range(500)],
    ],
    ids=["one the beginning of another", "empty parts", "nested deep"],
)
def test_awkward_names_are_all_told(names: list[str]) -> None:
    fates: list[Fate] = ["changed", "copied"]
    ledger = [Entry(name, fates[index % 2], "reason") for index, name in enumerate(names)]

    assert sum(line.count for line in grouped(ledger)) == len(names)


names = st.tuples(st.integers(0, 3), st.sampled_from(PARTS), st.sampled_from(["base", "v", "2·v"]))


@given(st.lists(names, unique_by=lambda one: one[:2]), st.booleans())
def test_every_tensor_is_in_exactly_one_line_of_its_own_fate(
    drawn: list[tuple[int, str, str]], outside: bool
) -> None:
    ledger = [Entry(f"model.layers.{number}.{part}", "changed", reason) for number, part, reason in drawn]
    ledger += copied("lm_head.weight") if outside else []

    lines = grouped(ledger)

    assert sum(line.count for line in lines) == len(ledger)
    for reason in {entry.reason for entry in ledger}:
        told = sum(line.count for line in lines if line.reason == reason)
        assert told == sum(entry.reason == reason for entry in ledger)
