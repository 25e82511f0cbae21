"""An answer as it is said: token by token, so that two can be listened to by turns.

Tokens are drawn by the Gumbel-max trick: noise of the Gumbel distribution is added to the log-probabilities,
and the largest sum wins, which draws from the softmax (Maddison, Tarlow and Minka, 2014, section 2,
https://arxiv.org/abs/1411.0030). The noise comes from the seed alone, so that two models of one vocabulary
that are asked with one seed say the same where they think the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from weightarith.data import Conversation
from weightarith.errors import IncompatibleError
from weightarith.lm.model import LanguageModel

_CUT = "\ufffd"
"""What stands for a character whose last bytes are not there yet."""


@dataclass(frozen=True)
class Heard:
    """What was said so far."""

    text: str
    tokens: int  # without the end mark
    ended: bool  # whether the model ended its answer


def stream(
    model: LanguageModel, conversation: Conversation, *, limit: int, temperature: float = 0.0, seed: int = 0
) -> Iterator[Heard]:
    """Yield what was said so far after every token, the last time when the answer ended or is `limit` long.

    Every step is taken when it is asked for, with the model as it is then. At temperature 0 the likeliest
    token is taken.

    Raises:
        IncompatibleError: the conversation and an answer of that length are longer than the model's context.
    """
    prompt = model.prompt_tokens(conversation)
    most = getattr(model.network.config, "max_position_embeddings", None)
    if most is not None and len(prompt) + limit > most:
        raise IncompatibleError(
            f"the conversation has {len(prompt):,} tokens and the answer may have {limit:,}, "
            f"and {model.label} takes {most:,} in all",
            hint="begin anew, or ask for a shorter answer",
        )
    return _steps(model, prompt, limit, temperature, seed)


def _steps(
    model: LanguageModel, prompt: list[int], limit: int, temperature: float, seed: int
) -> Iterator[Heard]:
    noise = torch.Generator().manual_seed(seed)
    said: list[int] = []
    cache: Any = None
    fed = prompt
    while len(said) < limit:
        with torch.inference_mode():
            ids = torch.tensor([fed], device=model.device)  # (1, tokens)
            seen = model.network(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache = seen.past_key_values
            token = _drawn(seen.logits[0, -1], temperature, noise)
        if token in model.ends:
            yield Heard(_text(model, said), len(said), ended=True)
            return
        said.append(token)
        fed = [token]
        text = _text(model, said)
        yield Heard(text if len(said) == limit else text.rstrip(_CUT), len(said), ended=False)


def _drawn(logits: torch.Tensor, temperature: float, noise: torch.Generator) -> int:
    """Return a token drawn by the logits before it, (vocabulary,)."""
    if temperature == 0:
        return int(logits.argmax())
    gumbel = -torch.empty(logits.shape).exponential_(generator=noise).log()  # (vocabulary,), on the CPU
    return int((logits.float() / temperature + gumbel.to(logits.device)).argmax())


def _text(model: LanguageModel, tokens: list[int]) -> str:
    return str(model.tokenizer.decode(tokens, skip_special_tokens=True)).strip()
