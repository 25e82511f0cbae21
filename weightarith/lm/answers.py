"""What a model says when asked: greedily, or sampled with a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from weightarith.data import Conversation
from weightarith.lm.batches import batches, padded
from weightarith.lm.model import LanguageModel


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn; the same seed and the same questions give the same answers on one machine."""

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Answer:
    """What was said."""

    text: str
    tokens: int  # without the end mark
    ended: bool  # False where it was cut at the limit


def answer(
    model: LanguageModel,
    asked: Sequence[Conversation],
    *,
    limit: int,
    sampling: Sampling | None = None,
    progress: Callable[[int], None] = lambda _answered: None,
) -> list[Answer]:
    """Return an answer to each conversation, of at most `limit` tokens; greedy without `sampling`.

    `progress` is called with the number of conversations answered so far.
    """
    rows = [model.prompt_tokens(conversation) for conversation in asked]
    found = [Answer("", 0, ended=False)] * len(rows)
    done = 0
    for number, batch in enumerate(batches([len(row) + limit for row in rows], model.batch_tokens)):
        said = _said(model, [rows[row] for row in batch], limit, sampling, number)
        for row, one in zip(batch, said, strict=True):
            found[row] = one
        done += len(batch)
        progress(done)
    return found


@torch.inference_mode()
def _said(
    model: LanguageModel, rows: list[list[int]], limit: int, sampling: Sampling | None, number: int
) -> list[Answer]:
    prompts = padded(rows, model.tokenizer.pad_token_id, model.device, left=True)
    drawn: dict[str, object] = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    if sampling is not None:
        drawn = {
            "do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0,
        }  # fmt: skip
    with _seeded(model.device, None if sampling is None else sampling.seed + number):
        tokens = model.network.generate(
            input_ids=prompts.ids, attention_mask=prompts.mask, max_new_tokens=limit,
            pad_token_id=model.tokenizer.pad_token_id, eos_token_id=sorted(model.ends), **drawn,
        )  # fmt: skip
    return [_answer(model, row) for row in tokens[:, prompts.ids.shape[1] :].tolist()]


@contextmanager
def _seeded(device: torch.device, seed: int | None) -> Iterator[None]:
    """Draw from a seed inside, and leave torch's generators as they were: they belong to the caller."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng([] if device.type == "cpu" else [device], device_type=device.type):
        torch.manual_seed(seed)
        yield


def _answer(model: LanguageModel, tokens: list[int]) -> Answer:
    end = next((place for place, token in enumerate(tokens) if token in model.ends), None)
    kept = tokens[:end]
    text = model.tokenizer.decode(kept, skip_special_tokens=True).strip()
    return Answer(text, len(kept), ended=end is not None)
