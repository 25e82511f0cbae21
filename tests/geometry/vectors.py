"""Adapters and vectors with random numbers, and what they multiply out to, naively and in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests import lowrank, tiny
from weightarith.algebra import Vector

Doubles = NDArray[np.float64]
Dense = dict[str, Doubles]

PREFIX, SUFFIX = "base_model.model.", ".weight"


def opened(path: Path) -> Vector:
    return Vector.open(path, label=path.name.removesuffix(".safetensors"))


def adapter_changes(folder: Path, scale: float = 2.0) -> Dense:
    """Return the change that a tiny adapter makes to each weight, multiplied out."""
    stored = tiny.load(folder)
    modules = {name.removesuffix(".lora_A.weight") for name in stored if name.endswith(".lora_A.weight")}
    return {
        module.removeprefix(PREFIX) + SUFFIX: scale
        * stored[f"{module}.lora_B.weight"].astype(np.float64)
        @ stored[f"{module}.lora_A.weight"].astype(np.float64)
        for module in modules
    }


def dense_vector(path: Path, tensors: dict[str, Doubles]) -> Vector:
    lowrank.vector(path, tensors)
    return opened(path)


def differences(finetuned: Path, base: Path) -> Dense:
    after, before = tiny.load(finetuned), tiny.load(base)
    return {name: after[name].astype(np.float64) - before[name].astype(np.float64) for name in before}


def flat(changes: Dense, names: list[str]) -> Doubles:
    """Return a change as one long row, zeros where it has no tensor of a name in `names`."""
    return np.concatenate([changes[name].ravel() for name in names])


def naive_gram(changes: list[Dense]) -> dict[str, Doubles]:
    """Return inner products by tensor, a tensor that one lacks being zero there."""
    names = sorted({name for each in changes for name in each})
    found = {}
    for name in names:
        shape = next(each[name].shape for each in changes if name in each)
        rows = [each.get(name, np.zeros(shape)).ravel() for each in changes]
        found[name] = np.array([[float((one * other).sum()) for other in rows] for one in rows])
    return found
