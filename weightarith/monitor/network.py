"""What is trained in a network in memory, factors or weights, by the names weights have in a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from weightarith.errors import UnsupportedError, quoted

_PREFIX = "base_model.model."
_WHOLE = ".modules_to_save."
_FACTOR = (".lora_A.", ".lora_B.")
_ODD = ("lora_magnitude_vector", "lora_embedding_A", "lora_embedding_B", "trainable_tokens")


@dataclass(frozen=True, eq=False)
class Pair:
    """The factors of one weight, as they are trained: the change is `scale · B @ A`, or its transpose.

    Attributes:
        a: (rank, in).
        b: (out, rank).
        scale: what their product is multiplied by.
        transposed: whether the weight is stored (in, out).
        start: A and B that the change is counted from; None where B began at zero.
    """

    a: torch.Tensor
    b: torch.Tensor
    scale: float
    transposed: bool = False
    start: tuple[torch.Tensor, torch.Tensor] | None = None

    def product(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the change as left (rows, rank) and right (rank, columns), in float32.

        With a start it is (B − B₀)·A + B₀·(A − A₀), side by side: as B·A − B₀·A₀ digits would cancel.
        """
        a, b = self.a.detach().float(), self.b.detach().float()
        if self.start is not None:
            first, second = self.start
            a, b = torch.cat([a, a - first]), torch.cat([b - second, second], dim=1)
        b = b * self.scale
        return (a.T, b.T) if self.transposed else (b, a)

    def begun(self) -> Pair:
        """Return the pair whose change is counted from where it is now."""
        if not self.b.detach().any():
            return self
        return replace(self, start=(self.a.detach().float().clone(), self.b.detach().float().clone()))


@dataclass(frozen=True, eq=False)
class Trained:
    """What is trained in a network.

    Attributes:
        factors: of each weight that a LoRA changes.
        whole: weights that are trained themselves.
        names: of all weights of the network.
    """

    factors: dict[str, Pair]
    whole: dict[str, torch.Tensor]
    names: frozenset[str]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the weights that are trained."""
        found: dict[str, tuple[int, ...]] = {name: tuple(one.shape) for name, one in self.whole.items()}
        for name, pair in self.factors.items():
            sizes = (pair.b.shape[0], pair.a.shape[1])
            found[name] = sizes[::-1] if pair.transposed else sizes
        return found


def trained_in(network: Any) -> Trained:
    """Return what is trained in a network of transformers, or of PEFT.

    Raises:
        UnsupportedError: nothing is, its weights are spread over processes, or it is neither a LoRA on a
            linear module nor a weight of the model; the message names it.
    """
    factors = dict(_pairs(network))
    whole: dict[str, torch.Tensor] = {}
    for name, parameter in network.named_parameters():
        _check_here(name, parameter)
        if parameter.requires_grad and not any(part in name for part in _FACTOR):
            whole[_whole_name(name, peft=bool(factors) or _PREFIX in name)] = parameter
        elif parameter.requires_grad and name.endswith(".bias"):
            raise _odd(name)
    if not factors and not whole:
        raise UnsupportedError("no weight of the model is trained: there is nothing to watch")
    names = frozenset(plain(name) for name, _ in network.named_parameters() if "lora_" not in name)
    return Trained(factors, whole, names)


def plain(name: str) -> str:
    """Return the name that a weight has in a checkpoint of the model alone."""
    name = name.removeprefix(_PREFIX).replace(".base_layer.", ".").replace(".original_module.", ".")
    before, mark, after = name.partition(_WHOLE)
    return f"{before}.{after.partition('.')[2]}" if mark else name


def _pairs(network: Any) -> Iterator[tuple[str, Pair]]:
    for path, module in network.named_modules():
        held, scaling = getattr(module, "lora_A", None), getattr(module, "scaling", None)
        if not isinstance(held, torch.nn.ModuleDict) or not isinstance(scaling, dict):
            continue
        active = [name for name in getattr(module, "active_adapters", ()) if name in held]
        if len(active) > 1:
            raise UnsupportedError(f"the module {quoted(path)} has several active adapters, expected one")
        for adapter in active:
            a: Any = held[adapter].weight
            b: Any = module.lora_B[adapter].weight
            turned = bool(getattr(module, "fan_in_fan_out", False))
            if a.ndim != 2:
                raise _odd(f"{path}.lora_A")
            yield f"{path.removeprefix(_PREFIX)}.weight", Pair(a, b, float(scaling[adapter]), turned)


def _whole_name(name: str, *, peft: bool) -> str:
    if any(part in name for part in _ODD) or (peft and _WHOLE not in name):
        raise _odd(name)
    return plain(name)


def _check_here(name: str, parameter: torch.Tensor) -> None:
    if hasattr(parameter, "ds_id") or hasattr(parameter, "placements"):
        raise UnsupportedError(
            f"{quoted(name)} is spread over processes (ZeRO-3 or FSDP), and cannot be watched in training",
            hint="watch the saved checkpoints instead: weightarith monitor BASE RUN_DIR",
        )


def _odd(name: str) -> UnsupportedError:
    return UnsupportedError(
        f"{quoted(name)} is trained, and is neither a factor of a linear module nor a weight of the model",
        hint="watch the saved checkpoints instead: weightarith monitor BASE RUN_DIR",
    )
