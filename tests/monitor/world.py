"""Tiny models that move towards a known direction, or away from it, and the same in plain float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import weightarith as wa
from tests import tiny
from tests.tiny import Tensors

DEPTH = 4


def base_of(folder: Path) -> Path:
    return tiny.checkpoint(folder / "base", tiny.weights(depth=DEPTH), dtype="F32")


def direction(seed: int, size: float = 0.01) -> Tensors:
    """Return a random change of every weight."""
    random = np.random.default_rng(seed)
    return {name: size * random.standard_normal(w.shape) for name, w in tiny.weights(depth=DEPTH).items()}


def moved(folder: Path, change: Tensors) -> Path:
    """Write the base plus a change as a model."""
    weights = tiny.weights(depth=DEPTH)
    return tiny.checkpoint(folder, {name: w + change[name] for name, w in weights.items()}, dtype="F32")


def vector(folder: Path, label: str, change: Tensors) -> Path:
    """Write a change as a vector file called `label`."""
    model = moved(folder / f"model-{label}", change)
    wa.save(wa.Checkpoint.open(model) - wa.Checkpoint.open(folder / "base"), folder / f"{label}.safetensors")
    return folder / f"{label}.safetensors"


def mixed(**parts: float) -> Tensors:
    """Return a sum of directions, `s3=0.5` being half of the one of seed 3."""
    each = [(share, direction(int(name[1:]))) for name, share in parts.items()]
    return {name: np.sum([share * one[name] for share, one in each], axis=0) for name in each[0][1]}


def training(folder: Path, *changes: Tensors) -> Path:
    """Write a run whose checkpoints, ten steps apart, have moved so."""
    for number, change in enumerate(changes):
        moved(folder / f"checkpoint-{10 * (number + 1)}", change)
    return folder


def flat(change: Tensors) -> np.ndarray:
    return np.concatenate([np.asarray(change[name], np.float64).ravel() for name in sorted(change)])


def cosine(one: Tensors, other: Tensors) -> float:
    left, right = flat(one), flat(other)
    return float(left @ right / np.sqrt((left @ left) * (right @ right)))
