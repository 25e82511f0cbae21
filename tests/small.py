"""Models and vectors of two to eight numbers, written for one test, and other small things of several."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny
from tests.reference import Raw, encode, from_bits, read, write
from weightarith.algebra import Checkpoint, Linear, Vector, collect
from weightarith.engine.build import build_plan
from weightarith.engine.plan import Plan
from weightarith.engine.settings import Output, Policy
from weightarith.errors import WeightArithError
from weightarith.saving import save

EMBED, HEAD, UP = "model.embed_tokens.weight", "lm_head.weight", "model.layers.0.mlp.up_proj.weight"
BUFFER = "model.position_ids"


def rows(*values: float, code: str = "BF16") -> Raw:
    """Return a matrix of two equal columns."""
    return encode([[value, value] for value in values], code)


def counts(*values: int) -> Raw:
    return from_bits(np.array(values), "I64")


class Models:
    """Opens models and vectors written for one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, label: str, tied: bool | None = None, **tensors: Raw) -> Checkpoint:
        """Write a model of tensors called embed, head, up or buffer; `tied` is what config.json says."""
        named = {globals()[key.upper()]: raw for key, raw in tensors.items()}
        write(self.folder / label / "model.safetensors", named)
        if tied is not None:
            config = {"model_type": "llama", "tie_word_embeddings": tied}
            (self.folder / label / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return Checkpoint.open(self.folder / label, label=label)

    def vector(self, label: str, **tensors: Raw) -> Vector:
        named = {globals()[key.upper()]: raw for key, raw in tensors.items()}
        write(self.folder / f"{label}.safetensors", named, {"weightarith.kind": "vector"})
        return Vector.open(self.folder / f"{label}.safetensors", label=label)

    def made(self, total: Linear, **options: Any) -> dict[str, Raw]:
        save(total, self.folder / "out", overwrite=(self.folder / "out").exists(), **options)
        return read(self.folder / "out")


def plan(total: Linear, policy: Policy | None = None) -> Plan:
    return build_plan(collect(total.terms), Output(Path("nowhere")), policy=policy)


def fates(planned: Plan) -> dict[str, tuple[str, str]]:
    return {entry.name: (entry.fate, entry.reason) for entry in planned.ledger}


def refused(total: Linear, code: int, text: str, policy: Policy | None = None) -> None:
    with pytest.raises(WeightArithError, match=text) as caught:
        plan(total, policy)
    assert caught.value.exit_code == code


def with_head(folder: Path, value: float) -> Path:
    """Make an adapter store a fully trained output head of equal numbers."""
    name, config = folder / "adapter_model.safetensors", folder / "adapter_config.json"
    head = np.full((tiny.VOCABULARY, tiny.WIDTH), value)
    tiny.save(name, {**tiny.load(name), "base_model.model.lm_head.weight": head}, dtype="F32")
    settings = json.loads(config.read_text())
    config.write_text(json.dumps({**settings, "modules_to_save": ["lm_head"]}))
    return folder


def failing(call: Callable[..., Any], number: int, code: int) -> Callable[..., Any]:
    """Return `call`, which fails once, the `number`th time."""
    seen = iter(range(1_000_000))

    def one_fails(*arguments: Any, **options: Any) -> Any:
        if next(seen) == number:
            raise OSError(code, os.strerror(code))
        return call(*arguments, **options)

    return one_fails
