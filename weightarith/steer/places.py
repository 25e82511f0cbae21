"""Where a vector's tensors belong in a network: added at a linear module, or in place of a weight.

A linear module that has its weight to itself is left alone and its output added to. Embeddings, norms,
stacked and convolutional weights, and a weight that two modules share, are put aside for one that is moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import torch
from torch import nn

from weightarith.errors import IncompatibleError, UnsupportedError, quoted

PLAIN = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True, eq=False)
class Place:
    """Where one tensor of a vector belongs.

    Attributes:
        name: the network's name for it; for a weight that modules share, the first of its names.
        further: whether it was asked for by another of those names.
        how: "added" to the output of a linear module, or "moved" as a tensor of its own.
        module: the module that holds it.
        part: what that module calls it, "weight" or "bias" if it is added.
        shape: of the tensor.
        dtype: in which what is added is kept; float32 for what is moved.
        device: where.
    """

    name: str
    further: bool
    how: Literal["added", "moved"]
    module: nn.Module
    part: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device


class Places:
    """Every place of a network, by name."""

    def __init__(self, network: nn.Module, label: str) -> None:
        self.label = label
        self._modules = dict(network.named_modules())
        self._prefix = str(getattr(network, "base_model_prefix", ""))
        self._holders: dict[int, list[tuple[str, nn.Module, str]]] = {}
        self._tensors: dict[str, torch.Tensor] = {}
        for owner, module in self._modules.items():
            for part, tensor in held(module):
                name = f"{owner}.{part}" if owner else part
                self._tensors[name] = tensor
                self._holders.setdefault(id(tensor), []).append((name, module, part))
        self._dtype = next((one.dtype for one in self._tensors.values() if one.dtype in PLAIN), torch.float32)

    def at(self, name: str, shape: tuple[int, ...]) -> Place:
        """Return where the tensor `name` of a vector belongs.

        Raises:
            IncompatibleError: the network has no such tensor, or it is of another shape.
            UnsupportedError: its weights are not in memory, or are stored in fewer bits.
        """
        found = next((place for own in self._spellings(name) if (place := self._place(own))), None)
        if found is None:
            raise self._unknown(name)
        if found.shape != shape:
            raise IncompatibleError(
                f"tensor {quoted(name)}: expected shape {list(found.shape)} as in {self.label}, "
                f"found {list(shape)} in the vector",
                hint="was the vector made from another base?",
            )
        if found.device.type == "meta":
            raise UnsupportedError(
                f"tensor {quoted(name)} of {self.label} is not in memory but offloaded",
                hint="load the model on one device",
            )
        return found

    def holders(self, tensor: torch.Tensor) -> list[tuple[nn.Module, str]]:
        """Return the modules that hold a tensor, with what each calls it."""
        return [(module, part) for _, module, part in self._holders[id(tensor)]]

    def _spellings(self, name: str) -> Iterator[str]:
        """Yield the name, and with the prefix that models with a head put before those without."""
        yield name
        if self._prefix:
            yield f"{self._prefix}.{name}"
            yield name.removeprefix(f"{self._prefix}.")

    def _place(self, name: str) -> Place | None:
        owner, _, part = name.rpartition(".")
        module, tensor = self._modules.get(owner), self._tensors.get(name)
        if module is None:
            return None
        if isinstance(module, nn.Linear) and (tensor is None or len(self._holders[id(tensor)]) == 1):
            shapes = {"weight": (module.out_features, module.in_features), "bias": (module.out_features,)}
            if part in shapes:
                dtype = module.weight.dtype if module.weight.dtype in PLAIN else self._dtype
                return Place(name, False, "added", module, part, shapes[part], dtype, module.weight.device)
        if tensor is None:
            return None
        if tensor.dtype not in PLAIN:
            raise UnsupportedError(
                f"tensor {quoted(name)} of {self.label} is {str(tensor.dtype).removeprefix('torch.')}, "
                "and a vector moves it",
                hint="load the model in bfloat16, float16 or float32",
            )
        first, module, part = self._holders[id(tensor)][0]
        shape = tuple(tensor.shape)
        return Place(first, first != name, "moved", module, part, shape, torch.float32, tensor.device)

    def _unknown(self, name: str) -> IncompatibleError:
        near = get_close_matches(name, self._tensors, 1)
        return IncompatibleError(
            f"the vector moves {quoted(name)}, which {self.label} lacks"
            + (f" (nearest name there: {quoted(near[0])})" if near else ""),
            hint="was it made from another base? a file with names of its own takes them from one, "
            "Vector.open(path, base=…); and what transformers stores under other names than the model's "
            "folder can be merged, and the result loaded",
        )


def held(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield what a module itself holds, parameters first."""
    for holder in (module._parameters, module._buffers):
        for part, tensor in holder.items():
            if tensor is not None:
                yield part, tensor


def check_plain(network: Any, label: str) -> None:
    """Refuse a network that does not look into its modules at every pass, or whose modules are wrapped.

    Raises:
        UnsupportedError: it is compiled, or carries adapters of PEFT.
    """
    for module in network.modules():
        if hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None:
            raise UnsupportedError(
                f"{label} is compiled, and may not see what is added to its modules",
                hint="steer the model without torch.compile",
            )
        if hasattr(module, "peft_config") or hasattr(module, "base_layer"):
            raise UnsupportedError(
                f"{label} carries a PEFT adapter, which renames its modules",
                hint="load the base alone and take the adapter's folder as a vector, or merge it first",
            )
