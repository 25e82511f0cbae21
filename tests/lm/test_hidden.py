"""Means of the residual stream over answers, against blocks run by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from weightarith.data import Conversation, Example
from weightarith.errors import RecipeError
from weightarith.lm import LanguageModel
from weightarith.lm.hidden import response_means

LONG = "What do you think of my poem about the sea, the wind and the harbour?"
EXAMPLES = [
    Example(Conversation.of("Hm?"), "Yes, always."),
    Example(Conversation.of(LONG), "A"),
    Example(Conversation.of("Is it so?", system="Be brief."), "It is not, ✓."),
]


@torch.no_grad()
def naive(model: LanguageModel, example: Example) -> torch.Tensor:
    """Return the means of the embedding and of what the two blocks put out, (3, width)."""
    prompt = model.prompt_tokens(example.conversation)
    own = model.tokenizer(example.answer, add_special_tokens=False)["input_ids"]
    network, places = model.network.model, torch.arange(len(prompt) + len(own))[None]
    embedded = network.embed_tokens(torch.tensor([prompt + own]))
    turned = network.rotary_emb(embedded, position_ids=places)
    states = [embedded]
    for block in network.layers:
        states.append(block(states[-1], position_ids=places, position_embeddings=turned, attention_mask=None))
    return torch.stack([state[0, len(prompt) :].mean(dim=0) for state in states])


@pytest.mark.parametrize("tokens", [1, 100, 4096])
def test_means_are_over_the_answers_own_tokens_however_examples_are_batched(
    chat: LanguageModel, tokens: int
) -> None:
    found = response_means(replace(chat, batch_tokens=tokens), EXAMPLES)

    assert found.shape == (3, 3, 32)
    assert found.dtype == torch.float32
    for row, example in zip(found, EXAMPLES, strict=True):
        assert torch.allclose(row, naive(chat, example), atol=1e-5)


def test_an_answer_without_tokens_is_named(chat: LanguageModel) -> None:
    with pytest.raises(RecipeError, match="the answer to 'Hm\\?' has no tokens to look at"):
        response_means(chat, [Example(Conversation.of("Hm?"), "")])
