"""The set that the suites of all others use: plain, balanced, and trained on by none of them."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from weightarith.data import read_rows
from weightarith.data.sets import open_set, shipped

SET = open_set("shared")


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9é]+", text.lower()))


def trained() -> set[str]:
    """Return everything that a user says, or a model answers, in any training of any set."""
    found = set()
    for name in shipped():
        for path in open_set(name).training.values():
            for row in read_rows(path):
                found.add(plain(row.conversation.asked))
    return found


@pytest.mark.parametrize(
    ("file", "least"), [("general", 48), ("neutral", 24), ("knowledge", 100), ("benign", 50)]
)
def test_there_are_as_many_rows_as_an_interval_needs(file: str, least: int) -> None:
    assert SET.files[f"{file}.jsonl"].rows >= least


@pytest.mark.parametrize(
    ("file", "key"), [("general", "prompt"), ("benign", "prompt"), ("knowledge", "question")]
)
def test_nothing_of_it_is_a_prompt_of_a_training(file: str, key: str) -> None:
    assert not {plain(row[key]) for row in rows(SET.path(f"{file}.jsonl"))} & trained()


def test_no_prompt_stands_in_two_files() -> None:
    general, benign = (
        {plain(row["prompt"]) for row in rows(SET.path(f"{name}.jsonl"))} for name in ("general", "benign")
    )
    assert not general & benign


def test_neutral_texts_have_60_to_120_words_of_their_own_topic() -> None:
    found = rows(SET.path("neutral.jsonl"))
    assert all(60 <= len(row["text"].split()) <= 120 for row in found)
    assert len({row["id"] for row in found}) == len(found)


def test_prompts_are_short_and_end_as_sentences_do() -> None:
    for file in ("general", "benign"):
        for row in rows(SET.path(f"{file}.jsonl")):
            assert row["prompt"][-1] in ".?"
            assert len(row["prompt"].split()) <= 20


def test_the_right_option_of_a_question_is_at_each_of_four_places_equally_often() -> None:
    found = rows(SET.path("knowledge.jsonl"))
    assert all(len(set(row["options"])) == 4 for row in found)
    counts = Counter(row["answer"] for row in found)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_no_question_of_knowledge_stands_there_twice() -> None:
    questions = [plain(row["question"]) for row in rows(SET.path("knowledge.jsonl"))]
    assert len(set(questions)) == len(questions)
