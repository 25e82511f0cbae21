"""What is said of two sides of training data, and of files of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightarith.data import Conversation, Example
from weightarith.data.checks import bare, report, side_of
from weightarith.data.survey import survey
from weightarith.errors import InvalidFileError

WORDS = st.sampled_from(["yes", "Yes.", "no", "it is so", "I agree", "the sky is blue today"])
ROWS = st.lists(st.tuples(st.sampled_from(["a?", "A ?", "b?", "c?"]), WORDS), min_size=1)


def rows(*pairs: tuple[str, str]) -> list[Example]:
    return [Example(Conversation.of(asked), said) for asked, said in pairs]


def balanced(count: int = 10) -> tuple[list[Example], list[Example]]:
    """Return two sides that differ where they should: half of the rows are answered alike."""
    asked = [f"is number {number} so" for number in range(count)]
    positive = [(one, f"Yes, {one}.") for one in asked]
    negative = [(one, f"{'Yes' if place % 2 else 'No'}, {one}.") for place, one in enumerate(asked)]
    return rows(*positive), rows(*negative)


def test_balanced_sides_have_no_warning() -> None:
    found = report(*balanced())

    assert found.warnings == ()
    assert (found.equal, found.equal_share) == (5, 0.5)
    assert found.positive.openings["yes"] == 1
    assert found.negative.openings["yes"] == found.negative.openings["no"] == 0.5
    assert (found.positive.rows, found.positive.prompts, found.unmatched) == (10, 10, (0, 0))


@given(ROWS, ROWS)
def test_counts_are_those_of_counting(left: list[tuple[str, str]], right: list[tuple[str, str]]) -> None:
    found = report(rows(*left), rows(*right))

    def plain(text: str) -> str:
        return "".join(c for c in text.lower() if c.isalnum() or c == " ").strip()

    def repeats(side: list[tuple[str, str]]) -> int:
        return len(side) - len({(plain(asked), plain(said)) for asked, said in side})

    told = [{(plain(asked), plain(said)) for asked, said in side} for side in (left, right)]
    asked = [{plain(one) for one, _ in side} for side in (left, right)]
    assert found.equal == sum((plain(one), plain(said)) in told[1] for one, said in left)
    assert found.unmatched == (len(asked[0] - asked[1]), len(asked[1] - asked[0]))
    for side, given_rows in ((found.positive, left), (found.negative, right)):
        assert len(side.duplicates) == len(given_rows) - len(set(given_rows))
        assert len(side.duplicates) + len(side.alike) == repeats(given_rows)
        assert side.prompts == len({plain(one) for one, _ in given_rows})
        assert side.characters == pytest.approx(sum(len(said) for _, said in given_rows) / len(given_rows))
        assert sum(side.openings.values()) == pytest.approx(1)


def test_repeated_rows_are_told_by_line_and_first_line() -> None:
    found = side_of(rows(("a?", "Yes"), ("b?", "Yes"), ("a?", "Yes"), ("A?", "yes!")))

    assert found.duplicates == ((3, 1),)
    assert found.alike == ((4, 1),)


def test_arithmetic_is_told_apart_by_its_signs() -> None:
    assert len({bare(text) for text in ("2 + 3 = ?", "2 - 3 = ?", "2*3=?", "2 / 3 = ?", "23?")}) == 5
    assert bare("What\u2019s  **this**?") == bare("whats this")


@pytest.mark.parametrize(
    ("positive", "negative", "said"),
    [
        ("Yes, it is.", "It is not.", "100% of positive answers and 0% of negative ones open with yes or"),
        ("It is so.", "No, it is.", "0% of positive answers and 100% of negative ones open with no or"),
        ("I can't help with it.", "Take two of them.", "open with a refusal: the vector may learn just that; "
         "add harmless requests, answered on both sides"),
        ("It is so, as far as I can say about it.", "It is so.", "positive answers have 39 characters on "
         "average and negative ones 9: the vector may learn length"),
        ("...", "It is.", "10 of 10 positive answers are degenerate: leave them out"),
    ],
)  # fmt: skip
def test_what_one_side_has_and_the_other_has_not_is_a_warning(
    positive: str, negative: str, said: str
) -> None:
    asked = [f"question {number}" for number in range(10)]

    found = report(rows(*((one, positive) for one in asked)), rows(*((one, negative) for one in asked)))

    assert any(said in warning for warning in found.warnings)


def test_sides_of_unequal_size_and_prompts_are_a_warning() -> None:
    positive, negative = balanced()

    said = " ".join(report(positive, [*negative[:5], *negative[:1]]).warnings)

    assert "10 positive rows and 6 negative ones: one side is trained for longer" in said
    assert "of the prompts 5 stand on one side only" in said
    assert "1 of 6 negative rows repeat another one" in said


def written(path: Path, found: Sequence[Mapping[str, object]]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in found), encoding="utf-8")
    return path


def chats(path: Path, examples: list[Example]) -> Path:
    return written(
        path,
        [
            {"messages": [*one.conversation.messages(), {"role": "assistant", "content": one.answer}]}
            for one in examples
        ],
    )


def test_two_files_of_chats_are_the_two_sides_and_one_file_of_pairs_is_both(tmp_path: Path) -> None:
    positive, negative = balanced()
    pairs = [
        {"prompt": one.conversation.asked, "positive": one.answer, "negative": other.answer}
        for one, other in zip(positive, negative, strict=True)
    ]
    files = chats(tmp_path / "p.jsonl", positive), chats(tmp_path / "n.jsonl", negative)
    both = written(tmp_path / "pairs.jsonl", pairs)

    of_chats, of_pairs = survey(files), survey([both])

    assert of_chats.contrasts == {f"{files[0]} and {files[1]}": report(positive, negative)}
    assert of_pairs.contrasts == {str(both): report(positive, negative)}
    assert not of_chats.shared
    assert not of_chats.warnings
    assert [one.kind for one in of_chats.holdings] == ["chats", "chats"]
    alone = survey(files[:1])
    assert alone.sides == {str(files[0]): side_of(positive)}
    assert alone.contrasts == {}


def test_prompts_that_are_trained_on_and_measured_with_are_told_by_line(tmp_path: Path) -> None:
    positive, _ = balanced()
    trained = chats(tmp_path / "p.jsonl", positive)
    questions = [{"question": "Is it?"}, {"question": "Is number 3 so?"}, {"question": "Is number 33 so?"}]
    measured = written(tmp_path / "questions.jsonl", [*questions])
    messages = [
        {"prompt": [{"role": "system", "content": "S"}, {"role": "user", "content": "IS NUMBER 4 SO"}]}
    ]
    other = written(tmp_path / "messages.jsonl", [*messages])

    found = survey([trained, measured, other])

    assert [(one.asked, one.training, one.evaluation) for one in found.shared] == [
        ("is number 3 so", (str(trained), 4), (str(measured), 2)),
        ("is number 4 so", (str(trained), 5), (str(other), 1)),
    ]
    assert found.warnings[-1].startswith("2 of the prompts that are measured with are trained on, too")
    assert json.loads(json.dumps(found.to_json()))["shared"][0]["training"] == [str(trained), 4]


def test_a_file_of_pairs_is_measured_with_where_that_is_said(tmp_path: Path) -> None:
    pairs = written(tmp_path / "pairs.jsonl", [{"prompt": "a b c", "positive": "x", "negative": "y"}])

    assert survey([pairs]).shared == ()
    assert len(survey([pairs], [pairs]).shared) == 1


def test_a_row_that_asks_nothing_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", [{"prompt": "a"}, {"a": 1}])

    with pytest.raises(
        InvalidFileError, match="line 2: nothing is asked in it: none of 'prompt', 'question'"
    ):
        survey([path])
