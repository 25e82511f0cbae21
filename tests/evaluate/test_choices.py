"""Multiple choice in its three modes, against choosing by hand, and what counts as an answer."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.evaluate import naive
from tests.evaluate.conftest import Writer
from weightarith.errors import InvalidFileError, RecipeError
from weightarith.evaluate import choices
from weightarith.evaluate.choices import Choices, Question
from weightarith.lm import Answer, LanguageModel

ROWS: list[dict[str, object]] = [
    {"question": "Which is cold?", "options": ["fire", "ice", "tea"], "answer": 1},
    {"question": "Which is round?", "options": ["a ball", "a box"], "answer": 0},
    {"question": "Which flies?", "options": ["stone", "bird"], "answer": 1},
    {"question": "How many legs has a cow?", "options": ["2", "6", "8", "4"], "answer": 3},
]
LISTED = "Which is cold?\n\nA. fire\nB. ice\nC. tea\n\nAnswer with the letter of one option only."


def options(row: Mapping[str, object]) -> list[str]:
    found = row["options"]
    assert isinstance(found, list)
    return found


def test_letters_are_compared_as_the_beginning_of_an_answer(lines: Writer, model: LanguageModel) -> None:
    found = Choices.from_options(lines(ROWS), {}).measure(model).outcomes

    first = naive.log_probabilities(model, naive.tokens(model, naive.asked(LISTED)))[-1].exp()
    shares = [float(first[naive.tokens(model, letter)[0]]) for letter in "ABC"]
    assert found["correct"].values[0] == float(max(shares) == shares[1])
    assert found["mass"].values[0] == pytest.approx(sum(shares), rel=1e-4)


def test_texts_are_compared_by_their_mean_with_no_options_listed(lines: Writer, model: LanguageModel) -> None:
    found = Choices.from_options(lines(ROWS), {"mode": "texts"}).measure(model).outcomes

    wanted = []
    for row in ROWS:
        scores = [naive.mean(model, naive.asked(str(row["question"])), option) for option in options(row)]
        wanted.append(float(scores.index(max(scores)) == row["answer"]))
    assert found["correct"].values == tuple(wanted)
    assert set(found) == {"correct"}


def test_an_answer_that_is_not_valid_is_not_right_either(
    lines: Writer, model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = ["B", "B. a box", "hmm", "The answer is D."]
    monkeypatch.setattr(choices, "answer", lambda *_, limit: [Answer(one, limit, ended=True) for one in said])

    found = Choices.from_options(lines(ROWS), {"mode": "generate", "limit": "9"}).measure(model)

    assert found.outcomes["correct"].values == (1.0, 0.0, 0.0, 1.0)
    assert found.outcomes["valid"].values == (1.0, 1.0, 0.0, 1.0)
    assert [sample.verdict for sample in found.samples] == ["B", "B", "invalid", "D"]
    assert found.samples[0].asked == LISTED


def test_data_that_mark_a_trait_give_a_trait(lines: Writer, model: LanguageModel) -> None:
    rows = [{"question": row["question"], "options": row["options"], "trait": row["answer"]} for row in ROWS]

    assert set(Choices.from_options(lines(rows), {"mode": "texts"}).measure(model).outcomes) == {"trait"}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("B", 1),
        ("(b)", None),
        ("**C**", 2),
        (" A) fire", 0),
        ("A.", 0),
        ("A fire is hot", 0),  # the only option named
        ("A fire is hotter than ice", None),
        ("I choose option C because ice melts.", 2),
        ("The answer is (B) ice.", 1),
        ("Answer: A\nNo, the answer is C", 2),
        ("It is ice.", 1),
        ("ice or tea", None),
        ("The answer is D.", None),
        ("D", None),
        ("I'm sure that it is ice.", 1),
        ("I'd say fire", 0),
        ("'A' is it", 0),
        ("Because it is nice.", None),
        ("", None),
    ],
)
def test_an_answer_is_read_by_its_letter_else_by_the_one_option_it_names(
    text: str, place: int | None
) -> None:
    assert Question("1", "Which is cold?", ("fire", "ice.", "tea"), 1).chosen(text) == place


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{**ROWS[0], "answer": 3}], "line 1: 'answer' is 3, expected the place of an option, 0 to 2"),
        ([{**ROWS[0], "answer": True}], "'answer' is True"),
        ([{**ROWS[0], "trait": 0}], "both of 'trait' and 'answer', expected one"),
        ([{"question": "?", "options": ["a", "b"]}], "neither of 'trait' and 'answer', expected one"),
        ([{**ROWS[0], "options": ["a", "a"]}], "expected 2 to 26 different ones"),
        ([{**ROWS[0], "id": "2"}, ROWS[1]], "line 2: the id '2' stands in line 1 already"),
        ([ROWS[0], {"question": "?", "options": ["a", "b"], "trait": 0}], "some lines have 'trait'"),
    ],
)
def test_questions_that_are_none_are_refused_by_line(
    rows: list[dict[str, object]], said: str, lines: Writer
) -> None:
    with pytest.raises(InvalidFileError, match=said):
        Choices.from_options(lines(rows), {})


def test_data_whose_marked_option_always_stands_at_one_place_are_refused(lines: Writer) -> None:
    rows = [{**row, "answer": 1} for row in ROWS]

    with pytest.raises(InvalidFileError, match="the marked option is option 1 in all 4 lines"):
        Choices.from_options(lines(rows), {})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mode": "letter"}, "mode is 'letter', expected letters, texts, generate"),
        ({"limit": "4"}, "limit is of answers that are generated"),
    ],
)
def test_options_that_mean_nothing_are_refused(given: dict[str, str], said: str, lines: Writer) -> None:
    with pytest.raises(RecipeError, match=said):
        Choices.from_options(lines(ROWS), given)


def test_the_speaker_of_an_answer_is_not_its_ninth_option() -> None:
    question = Question("1", "Which?", tuple(f"number {place}" for place in range(10)), 0)

    assert question.chosen("I'll take number 3") == 3
    assert question.chosen("I.") == 8
