"""Numbers read out of answers, and whether they are the right ones."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tinychat import instruct
from weightarith.errors import InvalidFileError, RecipeError
from weightarith.evaluate import arithmetic
from weightarith.evaluate.arithmetic import Arithmetic
from weightarith.evaluate.numerals import number_meant, numbers_in
from weightarith.lm import Answer, load


@given(
    st.decimals(-(10**12), 10**12, places=2, allow_nan=False),
    st.sampled_from(["{:,}", "{}", "{:,}.", "${:,}"]),
)
def test_a_number_is_read_as_it_was_written(number: Decimal, written: str) -> None:
    assert numbers_in(f"It is {written.format(number)} then") == [number]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("3 - 5 = -2", "3 5 -2"),
        ("10-5", "10 5"),
        ("x=-2", "-2"),
        ("(3)-4", "3 4"),
        ("−4 and +4", "-4 4"),
        ("12.", "12"),
        ("3, 4,5", "3 4 5"),
        ("1,234,567", "1234567"),
        ("1,2345", "1 2345"),
        ("10,000,00", "10 0 0"),
        ("**1,000** dollars, or $5.50", "1000 5.50"),
        ("none", ""),
        ("", ""),
    ],
)
def test_signs_commas_and_points_belong_to_a_number_where_they_do(text: str, numbers: str) -> None:
    assert numbers_in(text) == list(map(Decimal, numbers.split()))


@pytest.mark.parametrize(
    ("answer", "meant"),
    [
        ("5 apples and 7 make 12", 12),
        ("12", 12),
        ("The answer is 12. I checked 3 times.", 12),
        ("The answer is 5 + 7 = 12. I am 99 % sure", 12),
        ("Answer: **1,200**\n\n3 notes follow", 1200),
        ("First answer: 3. No, wait. The answer is 4, not 5", 4),
        ("18 eggs\n#### 9", 9),
        ("The answer is not here. It is 4", 4),
        ("the answer is\n12", 12),
        ("twelve", None),
        ("", None),
    ],
)
def test_the_number_meant_is_the_one_announced_or_else_the_last(answer: str, meant: int | None) -> None:
    assert number_meant(answer) == meant


SAID = ["It is 12.", "13", "It is 12.00", "Twelve.", "<think>12</think> It is 5", "-3"]
RIGHT = [12, "12", 12.0, 12, "5", -3]


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    path = tmp_path / "sums.jsonl"
    rows = [{"prompt": f"sum {place}", "answer": right} for place, right in enumerate(RIGHT)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def test_an_answer_is_correct_where_its_number_equals_the_right_one(
    problems: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        arithmetic, "answer", lambda *_, limit: [Answer(one, limit, ended=True) for one in SAID]
    )

    found = Arithmetic.from_options(problems, {"limit": "8"}).measure(load(instruct(tmp_path / "model")))

    assert list(found.outcomes["correct"].values) == [1, 0, 1, 0, 1, 1]
    assert list(found.outcomes["answered"].values) == [1, 1, 1, 0, 1, 1]
    assert found.outcomes["correct"].items == ("1", "2", "3", "4", "5", "6")
    assert [one.verdict for one in found.samples] == [
        "correct", "13, expected 12", "correct", "no number, expected 12", "correct", "correct",
    ]  # fmt: skip


def test_a_model_is_asked(problems: Path, tmp_path: Path) -> None:
    found = Arithmetic.from_options(problems, {"limit": 3}).measure(load(instruct(tmp_path / "model")))

    assert all(value in (0, 1) for value in found.outcomes["correct"].values)
    assert len(found.samples) == len(RIGHT)


@pytest.mark.parametrize("answer", ["twelve", "1 or 2", None, True, [1], ""])
def test_a_right_answer_is_one_number(answer: object, tmp_path: Path) -> None:
    path = tmp_path / "sums.jsonl"
    path.write_text(json.dumps({"prompt": "a", "answer": answer}), encoding="utf-8")

    with pytest.raises(InvalidFileError, match=r"line 1: 'answer' is '.*', expected one number"):
        Arithmetic.from_options(path, {})


def test_an_unknown_option_is_refused_by_name(problems: Path) -> None:
    with pytest.raises(RecipeError, match="metric arithmetic: unknown option 'length', expected limit"):
        Arithmetic.from_options(problems, {"length": 3})
