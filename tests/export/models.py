"""Tiny models of several families with random weights, and random low-rank changes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from weightarith.adapter.portable import Base
from weightarith.export import Pair


def llama(*, tied: bool = False) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=tied,
        )
    )  # fmt: skip


def gpt2() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=40, n_embd=16, n_layer=2, n_head=4, n_positions=64, bos_token_id=0, eos_token_id=1
        )
    )


def neox() -> Any:
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    return GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
            max_position_embeddings=64,
        )
    )  # fmt: skip


FAMILIES: dict[str, Callable[[], Any]] = {"llama": llama, "gpt2": gpt2, "gpt_neox": neox}


def seeded(make: Callable[[], Any]) -> Any:
    """Return the model that `make` makes, always the same, in evaluation mode."""
    import torch

    torch.manual_seed(0)
    return make().eval()


def base_of(model: Any, name: str = "org/base", revision: str = "") -> Base:
    """Return what there is to know of a model: its shapes, its config and a name."""
    shapes = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    config = {**model.config.to_dict(), "architectures": [type(model).__name__]}
    return Base(shapes, config, name, revision)


def pairs(base: Base, ranks: Iterable[int] = (1, 2, 3), seed: int = 0, size: float = 0.3) -> dict[str, Pair]:
    """Return a random change of every linear module, ranks in turn."""
    random = np.random.default_rng(seed)
    names = [name for name in base.shapes if not base.obstacle(name)]
    cycle = list(ranks)
    found = {}
    for index, name in enumerate(names):
        rows, columns = base.shapes[name]
        rank = cycle[index % len(cycle)]
        found[name] = Pair(
            size * random.standard_normal((rows, rank)), size * random.standard_normal((rank, columns))
        )
    return found


def logits(model: Any) -> np.ndarray[Any, Any]:
    """Return the logits of a few fixed tokens, in float64."""
    import torch

    with torch.no_grad():
        found: np.ndarray[Any, Any] = model(torch.arange(12).reshape(2, 6)).logits.double().numpy()
    return found


def moved(model: Any, changes: dict[str, Pair]) -> Any:
    """Return `model` with every change added to its weights, formed as a whole in float64."""
    import torch

    with torch.no_grad():
        for name, pair in changes.items():
            parameter = model.get_parameter(name)
            parameter.add_(torch.from_numpy(pair.left @ pair.right).to(parameter.dtype))
    return model
