"""Scores of answers against one pass over each whole conversation."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weightarith.data import Conversation
from weightarith.lm import LanguageModel, Score, score
from weightarith.lm.score import look_at_answers, look_at_tokens
from weightarith.lm.span import response_start, whole_response

Asked = list[tuple[Conversation, list[str]]]

LONG = "What do you think of my poem about the sea, the wind and the harbour?"
ASKED: Asked = [
    (Conversation.of("Hm?"), ["Yes", "No, by no means: never!"]),
    (Conversation.of(LONG), ["A"]),
    (Conversation.of("Is it so?", system="Be brief."), ["It is.", "It is not.", "✓"]),
    (Conversation.of("Nothing to answer"), []),
    (Conversation.of("Hm?").then("So.", "Sure?"), ["", "Yes"]),
]
TEXT = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), max_size=12)


@torch.no_grad()
def naive(model: LanguageModel, asked: Asked) -> list[list[tuple[float, int]]]:
    """Return nats and tokens of every answer, each from a pass of its own, without padding or cache."""
    found = []
    for conversation, answers in asked:
        row = []
        for text in answers:
            prompt, own = model.prompt_tokens(conversation), model.answer_tokens(conversation, text)
            logits = model.network(torch.tensor([prompt + own]), use_cache=False).logits[0].double()
            nats = 0.0
            for place, token in enumerate(own, len(prompt) - 1):
                nats += float(logits[place, token] - logits[place].logsumexp(0))
            row.append((nats, len(own)))
        found.append(row)
    return found


def agree(found: list[tuple[Score, ...]], expected: list[list[tuple[float, int]]]) -> bool:
    return all(
        one.total == pytest.approx(nats, rel=1e-5) and one.tokens == tokens
        for row, wanted in zip(found, expected, strict=True)
        for one, (nats, tokens) in zip(row, wanted, strict=True)
    )


@pytest.mark.parametrize("tokens", [1, 150, 300, 4096])
def test_scores_are_those_of_whole_passes_however_they_are_batched(chat: LanguageModel, tokens: int) -> None:
    assert agree(score(replace(chat, batch_tokens=tokens), ASKED), naive(chat, ASKED))


@settings(max_examples=25)
@given(
    asked=st.lists(st.tuples(TEXT.map(Conversation.of), st.lists(TEXT, max_size=3)), max_size=4),
    tokens=st.integers(1, 600),
)
def test_scores_of_any_texts_are_those_of_whole_passes(
    chat: LanguageModel, asked: Asked, tokens: int
) -> None:
    assert agree(score(replace(chat, batch_tokens=tokens), asked), naive(chat, asked))


def test_learned_positions_and_sliding_windows_score_as_whole_passes_do(chat: LanguageModel) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel, MistralConfig, MistralForCausalLM

    size = {"vocab_size": 259, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    networks = [
        GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=2, n_positions=256, **size)),
        MistralForCausalLM(
            MistralConfig(
                hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
                num_key_value_heads=1, sliding_window=9, initializer_range=0.2, **size,
            )
        ),
    ]  # fmt: skip
    for network in networks:
        model = replace(chat, network=network.eval())
        assert agree(score(model, ASKED), naive(model, ASKED))


def test_the_mean_is_in_nats_a_token() -> None:
    assert Score(-6.0, 4).mean == -1.5


def test_a_system_prompt_of_the_model_counts(chat: LanguageModel) -> None:
    asked: Asked = [(Conversation.of("Hm?"), ["Yes"])]
    told: Asked = [(Conversation.of("Hm?", system="Be brief."), ["Yes"])]

    assert score(chat.under("Be brief."), asked) == score(chat, told) != score(chat, asked)


def test_logits_are_looked_at_answer_by_answer_with_their_tokens(chat: LanguageModel) -> None:
    heads, tails = [[5, 6, 7], [8]], [[[9, 10], [11]], [[12, 13, 14]]]
    with torch.no_grad():
        expected = [
            [chat.network(torch.tensor([head + tail])).logits[0, len(head) - 1 : -1] for tail in own]
            for head, own in zip(heads, tails, strict=True)
        ]

    found = look_at_tokens(chat, heads, tails, lambda logits, tokens: (logits.clone(), tokens.tolist()))

    for row, wanted, own in zip(found, expected, tails, strict=True):
        assert [tokens for _, tokens in row] == own
        for (logits, _), other in zip(row, wanted, strict=True):
            assert torch.allclose(logits, other, atol=1e-4)


def test_the_response_begins_at_the_last_prompt_token_and_is_all_of_what_follows(chat: LanguageModel) -> None:
    seen: list[tuple[int, int]] = []

    def note(_module: object, given: tuple[torch.Tensor, ...], _output: object) -> None:
        seen.append((given[0].shape[1], response_start()))

    with chat.network.lm_head.register_forward_hook(note):
        look_at_answers(chat, ASKED[:1], lambda logits, _tokens: len(logits))

    own = [chat.answer_tokens(ASKED[0][0], text) for text in ASKED[0][1]]
    assert seen == [(1, -1), (max(map(len, own)) - 1, 0)]


def test_the_span_is_put_back_even_by_an_exception() -> None:
    seen = []

    def fail() -> None:
        with whole_response():
            seen.append(response_start())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert seen == [0]
    assert response_start() == -1


def test_no_questions_have_no_scores(chat: LanguageModel) -> None:
    assert score(chat, []) == []
