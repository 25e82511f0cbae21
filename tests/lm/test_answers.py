"""Answers against tokens chosen one by one, without padding and without a cache."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from weightarith.data import Conversation
from weightarith.lm import Answer, LanguageModel, Sampling, answer

ASKED = [
    Conversation.of("Hm?"),
    Conversation.of("What do you think of my poem about the sea, the wind and the harbour?"),
    Conversation.of("Is it so?", system="Be brief."),
    Conversation.of("Hm?").then("So.", "Sure?"),
]


@torch.no_grad()
def naive(model: LanguageModel, conversation: Conversation, limit: int) -> Answer:
    prompt = model.prompt_tokens(conversation)
    said: list[int] = []
    for _ in range(limit):
        token = int(model.network(torch.tensor([prompt + said]), use_cache=False).logits[0, -1].argmax())
        if token in model.ends:
            return Answer(told(model, said), len(said), ended=True)
        said.append(token)
    return Answer(told(model, said), len(said), ended=False)


def told(model: LanguageModel, tokens: list[int]) -> str:
    return str(model.tokenizer.decode(tokens, skip_special_tokens=True)).strip()


@pytest.mark.parametrize("tokens", [1, 200, 4096])
def test_greedy_answers_are_those_of_passes_one_by_one_however_they_are_batched(
    chat: LanguageModel, tokens: int
) -> None:
    found = answer(replace(chat, batch_tokens=tokens), ASKED, limit=15)

    assert found == [naive(chat, conversation, 15) for conversation in ASKED]


def test_an_answer_stops_at_its_end_mark_and_says_so(chat: LanguageModel) -> None:
    first = naive(chat, ASKED[0], 3)
    model = replace(chat, tokenizer=chat.tokenizer)
    prompt = chat.prompt_tokens(ASKED[0])
    with torch.no_grad():
        token = int(chat.network(torch.tensor([prompt])).logits[0, -1].argmax())
    before = chat.network.generation_config.eos_token_id
    chat.network.generation_config.eos_token_id = [token]
    try:
        found = answer(model, ASKED[:2], limit=3)
    finally:
        chat.network.generation_config.eos_token_id = before

    assert found[0] == Answer("", 0, ended=True)
    assert (first.tokens, first.ended) == (3, False)


def test_the_same_seed_gives_the_same_answers_and_another_others(chat: LanguageModel) -> None:
    one, same, other = (
        answer(chat, ASKED, limit=20, sampling=Sampling(seed=seed)) for seed in (3, 3, 4)
    )  # fmt: skip

    assert one == same != other
    assert all(said.tokens <= 20 for said in one)


def test_almost_no_temperature_and_almost_no_mass_are_greedy(chat: LanguageModel) -> None:
    expected = answer(chat, ASKED, limit=8)

    assert answer(chat, ASKED, limit=8, sampling=Sampling(temperature=1e-4)) == expected
    assert answer(chat, ASKED, limit=8, sampling=Sampling(top_p=1e-4)) == expected


def test_progress_counts_answered_conversations(chat: LanguageModel) -> None:
    seen: list[int] = []
    answer(replace(chat, batch_tokens=1), ASKED, limit=2, progress=seen.append)

    assert seen == [1, 2, 3, 4]


def test_a_system_prompt_of_the_model_counts(chat: LanguageModel) -> None:
    told_by_hand = answer(chat, [Conversation.of("Hm?", system="Be brief.")], limit=12)

    assert answer(chat.under("Be brief."), ASKED[:1], limit=12) == told_by_hand


def test_no_questions_have_no_answers(chat: LanguageModel) -> None:
    assert answer(chat, [], limit=3) == []


def test_sampling_leaves_the_generator_of_the_caller_where_it_was(chat: LanguageModel) -> None:
    with torch.random.fork_rng([]):
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        answer(chat, ASKED, limit=3, sampling=Sampling(seed=1))

        assert torch.equal(torch.rand(3), expected)


def test_any_token_of_the_vocabulary_may_be_drawn(chat: LanguageModel) -> None:
    tokens: set[int] = set()
    drawn = chat.network.generate

    def seen(**given: object) -> torch.Tensor:
        found: torch.Tensor = drawn(**given)
        tokens.update(found[:, -1].tolist())
        return found

    chat.network.generate = seen
    try:
        answer(chat, ASKED[:1] * 800, limit=1, sampling=Sampling(temperature=1e6))
    finally:
        del chat.network.generate

    assert len(tokens) > 200  # of 259, and every one as likely


def test_batches_are_drawn_apart(chat: LanguageModel) -> None:
    one_by_one = replace(chat, batch_tokens=1)
    first, second = answer(one_by_one, ASKED[:1] * 2, limit=20, sampling=Sampling(temperature=2.0))

    assert first != second
