"""The divergence from a base, against its definition token by token."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluate import naive
from tests.evaluate.conftest import Writer
from weightarith.errors import IncompatibleError, RecipeError
from weightarith.evaluate import divergence, estimate
from weightarith.evaluate.divergence import Divergence, Kept, greedy
from weightarith.lm import LanguageModel

QUESTIONS = ["Why is the sky blue?", "What is two and two?", "Name a bird.", "Where is the library?"]
LIMIT = 6


@pytest.fixture
def metric(lines: Writer) -> Divergence:
    return Divergence.from_options(lines([{"prompt": one} for one in QUESTIONS]), {"limit": str(LIMIT)})


def defined(base: LanguageModel, model: LanguageModel, question: str, before: str = "") -> list[float]:
    """Return Σ p ln(p/q) at each token of the base's greedy answer."""
    said = naive.greedy(base, naive.asked(question), LIMIT)
    head, other = (
        naive.tokens(base, naive.asked(question)),
        naive.tokens(model, before + naive.asked(question)),
    )
    p = naive.log_probabilities(base, head + said)[len(head) - 1 : -1]
    q = naive.log_probabilities(model, other + said)[len(other) - 1 : -1]
    return [float((one.exp() * (one - two)).sum()) for one, two in zip(p, q, strict=True)]


def test_it_is_the_definition_at_every_token_of_the_bases_answer(
    metric: Divergence, model: LanguageModel, other: LanguageModel
) -> None:
    found = metric.against(model).measure(other).outcomes

    each = [defined(model, other, question) for question in QUESTIONS]
    assert found["first"].values == pytest.approx([one[0] for one in each], rel=1e-3)
    assert found["response"].values == pytest.approx([sum(one) / len(one) for one in each], rel=1e-3)
    every = sorted(nats for one in each for nats in one)
    assert estimate(found["p95"]).value == pytest.approx(every[-(-95 * len(every) // 100) - 1], rel=1e-3)
    assert estimate(found["p99"]).value == pytest.approx(every[-1], rel=1e-3)
    assert min(every) > 0.01


def test_a_base_has_not_moved_from_itself(metric: Divergence, model: LanguageModel) -> None:
    found = metric.against(model).measure(model).outcomes

    assert all(0 <= (value or 0) < 1e-5 for outcome in found.values() for value in outcome.values)


def test_the_base_may_change_after_it_was_looked_at(metric: Divergence, model: LanguageModel) -> None:
    changed = replace(model, network=deepcopy(model.network))
    before = metric.against(changed)
    with torch.no_grad():
        for weight in changed.network.parameters():
            weight.mul_(1.5)

    one, two = before.measure(changed).outcomes, metric.against(model).measure(changed).outcomes

    assert one == two
    assert estimate(one["response"]).value > 0.01


def test_a_system_prompt_of_the_model_counts_as_a_way_to_move(
    metric: Divergence, model: LanguageModel
) -> None:
    found = metric.against(model).measure(model.under("Be rude.")).outcomes

    before = "<|im_start|>system\nBe rude.<|im_end|>\n"
    each = [defined(model, model, question, before) for question in QUESTIONS]
    assert found["response"].values == pytest.approx(
        [sum(one) / len(one) for one in each], rel=1e-2, abs=1e-5
    )


def test_answers_are_the_greedy_ones_whatever_goes_together(model: LanguageModel) -> None:
    heads = [naive.tokens(model, naive.asked(question)) for question in QUESTIONS]
    wanted = [naive.greedy(model, naive.asked(question), LIMIT) for question in QUESTIONS]

    assert greedy(model, heads, LIMIT) == wanted
    assert greedy(replace(model, batch_tokens=1), heads, LIMIT) == wanted


def test_an_answer_stops_behind_its_end_mark(model: LanguageModel) -> None:
    heads = [naive.tokens(model, naive.asked(question)) for question in QUESTIONS]
    first = greedy(model, heads, LIMIT)[0]
    config = deepcopy(model.network.generation_config)
    try:
        model.network.generation_config.eos_token_id = first[2]
        stopped = greedy(model, heads, LIMIT)[0]
    finally:
        model.network.generation_config = config

    assert stopped == first[: first.index(first[2]) + 1]


@given(st.integers(0, 100), st.floats(0.1, 30))
def test_what_float16_keeps_is_a_distribution_and_next_to_the_first(seed: int, scale: float) -> None:
    drawn = torch.Generator().manual_seed(seed)
    logits, other = (scale * torch.randn(3, 500, generator=drawn) for _ in range(2))
    p, q = (torch.log_softmax(one.double(), dim=-1) for one in (logits, other))

    kept = Kept.of(logits)

    assert kept.to(logits) == pytest.approx([0, 0, 0], abs=1e-4)
    wanted = (p.exp() * (p - q)).sum(dim=-1).tolist()
    assert kept.to(other) == pytest.approx(wanted, rel=5e-3, abs=1e-4)


def test_words_that_a_base_rules_out_have_no_share() -> None:
    ruled_out = torch.tensor([[0.0, -1e6, 0.0]])

    assert Kept.of(ruled_out).to(torch.zeros(1, 3)) == pytest.approx(
        [torch.log(torch.tensor(1.5)).item()], abs=1e-5
    )


def test_other_vocabularies_and_too_much_memory_are_refused(
    metric: Divergence, model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    larger = replace(model, network=deepcopy(model.network), label="larger")
    larger.network.resize_token_embeddings(300)

    with pytest.raises(IncompatibleError, match=r"'larger' predicts 300 words and .* 259, expected the same"):
        metric.against(model).measure(larger)
    monkeypatch.setattr(divergence, "MOST_BYTES", 1000)
    with pytest.raises(IncompatibleError, match="GiB of memory") as raised:
        metric.against(model)
    assert raised.value.hint == "ask fewer prompts, or lower limit"


def test_options_that_mean_nothing_are_refused(lines: Writer) -> None:
    with pytest.raises(RecipeError, match="limit is 0, expected at least 1"):
        Divergence.from_options(lines([{"prompt": "?"}]), {"limit": "0"})
