"""The decoder blocks of a network of transformers, whatever its modules are called."""

from __future__ import annotations

from typing import Any

from torch import nn

from weightarith.errors import UnsupportedError


def blocks(network: Any) -> tuple[nn.Module, ...]:
    """Return the decoder blocks of a causal language model, first to last.

    They are the outermost list of as many modules as the config says there are layers of text.

    Raises:
        UnsupportedError: there is no such list.
    """
    count = network.config.get_text_config(decoder=True).num_hidden_layers
    for module in network.get_decoder().modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return tuple(module)
    raise UnsupportedError(
        f"no list of {count} decoder blocks is found in {type(network).__name__}",
        hint="activations can be steered in decoder-only models of transformers; weights in any",
    )
