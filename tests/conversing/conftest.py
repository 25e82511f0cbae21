"""A tiny model that talks, and vectors that change what it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests import tiny as models
from tests.tinychat import instruct
from weightarith.algebra import Vector
from weightarith.conversing import Manner, Talk
from weightarith.lm import LanguageModel, load

Q = "model.layers.{}.self_attn.q_proj.weight"
DOWN = "model.layers.{}.mlp.down_proj.weight"


def write_vector(path: Path, *, seed: int = 0, size: float = 0.6) -> Path:
    """Write a factored vector of the tiny model, large enough to change what it says."""
    draws = np.random.default_rng(seed)
    tensors = {}
    for layer in range(2):
        for name, rows, columns in ((Q.format(layer), 32, 32), (DOWN.format(layer), 32, 64)):
            tensors[f"{name}::B"] = size * draws.standard_normal((rows, 2))
            tensors[f"{name}::A"] = size * draws.standard_normal((2, columns))
    models.save(path, tensors, dtype="F32", metadata={"weightarith.kind": "vector"})
    return path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("chat")
    instruct(made / "instruct")
    write_vector(made / "v.safetensors")
    write_vector(made / "w.safetensors", seed=1)
    return made


@pytest.fixture(scope="session")
def model(folder: Path) -> LanguageModel:
    return load(folder / "instruct")


@pytest.fixture
def vector(folder: Path) -> Vector:
    return Vector.open(folder / "v.safetensors", label="v")


@pytest.fixture
def talk(model: LanguageModel, vector: Vector) -> Iterator[Talk]:
    with Talk(model, Manner(limit=12)) as begun:
        begun.steer_by(vector)
        yield begun
