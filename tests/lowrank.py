"""Models and low-rank changes of them, and what compression must keep, worked out in plain float64."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests import tiny

Array = np.ndarray[Any, Any]


def vector(path: Path, tensors: Mapping[str, Array], **metadata: str) -> Path:
    """Write a vector file of float32; return its path."""
    tiny.save(path, tensors, dtype="F32", metadata={"weightarith.kind": "vector", **metadata})
    return path


def changes(base: Mapping[str, Array], rank: int, *, seed: int = 0, noise: float = 0.0) -> tiny.Tensors:
    """Return a change of every weight: of matrices one of a rank, and noise on top; of others any."""
    random = np.random.default_rng(seed)
    found = {}
    for name, weight in base.items():
        change: Array = 0.1 * np.asarray(random.standard_normal(weight.shape))
        if weight.ndim == 2:
            left = random.standard_normal((weight.shape[0], rank))
            right = random.standard_normal((rank, weight.shape[1]))
            change = 0.1 * left @ right + noise * change
        found[name] = change.astype(np.float32)
    return found


def truncated(matrix: Array, rank: int) -> Array:
    """Return the nearest matrix of a rank."""
    left, values, right = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    nearest: Array = left[:, :rank] * values[:rank] @ right[:rank]
    return nearest


def energies(matrix: Array) -> Array:
    """Return the share of the squared norm that the first 1, 2, … directions hold."""
    squares = np.linalg.svd(matrix.astype(np.float64), compute_uv=False) ** 2
    found: Array = squares.cumsum() / squares.sum()
    return found


def products(tensors: Mapping[str, Array]) -> tiny.Tensors:
    """Return the tensors of a vector file, those in factors multiplied out in float64."""
    found = {}
    for name, values in tensors.items():
        plain, _, side = name.partition("::")
        if side == "B":
            found[plain] = values.astype(np.float64) @ tensors[f"{plain}::A"].astype(np.float64)
        elif not side:
            found[plain] = values.astype(np.float64)
    return found


def pairs(tensors: Mapping[str, Array]) -> tiny.Tensors:
    """Return the changes that a PEFT file of scale 1 holds, by the names of weights, in float64."""
    found = {}
    for name, values in tensors.items():
        if name.endswith(".lora_B.weight"):
            stem = name.removesuffix(".lora_B.weight")
            right = tensors[f"{stem}.lora_A.weight"].astype(np.float64)
            weight = stem.removeprefix("base_model.model.") + ".weight"
            found[weight] = values.astype(np.float64) @ right
    return found


def saved(model: Any, folder: Path) -> tiny.Tensors:
    """Write a model of transformers to a folder; return its weights."""
    model.save_pretrained(str(folder))
    return tiny.load(folder)
