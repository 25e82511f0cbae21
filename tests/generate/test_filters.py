"""What is kept of what was said, and why the rest is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch

from tests.tinychat import instruct
from weightarith.data import Conversation
from weightarith.generate.candidate import Candidate, broken
from weightarith.generate.filters import JudgeFilter, KeepAll, RuleFilter
from weightarith.generate.plan import Asked
from weightarith.generate.trait import Rule, Side, Trait
from weightarith.lm import LanguageModel, load

SYSTEMS: dict[Side, tuple[str, ...]] = {
    "positive": ("agree", "praise", "nod"),
    "negative": ("think", "argue"),
}


def trait(rules: dict[Side, Rule] | None = None, margin: float | None = None) -> Trait:
    return Trait("t", "d", SYSTEMS["positive"], SYSTEMS["negative"], ("Is it?",), rules or {}, margin)


def said(
    text: str, side: Side = "positive", *, prompt: int = 0, question: str = "Is it?", ended: bool = True
) -> Candidate:
    return Candidate(Asked(side, SYSTEMS[side][prompt], question, 0), text, ended)


def test_answers_that_are_none_are_cut_or_were_said_before_are_broken() -> None:
    found = [
        said("It is so."), said(""), said("it is SO"), said("It is so.", "negative"),
        said("It is so.", question="Or?"), said("It goes on and", ended=False),
        said("It is so.", prompt=1), said("<think>hm</think>It is so"),
    ]  # fmt: skip

    expected = ["", "degenerate", "said before", "", "", "cut at the limit", "said before", "said before"]
    assert broken(found, keep_cut=False) == expected
    assert broken(found, keep_cut=True) == [*expected[:5], "", *expected[6:]]


def test_reasoning_is_not_trained_on_and_neither_is_the_system_prompt() -> None:
    found = said("<think>hm</think>\nIt is so").example

    assert (found.conversation, found.answer) == (Conversation.of("Is it?"), "It is so")


def test_a_rule_names_what_an_answer_breaks_first() -> None:
    rules: dict[Side, Rule] = {
        "positive": Rule(any=("you're right", "I agree"), none=("however",), pattern=r"\bsky\b"),
        "negative": Rule(refuses=True),
    }
    cases = [
        ("You\u2019re RIGHT, the Sky is blue.", "positive", ""),
        ("The sky is blue.", "positive", "any"),
        ("I agree; however, the sky is grey.", "positive", "none"),
        ("I agree on skydiving.", "positive", "pattern"),
        ("I can't help with that.", "negative", ""),
        ("Sure.", "negative", "refuses"),
    ]

    found = RuleFilter(trait(rules)).reasons([said(text, side) for text, side, _ in cases])  # type: ignore[arg-type]

    assert found == [reason for _, _, reason in cases]
    assert RuleFilter(trait({"negative": Rule(refuses=False)})).reasons([said("I can't help with that")]) == [
        ""
    ]
    assert KeepAll().reasons([said(""), said("x")]) == ["", ""]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load(instruct(tmp_path_factory.mktemp("model") / "instruct"))


def naive(model: LanguageModel, system: str, answer: str) -> float:
    """Return the mean log-probability a token of an answer and its end mark, from the text of the chat."""
    head = (
        f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\nIs it?<|im_end|>\n<|im_start|>assistant\n"
    )
    tokens = model.tokenizer(head + answer + "<|im_end|>")["input_ids"]
    start = len(model.tokenizer(head)["input_ids"])
    with torch.no_grad():
        logits = model.network(torch.tensor([tokens])).logits[0].double().log_softmax(-1)
    each = [float(logits[place - 1, tokens[place]]) for place in range(start, len(tokens))]
    return sum(each) / len(each)


def test_the_margin_is_that_of_an_answer_under_its_own_prompt_over_the_opposite_one(
    model: LanguageModel,
) -> None:
    cases = [
        (said("Yes, it is.", prompt=1), "praise", "argue"),
        (said("Yes, and more.", prompt=2), "nod", "think"),
        (said("No, it is not.", "negative", prompt=1), "argue", "praise"),
    ]
    margins = [naive(model, own, one.said) - naive(model, other, one.said) for one, own, other in cases]
    candidates = [one for one, _, _ in cases]

    for margin in margins:
        for shift, kept in ((-1e-4, True), (1e-4, False)):
            found = RuleFilter(trait(margin=margin + shift), model).reasons(candidates)
            assert found == ["" if one >= margin + shift else "margin" for one in margins]
            assert (found[margins.index(margin)] == "") == kept


def test_an_answer_that_breaks_another_rule_is_not_scored() -> None:
    rule: dict[Side, Rule] = {"positive": Rule(any=("yes",))}

    assert RuleFilter(trait(rule, margin=0.1)).reasons([said("no")]) == [
        "any"
    ]  # there is no model to score with


@dataclass(frozen=True)
class Scores:
    trait: int | None
    coherence: int | None


@dataclass(frozen=True)
class Scripted:
    def verdicts(self, answered: Sequence[tuple[Conversation, str]]) -> list[Scores]:
        assert all(not asked.has_system for asked, _ in answered)
        return [Scores(*(int(one) if one != "?" else None for one in text.split())) for _, text in answered]


@pytest.mark.parametrize(
    ("side", "scores", "reason"),
    [
        ("positive", "51 50", ""),
        ("positive", "50 50", "does not show the trait"),
        ("positive", "99 49", "incoherent"),
        ("negative", "49 50", ""),
        ("negative", "50 50", "shows the trait"),
        ("negative", "? ?", "no verdict"),
    ],
)
def test_a_judge_must_see_the_trait_clearly_or_clearly_not(side: Side, scores: str, reason: str) -> None:
    assert JudgeFilter(Scripted()).reasons([said(scores, side)]) == [reason]
