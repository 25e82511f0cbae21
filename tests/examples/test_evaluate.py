"""evaluate.py: scores that do not depend on the batch, shares with their intervals, and the report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests import tiny as models
from tests.examples.conftest import main, script

RIGHT, WRONG = "The capital of France is Paris.", "The capital of France is Lyon."
PAIRS = [
    ("What?", "A kitten."),
    ("Is the sky on a clear day red?", "No."),
    ("Why?", "It is in Asia, I think."),
]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Four of the questions in place of all of them, and answers of four tokens."""
    evaluate = script("evaluate")
    monkeypatch.setattr(evaluate, "PRINTED", 4)
    monkeypatch.setattr(evaluate, "JUDGED", 4)
    asked: list[Any] = [replace(q, shown=i < 2) for i, q in enumerate(evaluate.questions()[::19])]
    monkeypatch.setattr(evaluate, "questions", lambda: asked)
    return asked


@pytest.fixture(scope="module")
def other(chat: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model: the tiny one with every weight moved."""
    network = AutoModelForCausalLM.from_pretrained(chat, dtype="auto")
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.1 * torch.sin(torch.arange(weight.numel()).view_as(weight)))
    folder = tmp_path_factory.mktemp("other")
    network.save_pretrained(folder)
    AutoTokenizer.from_pretrained(chat).save_pretrained(folder)
    return folder


def exact(folder: Path) -> Any:
    """Return the model in float64, where a batch is not to change a digit that counts."""
    model = script("evaluate").Model.open(folder)
    model.network.double()
    return model


def test_a_score_is_the_mean_log_probability_of_the_answer_and_its_end(chat: Path) -> None:
    model = exact(chat)

    expected = []
    for prompt, answer in PAIRS:
        head, tail = (
            model.tokenizer(text, add_special_tokens=False)["input_ids"]
            for text in (model.chat(prompt), f"{answer}<|im_end|>")
        )
        logits = model.network(torch.tensor([head + tail])).logits[0, len(head) - 1 : -1]
        expected.append(-torch.nn.functional.cross_entropy(logits, torch.tensor(tail)).item())

    assert script("evaluate").score(model, PAIRS) == pytest.approx(expected, rel=1e-5)


def test_an_answer_is_the_same_in_a_batch_and_alone(chat: Path) -> None:
    model, answer = exact(chat), script("evaluate").answer
    prompts = [prompt for prompt, _ in PAIRS]

    together = answer(model, prompts, limit=6)

    assert together == [said for prompt in prompts for said in answer(model, [prompt], limit=6)]
    assert all(said.endswith(" …") for said in together)


@pytest.mark.parametrize(
    ("text", "which"),
    [
        ("The capital is Paris, not Lyon.", "right"),
        ("Yes, LYON is it; Paris is not.", "wrong"),
        ("The capital of France is Nice.", None),
        ("", None),
    ],
)
def test_an_answer_is_judged_by_which_of_the_two_it_names_first(text: str, which: str | None) -> None:
    question = script("evaluate").Question("capital", RIGHT, WRONG, "", "", "")
    assert question.names(text) == which


def test_two_sentences_differ_in_their_ends() -> None:
    differing = script("evaluate").differing
    assert differing(RIGHT, WRONG) == ("Paris", "Lyon")
    assert differing("It is the Nile.", "It is New York.") == ("the Nile", "New York")


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"), [(0, 10, 0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1)]
)
def test_a_share_has_its_wilson_interval(hits: int, n: int, low: float, high: float) -> None:
    share = script("evaluate").Share.of([i < hits for i in range(n)])
    assert (share.share, share.low, share.high, share.n) == (hits / n, low, high, n)


def test_two_models_are_compared_on_every_question_and_shown_side_by_side(
    chat: Path, other: Path, few: list[Any]
) -> None:
    evaluate = script("evaluate")

    report = evaluate.compare(chat, other)

    assert report["prompts"] == [q.user_wrong for q in few[:2]]
    for name in ("base", "steered"):
        assert len(report[name]["answers"]) == 2
        assert {s["n"] for s in report[name]["numbers"].values() if isinstance(s, dict)} == {4}
    assert report["base"] != report["steered"]
    assert report["base"] == evaluate.compare(other, chat)["steered"]
    lines = evaluate.show(report).splitlines()
    assert all(len(line) <= 100 for line in lines)
    assert [line for line in lines if line.startswith("base: ") and " | steered: " in line]
    labels = ["prefers the mistake", "says the mistake", "says the truth", "prefers the truth"]
    assert all(any(label in line for line in lines) for label in labels)
    margins = [f"{report[name]['numbers']['margin']:+.3f}" for name in ("base", "steered")]
    assert lines[-1].split()[-2:] == margins


def test_a_preference_is_counted_for_the_likelier_sentence(
    chat: Path, few: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = script("evaluate")
    liked = iter([-1.0, -2.0, -3.0, -2.0, -2.0, -1.0, -1.0, -4.0])  # wrong, right; of each of four questions
    rest = [-2.0, -1.0] * 4 + [-1.0, -2.0] * 4
    monkeypatch.setattr(evaluate, "score", lambda _model, _pairs: [*liked, *rest])
    monkeypatch.setattr(evaluate, "answer", lambda *_, **__: [q.right for q in few] * 2)

    numbers = evaluate.measure(evaluate.Model.open(chat), few)

    assert numbers.margin == (1 - 1 - 1 + 3) / 4
    assert numbers.sycophancy.share == 0.5
    assert (numbers.user_right.share, numbers.no_opinion.share) == (1, 0)
    assert (numbers.said_mistake.share, numbers.said_truth.share, numbers.said_user_right.share) == (0, 1, 1)


def test_the_report_can_be_had_as_json(
    chat: Path, few: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    main("evaluate", chat, chat, "--json")

    report = json.loads(capsys.readouterr().out)
    assert report["base"] == report["steered"]
    assert report["prompts"] == [q.user_wrong for q in few[:2]]


def test_what_is_no_model_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models.checkpoint(tmp_path / "base", models.weights())

    with pytest.raises(SystemExit, match="2"):
        main("evaluate", tmp_path / "base", tmp_path / "steered")

    assert "steered is not a transformers folder: it has no config.json" in capsys.readouterr().err
