"""A small network with every kind of weight, vectors on it, and what steering must leave behind: nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tests import tiny
from weightarith.algebra import Vector

KIND = {"weightarith.kind": "vector"}


class Small(nn.Module):
    """Linear modules with and without a bias, and all that is no linear module; `head` shares `embed`."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.plain = nn.Linear(6, 8, bias=False)
        self.biased = nn.Linear(8, 6)
        self.norm = nn.LayerNorm(6)
        self.conv = nn.Conv1d(6, 6, 3, padding=1)
        self.stacked = nn.Parameter(torch.randn(2, 6, 6) / 3)
        self.gain = nn.Parameter(torch.tensor(1.5))
        self.register_buffer("shift", torch.randn(6))
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids: torch.Tensor) -> Any:
        x = self.embed(ids)  # (rows, tokens, 6)
        x = self.norm(x + self.biased(torch.tanh(self.plain(x)))) + self.shift
        x = self.gain * self.conv(x.transpose(1, 2)).transpose(1, 2)
        return self.head(x @ self.stacked[0] + torch.sin(x @ self.stacked[1]))


def small(dtype: torch.dtype = torch.float64) -> Small:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Small().to(dtype).eval()


IDS = torch.tensor([[1, 5, 3, 10], [2, 2, 7, 0]])


def write(path: Path, tensors: Mapping[str, Any], dtype: str = "F64") -> Vector:
    """Write a vector file: arrays, and pairs of factors (left, right)."""
    stored: dict[str, tiny.Array] = {}
    for name, values in tensors.items():
        if isinstance(values, tuple):
            stored |= {f"{name}::B": np.asarray(values[0]), f"{name}::A": np.asarray(values[1])}
        else:
            stored[name] = np.asarray(values)
    tiny.save(path, stored, dtype=dtype, metadata=KIND)
    return Vector.open(path)


def everything(path: Path, seed: int = 0) -> tuple[Vector, dict[str, torch.Tensor]]:
    """Return a vector on every tensor of `Small` and a bias that it lacks, and the same in full, by name."""
    random = np.random.default_rng(seed)
    full: dict[str, Any] = {
        name: 0.1 * random.standard_normal(tuple(tensor.shape))
        for name, tensor in small().state_dict().items()
    }
    del full["head.weight"]
    full["plain.bias"] = 0.1 * random.standard_normal(8)
    pair = (0.1 * random.standard_normal((8, 2)), random.standard_normal((2, 6)))
    words = (0.1 * random.standard_normal((11, 3)), random.standard_normal((3, 6)))
    stored = {**full, "plain.weight": pair, "embed.weight": words}
    full |= {"plain.weight": pair[0] @ pair[1], "embed.weight": words[0] @ words[1]}
    return write(path, stored), {name: torch.tensor(values) for name, values in full.items()}


def merged(changes: Mapping[str, torch.Tensor], strength: float) -> Small:
    """Return the network with weights rewritten, one by one."""
    network = small()
    network.plain.bias = nn.Parameter(torch.zeros(8, dtype=torch.float64))
    with torch.no_grad():
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            tensor.add_(changes[name], alpha=strength)
    return network


@contextmanager
def left_as_it_was(network: nn.Module) -> Iterator[None]:
    """Check that the block leaves every object, bit, hook and attribute of a network."""
    before = _state(network)
    bits = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    yield
    assert _state(network) == before
    assert list(network.state_dict()) == list(bits)
    assert all(torch.equal(tensor, bits[name]) for name, tensor in network.state_dict().items())


def _state(network: nn.Module) -> list[Any]:
    found: list[Any] = []
    for name, module in network.named_modules():
        found.append((name, id(module), len(module._forward_hooks), sorted(vars(module))))
        for holder in (module._parameters, module._buffers):
            found += [(part, id(tensor), vars(tensor) if tensor is not None else None)
                      for part, tensor in holder.items()]  # fmt: skip
    return found
