"""The residual stream: what each layer holds at the tokens of an answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from weightarith.data import Example
from weightarith.errors import RecipeError, quoted
from weightarith.lm.batches import batches, last_column, padded
from weightarith.lm.blocks import blocks
from weightarith.lm.model import LanguageModel


@torch.inference_mode()
def response_means(model: LanguageModel, examples: Sequence[Example]) -> torch.Tensor:
    """Return the residual stream's mean over each example's answer tokens, (examples, layers + 1, width).

    Layer 0 is the embedding, layer L what the L-th block puts out. In float32, on the CPU. The tokens are
    those of the answer itself: the mark that ends it is left out.

    Raises:
        RecipeError: an answer has no tokens.
        UnsupportedError: the network has no list of decoder blocks.
    """
    heads = [model.prompt_tokens(example.conversation) for example in examples]
    tails = [model.answer_tokens(example.conversation, example.answer)[:-1] for example in examples]
    for example, tail in zip(examples, tails, strict=True):
        if not tail:
            raise RecipeError(f"the answer to {quoted(example.conversation.asked)} has no tokens to look at")
    rows = [head + tail for head, tail in zip(heads, tails, strict=True)]
    found: list[torch.Tensor] = [torch.empty(0)] * len(rows)
    for batch in batches(list(map(len, rows)), model.batch_tokens):
        tokens = padded([rows[row] for row in batch], model.tokenizer.pad_token_id, model.device, left=True)
        with _last_block(model.network) as last:
            layers = model.network(
                input_ids=tokens.ids, attention_mask=tokens.mask, position_ids=tokens.positions,
                output_hidden_states=True, use_cache=False, logits_to_keep=last_column(model.device),
            ).hidden_states  # fmt: skip
        layers = (*layers[:-1], *last)
        for place, row in enumerate(batch):
            kept = torch.stack(
                [layer[place, -len(tails[row]) :] for layer in layers]
            )  # (layers, tokens, width)
            found[row] = kept.float().mean(dim=1).cpu()
    return torch.stack(found)


@contextmanager
def _last_block(network: Any) -> Iterator[list[torch.Tensor]]:
    """Keep what the last block puts out: transformers gives the state after the final norm in its place."""
    seen: list[torch.Tensor] = []

    def keep(_block: nn.Module, _given: Any, output: Any) -> None:
        seen[:] = [output[0] if isinstance(output, tuple) else output]

    handle = blocks(network)[-1].register_forward_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()
