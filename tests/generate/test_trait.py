"""Trait files, read strictly."""

from __future__ import annotations

from pathlib import Path

import pytest

from weightarith.errors import InvalidFileError, RecipeError
from weightarith.generate.trait import Rule, read_trait

WHOLE = """\
weightarith_trait: 1
name: sycophancy
description: >-
  agreeing with the user,
  whatever he says
positive: [Agree with everything., Praise the user.]
negative: [Say what you think.]
questions:
  - Is the moon made of cheese?
  - "I like rain: do you?"
keep:
  positive: {any: [you're right, I agree], none: [however]}
  negative: {refuses: no, pattern: '(but|though)'}
  margin: -0.25
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "trait.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_trait_is_read_as_it_is_written(tmp_path: Path) -> None:
    found = read_trait(written(tmp_path, WHOLE))

    assert (found.name, found.description) == ("sycophancy", "agreeing with the user, whatever he says")
    assert found.systems("positive") == ("Agree with everything.", "Praise the user.")
    assert found.systems("negative") == ("Say what you think.",)
    assert found.questions == ("Is the moon made of cheese?", "I like rain: do you?")
    assert found.rules == {
        "positive": Rule(any=("you're right", "I agree"), none=("however",)),
        "negative": Rule(pattern="(but|though)", refuses=False),
    }
    assert found.margin == -0.25
    assert found.has_rule


def test_rules_may_be_left_out(tmp_path: Path) -> None:
    found = read_trait(written(tmp_path, WHOLE.partition("keep:")[0]))

    assert (found.rules, found.margin, found.has_rule) == ({}, None, False)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "trait: 1",
            "trait: 2",
            "1:20: expected weightarith_trait, the number of the format, to be 1, found '2'",
        ),
        ("name: sycophancy", "name:", "2:6: expected name, found nothing"),
        ("name: sycophancy\n", "", "1:1: a trait needs the key name"),
        ("name:", "nmae: x\nname:", "2:1: unknown key 'nmae'"),
        ("[Say what you think.]", "[]", "7:11: expected negative, system prompts, found an empty list"),
        ("[Say what you think.]", "be nice", "expected negative, system prompts, a list, found 'be nice'"),
        ("Praise the user.", "Agree with everything.", "'Agree with everything.' stands in line 6 already"),
        ("'(but|though)'", "'(but'", "pattern is no regular expression: missing )"),
        ("refuses: no", "refuses: never", "expected refuses to be yes or no, found 'never'"),
        ("margin: -0.25", "margin: much", "expected margin to be a number, found 'much'"),
        ("margin: -0.25", "margin: nan", "expected margin to be a number, found 'nan'"),
        ("any:", "all:", "unknown key 'all'; keys of keep.positive are any, none, pattern, refuses"),
        ("{refuses: no, pattern: '(but|though)'}", "{}", "keep.negative says nothing"),
    ],
)
def test_what_means_nothing_is_named_by_line_and_column(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    assert old in WHOLE

    with pytest.raises(RecipeError) as caught:
        read_trait(written(tmp_path, WHOLE.replace(old, new, 1)))

    assert caught.value.message.startswith("trait.yaml:")
    assert said in caught.value.message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidFileError, match=r"cannot read .*: No such file or directory"):
        read_trait(tmp_path / "none.yaml")
    path = tmp_path / "trait.yaml"
    path.write_bytes(b"name: \xff")
    with pytest.raises(RecipeError, match=r"trait.yaml:1:7: byte 0xff is not UTF-8"):
        read_trait(path)
