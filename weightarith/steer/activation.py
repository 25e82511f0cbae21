"""Steering with activations: a vector added to the residual stream, from the last prompt token on.

The answer's first token is predicted at the last token of the prompt, so steering starts there; prompt tokens
before it are never touched. That holds for generation and for scoring: `lm.span` says where a pass stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from weightarith.errors import IncompatibleError, RecipeError
from weightarith.lm import LanguageModel
from weightarith.lm.blocks import blocks
from weightarith.lm.span import response_start, steering_response
from weightarith.steer.activations import ActivationVectors
from weightarith.steer.live import finite
from weightarith.steer.places import check_plain


class ActivationMethod:
    """The residual stream plus strength times an activation vector, at one layer or at all.

    At layer L it is a^L, added to what the L-th block puts out (`layers[L - 1]` in transformers). At all
    layers it is a^l − a^(l−1) at every l from 1 on. arXiv 2511.05408.

    Attributes:
        name: "activation, layer 12" or "activation, all layers".
        vectors: the directions.
        layer: from 1 to the number of blocks, or None for all.
        strengths: empty, since any strength will do.
    """

    strengths: tuple[float, ...] = ()

    def __init__(self, vectors: ActivationVectors, layer: int | None = None) -> None:
        if layer is not None and not 1 <= layer <= vectors.count:
            raise RecipeError(
                f"there is no layer {layer} to steer: {vectors.model} has layers 1 to {vectors.count}",
                hint="layer L is what the L-th block puts out"
                + (", and 0 the embedding" if layer == 0 else ""),
            )
        self.vectors, self.layer = vectors, layer
        self.name = "activation, all layers" if layer is None else f"activation, layer {layer}"

    @contextmanager
    def at(self, model: LanguageModel, strength: float) -> Iterator[LanguageModel]:
        """Give the model steered at a strength, any finite number; 0 adds nothing.

        Raises:
            IncompatibleError: the vectors are of another number of layers or another width.
            UnsupportedError: a compiled network, PEFT adapters, or no list of decoder blocks.
        """
        number = finite(strength)
        check_plain(model.network, model.label)
        found = blocks(model.network)
        self._check(model, len(found))
        with ExitStack() as undo:
            if number:
                undo.enter_context(steering_response())
            for block, vector in self._added(found) if number else ():
                handle = block.register_forward_hook(_adding(number * vector.to(model.device)))
                undo.callback(handle.remove)
            yield model

    def _added(self, found: tuple[nn.Module, ...]) -> list[tuple[nn.Module, torch.Tensor]]:
        if self.layer is not None:
            return [(found[self.layer - 1], self.vectors.layers[self.layer])]
        return list(zip(found, self.vectors.steps, strict=True))

    def _check(self, model: LanguageModel, count: int) -> None:
        width = model.network.config.get_text_config(decoder=True).hidden_size
        expected, given = (count + 1, width), tuple(self.vectors.layers.shape)
        if expected != given:
            raise IncompatibleError(
                f"activation vectors: expected {list(expected)} (layers + 1, width) as in {model.label}, "
                f"found {list(given)}, taken from {self.vectors.model}",
                hint="take them from this model",
            )


def _adding(vector: torch.Tensor) -> Callable[[nn.Module, Any, Any], Any]:
    """Return a hook that adds a float32 vector (width,) where the response is, rounded once."""

    def add(_block: nn.Module, _given: Any, output: Any) -> Any:
        hidden = output[0] if isinstance(output, tuple) else output  # (rows, tokens, width)
        start = response_start()
        tail = hidden[:, start:]
        moved = (tail.float() + vector.to(tail.device)).to(tail.dtype)
        hidden = torch.cat([hidden[:, :start], moved], dim=1)
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    return add
