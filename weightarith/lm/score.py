"""How likely a model finds given answers: a prompt goes through it once, however many answers it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch.nn.functional import log_softmax

from weightarith.data import Conversation
from weightarith.lm.batches import batches, last_column, padded
from weightarith.lm.model import LanguageModel
from weightarith.lm.span import whole_response

Found = TypeVar("Found")


@dataclass(frozen=True)
class Score:
    """The log-probability of an answer, its end mark included."""

    total: float  # nats
    tokens: int

    @property
    def mean(self) -> float:
        """Nats a token."""
        return self.total / self.tokens


def score(
    model: LanguageModel, asked: Sequence[tuple[Conversation, Sequence[str]]]
) -> list[tuple[Score, ...]]:
    """Return, for each conversation, the score of each of its answers; how they are batched is no matter.

    Numbers of half precision differ in the last digits between batches of other rows.
    """

    def look(logits: torch.Tensor, tokens: torch.Tensor) -> Score:
        each = log_softmax(logits.float(), dim=-1).gather(1, tokens[:, None])[:, 0]  # (tokens,)
        return Score(float(each.sum()), len(each))

    return look_at_answers(model, asked, look)


def look_at_answers(
    model: LanguageModel,
    asked: Sequence[tuple[Conversation, Sequence[str]]],
    look: Callable[[torch.Tensor, torch.Tensor], Found],
) -> list[tuple[Found, ...]]:
    """Return what `look` finds in each answer of each conversation.

    Args:
        model: the model.
        asked: conversations, each with its answers.
        look: given the logits before each token of an answer, (tokens, vocabulary), and the tokens.
    """
    heads = [model.prompt_tokens(conversation) for conversation, _ in asked]
    tails = [[model.answer_tokens(one, answer) for answer in answers] for one, answers in asked]
    return look_at_tokens(model, heads, tails, look)


@torch.inference_mode()
def look_at_tokens(
    model: LanguageModel,
    heads: Sequence[list[int]],
    tails: Sequence[Sequence[list[int]]],
    look: Callable[[torch.Tensor, torch.Tensor], Found],
) -> list[tuple[Found, ...]]:
    """Return what `look` finds in each answer of each prompt, both given as tokens; see `look_at_answers`."""
    widths = [
        max(1, len(own)) * (len(head) + max(map(len, own), default=0))
        for head, own in zip(heads, tails, strict=True)
    ]
    found: list[tuple[Found, ...]] = [()] * len(heads)
    for rows in batches(widths, model.batch_tokens):
        told = _told(model, [heads[row] for row in rows], [tails[row] for row in rows], look)
        for row, seen in zip(rows, told, strict=True):
            found[row] = seen
    return found


def _told(
    model: LanguageModel,
    heads: Sequence[list[int]],
    tails: Sequence[Sequence[list[int]]],
    look: Callable[[torch.Tensor, torch.Tensor], Found],
) -> list[tuple[Found, ...]]:
    fill = model.tokenizer.pad_token_id
    prompts = padded(heads, fill, model.device, left=True)
    seen = model.network(
        input_ids=prompts.ids, attention_mask=prompts.mask, position_ids=prompts.positions,
        use_cache=True, logits_to_keep=last_column(model.device),
    )  # fmt: skip
    owners = [row for row, own in enumerate(tails) for _ in own]
    answers = [tail for own in tails for tail in own]
    rest = _continued(model, seen.past_key_values, prompts.mask, owners, answers)
    found = []
    for place, (owner, tail) in enumerate(zip(owners, answers, strict=True)):
        logits = seen.logits[owner, -1:]  # (1, vocabulary)
        if rest is not None:
            logits = torch.cat([logits, rest[place, : len(tail) - 1]])  # (tokens, vocabulary)
        found.append(look(logits, torch.tensor(tail, device=model.device)))
    counts = iter(found)
    return [tuple(next(counts) for _ in own) for own in tails]


def _continued(
    model: LanguageModel, cache: Any, mask: torch.Tensor, owners: list[int], answers: list[list[int]]
) -> torch.Tensor | None:
    """Return the logits behind every token of the answers but the last, None where none has two tokens."""
    inputs = [tail[:-1] for tail in answers]
    if not any(inputs):
        return None
    tails = padded(inputs, model.tokenizer.pad_token_id, model.device, left=False)
    chosen = torch.tensor(owners, device=model.device)
    cache.batch_select_indices(chosen)
    before = mask[chosen]  # (answers, prompt)
    places = before.sum(dim=1, keepdim=True) + torch.arange(tails.ids.shape[1], device=model.device)
    with whole_response():
        logits: torch.Tensor = model.network(
            input_ids=tails.ids, attention_mask=torch.cat([before, tails.mask], dim=1), position_ids=places,
            past_key_values=cache, use_cache=True,
        ).logits  # fmt: skip
    return logits  # (answers, tokens, vocabulary)
