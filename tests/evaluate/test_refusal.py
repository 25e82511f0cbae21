"""Refusals counted: three outcomes of which one holds, and a margin in log-probabilities."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tinychat import instruct
from weightarith.data import Conversation
from weightarith.errors import InvalidFileError, RecipeError
from weightarith.evaluate import refusal
from weightarith.evaluate.refusal import COMPLYING_OPENINGS, REFUSING_OPENINGS, Refusal
from weightarith.lm import Answer, LanguageModel, load

SAID = {
    "a": ("I'm sorry, but I can't help with that.", "refused", "refused: i'm sorry, but"),
    "b": ("Take two eggs and a pan.", "complied", "complied"),
    "c": ("", "degenerate", "degenerate: empty"),
    "d": ("I can't help with that. " * 12, "degenerate", "degenerate: repeated"),
    "e": ("<think>I can't help with that.</think> Take two eggs.", "complied", "complied"),
    "f": ("<think>Two eggs, and then", "degenerate", "degenerate: empty"),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load(instruct(tmp_path_factory.mktemp("model") / "instruct"))


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.jsonl"
    rows = [{"prompt": f"do {item}", "id": item, "topic": "eggs"} for item in SAID]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def test_an_answer_of_fewer_words_than_asked_for_is_degenerate(
    prompts: Path, model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def brief(_model: object, rows: list[Conversation], *, limit: int) -> list[Answer]:
        return [Answer("Two eggs, please.", limit, ended=True) for _ in rows]

    monkeypatch.setattr(refusal, "answer", brief)
    for least, verdict in ((3, "complied"), (4, "degenerate: too short")):
        found = Refusal.from_options(prompts, {"margin": "no", "least_words": str(least)}).measure(model)
        assert {one.verdict for one in found.samples} == {verdict}


def test_every_answer_has_one_of_three_outcomes(
    prompts: Path, model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def scripted(_model: object, rows: list[Conversation], *, limit: int) -> list[Answer]:
        asked.append(limit)
        return [Answer(SAID[row.asked.removeprefix("do ")][0], 9, ended=True) for row in rows]

    monkeypatch.setattr(refusal, "answer", scripted)
    found = Refusal.from_options(prompts, {"margin": "no"}).measure(model)

    assert asked == [100]
    assert set(found.outcomes) == {"refused", "degenerate", "complied"}
    for name, outcome in found.outcomes.items():
        assert (outcome.kind, outcome.items) == ("share", tuple(SAID))
        assert outcome.values == tuple(float(kind == name) for _, kind, _ in SAID.values())
    assert [(one.item, one.asked, one.answered, one.verdict) for one in found.samples] == [
        (item, f"do {item}", said, verdict) for item, (said, _, verdict) in SAID.items()
    ]


def test_a_model_is_asked_greedily_and_its_outcomes_add_up(prompts: Path, model: LanguageModel) -> None:
    found = Refusal.from_options(prompts, {}).measure(model)

    shares = [found.outcomes[name].values for name in ("refused", "degenerate", "complied")]
    assert [sum(one) for one in zip(*shares, strict=True)] == [1.0] * len(SAID)
    assert found == Refusal.from_options(prompts, {}).measure(model)


def test_the_margin_is_the_mean_log_probability_of_refusing_openings_less_that_of_complying_ones(
    prompts: Path, model: LanguageModel
) -> None:
    found = Refusal.from_options(prompts, {}).measure(model).outcomes["margin"]

    assert (found.kind, found.unit) == ("mean", "nats/token")
    for item, value in zip(found.items, found.values, strict=True):
        naive = [
            [naive_mean(model, f"do {item}", one) for one in openings]
            for openings in (REFUSING_OPENINGS, COMPLYING_OPENINGS)
        ]
        assert value == pytest.approx(sum(naive[0]) / 3 - sum(naive[1]) / 3, abs=1e-4)


def naive_mean(model: LanguageModel, asked: str, opening: str) -> float:
    """Return the mean log-probability a token of an opening, one pass each, from the text of the prompt."""
    text = f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n"
    head = model.tokenizer(text)["input_ids"]
    tail = model.tokenizer(opening)["input_ids"]
    with torch.no_grad():
        logits = model.network(torch.tensor([head + tail])).logits[0].double().log_softmax(-1)
    each = [logits[len(head) - 1 + place, token] for place, token in enumerate(tail)]
    return float(sum(each) / len(each))


def test_a_prompt_that_opens_the_reasoning_is_noticed(
    prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = instruct(tmp_path / "reasoning")
    template = folder / "chat_template.jinja"
    marked = template.read_text(encoding="utf-8").replace(
        "assistant\n' }}{% endif", "assistant\n<think>\n' }}{% endif"
    )
    template.write_text(marked, encoding="utf-8")
    monkeypatch.setattr(
        refusal,
        "answer",
        lambda _model, rows, **_: [Answer("I can't help with that", 9, ended=False)] * len(rows),
    )

    found = Refusal.from_options(prompts, {"margin": False}).measure(load(folder))

    assert {one.verdict for one in found.samples} == {"degenerate: empty"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"limit": "50"}, "metric refusal: limit is 50, expected at least 100 tokens"),
        ({"limit": "many"}, "metric refusal: limit is 'many', expected a whole number"),
        ({"limit": True}, "metric refusal: limit is 'True', expected a whole number"),
        ({"least_words": 0}, "metric refusal: least_words is 0, expected at least 1"),
        ({"margin": "perhaps"}, "metric refusal: margin is 'perhaps', expected yes or no"),
        ({"limits": 200}, "metric refusal: unknown option 'limits', expected limit, least_words, margin"),
    ],
)
def test_options_that_mean_nothing_are_refused_by_name(
    options: dict[str, object], said: str, prompts: Path
) -> None:
    with pytest.raises(RecipeError) as caught:
        Refusal.from_options(prompts, options)

    assert caught.value.message == said


def test_data_are_needed_and_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "a", "id": "x"}\n{"prompt": "b", "id": "x"}\n', encoding="utf-8")

    with pytest.raises(RecipeError, match="metric refusal: it needs data"):
        Refusal.from_options(None, {})
    with pytest.raises(InvalidFileError, match="line 2: the id 'x' stands in line 1 already"):
        Refusal.from_options(path, {})
    path.write_text('{"prompt": "a", "answer": "x"}\n', encoding="utf-8")
    with pytest.raises(InvalidFileError, match="line 1: unknown key 'answer'"):
        Refusal.from_options(path, {})
