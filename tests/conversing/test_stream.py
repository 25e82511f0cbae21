"""Answers token by token, against a loop that keeps nothing from step to step."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
import torch

from weightarith.data import Conversation
from weightarith.errors import IncompatibleError
from weightarith.lm import LanguageModel, answer
from weightarith.lm.stream import stream

HELLO = Conversation.of("hello")


def naive(model: LanguageModel, conversation: Conversation, limit: int) -> str:
    """The likeliest token of the whole text so far, again and again."""
    tokens = model.prompt_tokens(conversation)
    said: list[int] = []
    while len(said) < limit:
        with torch.no_grad():
            token = int(model.network(torch.tensor([tokens + said])).logits[0, -1].argmax())
        if token in model.ends:
            break
        said.append(token)
    return str(model.tokenizer.decode(said, skip_special_tokens=True)).strip()


@pytest.mark.parametrize("asked", ["hello", "why?", "3 + 4"])
def test_a_greedy_answer_is_the_likeliest_token_again_and_again(model: LanguageModel, asked: str) -> None:
    conversation = Conversation.of(asked, system="be brief")

    last = list(stream(model, conversation, limit=20))[-1]

    assert last.text == naive(model, conversation, 20)
    assert last.text == answer(model, [conversation], limit=20)[0].text


def test_what_was_heard_grows_and_ends_at_the_limit(model: LanguageModel) -> None:
    heard = list(stream(model, HELLO, limit=15))

    assert [one.tokens for one in heard] == list(range(1, 16))
    assert all(later.text.startswith(one.text) for one, later in pairwise(heard))
    assert not any(one.ended for one in heard)


def test_an_end_mark_ends_it_and_is_not_heard(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    heads = model.prompt_tokens(HELLO)
    made = model.network.generate(
        torch.tensor([heads]), max_new_tokens=30, do_sample=False, pad_token_id=0
    )[0, len(heads) :].tolist()  # fmt: skip
    place = max(made.index(token) for token in made)  # the last of those that come for the first time
    text = list(stream(model, HELLO, limit=place))[-1].text
    monkeypatch.setattr(type(model), "ends", frozenset({made[place]}))

    heard = list(stream(model, HELLO, limit=30))

    assert [one.ended for one in heard] == [False] * place + [True]
    assert (heard[-1].text, heard[-1].tokens) == (text, place)


def test_tokens_are_drawn_as_often_as_the_softmax_has_it(model: LanguageModel) -> None:
    with torch.no_grad():
        logits = model.network(torch.tensor([model.prompt_tokens(HELLO)])).logits[0, -1]
    chances = (logits / 1.5).softmax(dim=-1)
    draws = 1500
    seen = Counter(
        next(iter(stream(model, HELLO, limit=1, temperature=1.5, seed=seed))).text for seed in range(draws)
    )

    for token in chances.topk(5).indices.tolist():
        text = model.tokenizer.decode([token], skip_special_tokens=True).strip()
        if len(text) != 1 or text == "\ufffd":  # tokens that are no character by themselves look alike
            continue
        expected = float(chances[token])
        spread = (expected * (1 - expected) / draws) ** 0.5
        assert abs(seen[text] / draws - expected) < 4 * spread


def test_one_seed_gives_one_answer_and_another_another(model: LanguageModel) -> None:
    said = [list(stream(model, HELLO, limit=12, temperature=2.0, seed=seed))[-1].text for seed in (1, 1, 2)]

    assert said[0] == said[1] != said[2]


def test_half_a_character_is_held_back_until_the_rest_is_there(model: LanguageModel) -> None:
    heard = list(stream(model, HELLO, limit=40))

    assert not any(one.text.endswith("\ufffd") for one in heard[:-1])


def test_a_conversation_that_is_too_long_is_refused_with_its_length(model: LanguageModel) -> None:
    with pytest.raises(IncompatibleError, match=r"has 1,\d\d\d tokens .* may have 50, .* takes 1,024 in all"):
        stream(model, Conversation.of("x" * 1000), limit=50)
