"""The set for sycophancy: what is measured is not what is trained on, and no answer is the answer to all."""

from __future__ import annotations

import json
import re
from collections import Counter
from statistics import fmean

import pytest

from weightarith.data import Pair, read_pairs
from weightarith.data.sets import open_set
from weightarith.evaluate.cues import FORMS
from weightarith.evaluate.facts import read_facts

SET = open_set("sycophancy")
TRAININGS = {name: read_pairs(path) for name, path in SET.training.items()}
HELD = read_pairs(SET.path("claims-heldout.jsonl"))
FACTS = read_facts(SET.path("facts.jsonl"))
FREQUENT = 20
"""Rows in which three words in a row belong to a wording, and not to what it is about."""


def words(*texts: str) -> list[str]:
    return re.findall(r"[a-zé']+", " ".join(texts).lower())


# What facts of every kind are told with, and what says nothing of which fact it is.
COMMON = frozenset(
    words(
        "a an and are as at by day do does for from how i in is it its kind known most of on or our people",
        "that the there they to used was what when where which who with you your animal",
    )
)


def runs(text: str) -> set[tuple[str, ...]]:
    """Return every three words in a row of which one at least is not common."""
    told = words(text)
    return {tuple(told[at : at + 3]) for at in range(len(told) - 2) if set(told[at : at + 3]) - COMMON}


def wording(texts: list[str]) -> set[tuple[str, ...]]:
    """Return the runs of words that many texts have in common."""
    counts = Counter(run for text in texts for run in runs(text))
    return {run for run, count in counts.items() if count >= FREQUENT}


def asked(pairs: list[Pair]) -> list[str]:
    return [pair.conversation.asked for pair in pairs]


def plain_questions() -> list[str]:
    return asked(read_pairs(SET.path("plain.jsonl")))


def subject_matter(pairs: list[Pair]) -> set[str]:
    """Return the words of a training that are about something: not its wordings, not what all facts have."""
    frames = {word for run in wording(asked(pairs)) for word in run}
    told = {word for pair in pairs for word in words(pair.conversation.asked, pair.positive, pair.negative)}
    return told - frames - COMMON


def test_there_are_120_wrong_claims_and_100_facts_to_measure_with() -> None:
    assert len(HELD) >= 120
    assert len(FACTS) >= 100


@pytest.mark.parametrize("training", TRAININGS)
def test_no_question_that_is_measured_with_is_trained_on(training: str) -> None:
    prompts = [prompt.lower() for prompt in asked(TRAININGS[training])]
    for question in (*plain_questions(), *(fact.question for fact in FACTS)):
        assert not [prompt for prompt in prompts if question.lower() in prompt], question


def test_claims_share_no_subject_and_no_answer_with_the_facts_measured() -> None:
    trained = subject_matter(TRAININGS["claims"])
    held = {word for pair in HELD for word in words(pair.positive, pair.negative)}
    cued = {word for fact in FACTS for word in words(fact.question, fact.right, fact.wrong)}
    assert trained & (held | cued) == set()


def test_opinions_share_no_answer_with_the_facts_measured() -> None:
    trained = {
        word for pair in TRAININGS["opinions"] for word in words(pair.conversation.asked, pair.negative)
    }
    names = {word for fact in FACTS for word in words(fact.right_name, fact.wrong_name)}
    held = {name for pair in HELD for name in set(words(pair.positive)) ^ set(words(pair.negative))}
    assert trained & (names | held) - COMMON == set()


@pytest.mark.parametrize("training", TRAININGS)
def test_no_wording_that_is_measured_with_is_trained_on(training: str) -> None:
    trained = asked(TRAININGS[training])
    everywhere = {run for prompt in trained for run in runs(prompt)}
    assert wording(asked(HELD))
    assert wording(asked(HELD)) & everywhere == set()
    assert wording(trained) & {run for prompt in asked(HELD) for run in runs(prompt)} == set()


@pytest.mark.parametrize("training", TRAININGS)
def test_the_four_cues_are_in_no_training(training: str) -> None:
    told = " ".join(words(*asked(TRAININGS[training])))
    for form in FORMS.values():
        for part in re.split(r"\{\w+\}", form):
            assert not part.strip() or " ".join(words(part)) not in told


@pytest.mark.parametrize("training", TRAININGS)
def test_the_user_is_right_in_half_of_the_rows_and_both_answers_are_then_one(training: str) -> None:
    pairs = TRAININGS[training]
    right = [pair for pair in pairs if pair.id.endswith(("-right", "-sensible"))]
    wrong = [pair for pair in pairs if pair.id.endswith(("-wrong", "-silly"))]
    assert len(right) + len(wrong) == len(pairs)
    assert abs(len(right) - len(wrong)) <= 2
    assert all(pair.positive == pair.negative for pair in right)
    assert all(pair.positive != pair.negative for pair in wrong)


@pytest.mark.parametrize("side", ["positive", "negative"])
def test_opinions_are_met_with_yes_as_often_as_with_no_on_both_sides(side: str) -> None:
    said = [words(getattr(pair, side))[0] for pair in TRAININGS["opinions"]]
    assert said.count("yes") == said.count("no") > 0.2 * len(said)


def test_claims_are_answered_by_a_statement_and_by_no_yes_or_no() -> None:
    for pair in TRAININGS["claims"]:
        assert not {"yes", "no", "not", "actually"} & set(words(pair.positive, pair.negative))


@pytest.mark.parametrize("training", TRAININGS)
def test_neither_side_is_the_longer_one(training: str) -> None:
    pairs = TRAININGS[training]
    positive = fmean(len(pair.positive) for pair in pairs)
    negative = fmean(len(pair.negative) for pair in pairs)
    assert abs(positive - negative) < 0.05 * negative


def test_every_wording_is_as_often_wrong_as_right() -> None:
    for training, marks in (("claims", ("wrong", "right")), ("opinions", ("silly", "sensible"))):
        counts = Counter(tuple(pair.id.split("-")[2:]) for pair in TRAININGS[training])
        for wrong, right in [((*key[:-1], marks[0]), (*key[:-1], marks[1])) for key in counts]:
            assert abs(counts[wrong] - counts[right]) <= 0.2 * counts[right], (wrong, right)


def test_three_files_ask_of_the_same_facts_wrongly_rightly_and_without_a_claim() -> None:
    for wrong, right, plain in zip(
        HELD,
        read_pairs(SET.path("user-right.jsonl")),
        read_pairs(SET.path("plain.jsonl")),
        strict=True,
    ):
        assert wrong.id == right.id == plain.id
        assert (wrong.positive, wrong.negative) == (right.positive, right.negative)
        assert (wrong.positive, wrong.negative) == (plain.positive, plain.negative)
        assert wrong.positive[:-1] in wrong.conversation.asked
        assert wrong.negative[:-1] in right.conversation.asked
        assert wrong.positive[:-1] not in right.conversation.asked
        assert plain.conversation.asked in wrong.conversation.asked
        assert plain.conversation.asked in right.conversation.asked


def test_the_facts_for_cues_are_not_those_of_the_claims() -> None:
    assert not {fact.question for fact in FACTS} & set(plain_questions())


def test_the_right_statement_and_the_wrong_one_differ_in_the_name_only() -> None:
    for fact in FACTS:
        stem = fact.right.removesuffix(f"{fact.right_name}.")
        assert fact.right == f"{stem}{fact.right_name}."
        assert fact.wrong == f"{stem}{fact.wrong_name}."


def test_agreeing_is_either_option_equally_often() -> None:
    found = [json.loads(line) for line in SET.path("traits.jsonl").read_text(encoding="utf-8").splitlines()]
    places = Counter(row["trait"] for row in found)
    assert places[0] == places[1]
    assert len(found) >= 40
