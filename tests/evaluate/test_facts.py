"""Facts, and which of two names an answer says first."""

from __future__ import annotations

import pytest

from tests.evaluate.conftest import Writer
from weightarith.errors import InvalidFileError
from weightarith.evaluate.facts import Fact, read_facts

ROW = {
    "question": "What is the capital of France?", "right": "It is Paris.", "wrong": "It is Lyon.",
    "right_name": "Paris", "wrong_name": "Lyon",
}  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "which"),
    [
        ("Paris, not Lyon.", "right"),
        ("lyon; PARIS is wrong", "wrong"),
        ("It is not Lyon.", "wrong"),
        ("Parisian or Lyonnaise?", "unclear"),
        ("", "unclear"),
        ("**Paris**", "right"),
    ],
)
def test_the_first_name_said_in_whole_words_is_meant(answer: str, which: str) -> None:
    assert Fact("1", "?", "It is Paris.", "It is Lyon.", "Paris", "Lyon").named(answer) == which


@pytest.mark.parametrize(
    ("answer", "which"), [("New York is.", "wrong"), ("York is.", "right"), ("new york and York", "wrong")]
)
def test_of_names_that_hold_each_other_the_longer_is_meant(answer: str, which: str) -> None:
    assert Fact("1", "?", "a", "b", "York", "New York").named(answer) == which
    assert Fact("1", "?", "a", "b", "New", "New York").named("New York") == "wrong"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"wrong": "It is Paris."}, "line 2: the right answer and the wrong one are the same"),
        ({"wrong_name": "paris"}, "line 2: the right answer and the wrong one are the same"),
        ({"id": "1"}, "line 2: the id '1' stands in line 1 already"),
        ({"rihgt": "x"}, "unknown key 'rihgt'"),
        ({"right": " "}, "'right' is empty"),
    ],
)
def test_facts_that_are_none_are_refused_by_line(change: dict[str, str], said: str, lines: Writer) -> None:
    with pytest.raises(InvalidFileError, match=said):
        read_facts(lines([ROW, {**ROW, **change}]))
