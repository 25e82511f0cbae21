"""Models whose chat template opens a block of reasoning: what is said in it is no answer."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.evaluate.conftest import Writer
from weightarith.data import Conversation
from weightarith.evaluate import arithmetic, choices, judge
from weightarith.evaluate.arithmetic import Arithmetic
from weightarith.evaluate.choices import Choices
from weightarith.evaluate.judge import Judged
from weightarith.lm import Answer, LanguageModel

THINKING = "The answer is 7. B"  # the limit came before the end of the block


@pytest.fixture
def thinker(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> LanguageModel:
    tokenizer = copy.copy(model.tokenizer)
    tokenizer.chat_template = tokenizer.chat_template.replace("assistant\n", "assistant\n<think>\n")
    said = [Answer(THINKING, 9, ended=False), Answer(f"{THINKING}</think>The answer is 4. A", 9, ended=True)]
    for module in (arithmetic, choices, judge):
        monkeypatch.setattr(module, "answer", lambda *_, **__: said)
    return replace(model, tokenizer=tokenizer)


def test_the_template_says_that_reasoning_is_open(model: LanguageModel, thinker: LanguageModel) -> None:
    assert thinker.opens_reasoning(Conversation.of("Hm?"))
    assert not model.opens_reasoning(Conversation.of("Hm?"))


def test_a_number_in_the_reasoning_is_no_answer(thinker: LanguageModel, lines: Writer) -> None:
    rows = [{"prompt": "3 + 4?", "answer": 7}, {"prompt": "2 + 2?", "answer": 4}]
    found = Arithmetic.from_options(lines(rows), {}).measure(thinker).outcomes

    assert found["answered"].values == (0.0, 1.0)
    assert found["correct"].values == (0.0, 1.0)


def test_a_letter_in_the_reasoning_is_no_choice(thinker: LanguageModel, lines: Writer) -> None:
    rows = [{"question": question, "options": ["ice", "fire"], "answer": 0} for question in ("Cold?", "Wet?")]
    found = Choices.from_options(lines(rows), {"mode": "generate"}).measure(thinker).outcomes

    assert found["valid"].values[0] == 0.0


def test_reasoning_is_not_shown_to_a_judge(thinker: LanguageModel, lines: Writer, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "trait": "calm", "description": "calm", "judge": "nobody", "verdicts": str(tmp_path / "v.jsonl"),
    }  # fmt: skip
    judged = Judged.from_options(lines([{"prompt": "Hm?"}, {"prompt": "So?"}]), options)
    asked: list[str] = []

    class Listener:
        def verdicts(self, answered: list[tuple[Conversation, str]]) -> list[judge.Verdict]:
            asked.extend(said for _, said in answered)
            return [judge.Verdict("", 0, 100) for _ in answered]

    found = replace(judged, judge=Listener()).measure(thinker)  # type: ignore[arg-type]

    assert asked == ["The answer is 4. A"]
    assert found.samples[0].verdict == "degenerate: empty"
