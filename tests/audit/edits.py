"""Models of ten layers with something done to them, and what an audit says of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests import tiny
from weightarith.algebra import Checkpoint
from weightarith.audit import Audit, audit

DEPTH = 10
Edit = Callable[[tiny.Tensors], None]

DOWN = "model.layers.4.mlp.down_proj.weight"
OUT = "model.layers.7.self_attn.o_proj.weight"
GATE = "model.layers.2.mlp.gate_proj.weight"
EMBED = "model.embed_tokens.weight"


def row(tensors: tiny.Tensors) -> None:
    tensors[DOWN][5] *= 1.5


def column(tensors: tiny.Tensors) -> None:
    tensors[GATE][:, 3] *= 0.5


def rank_one(tensors: tiny.Tensors) -> None:
    random = np.random.default_rng(9)
    weight = tensors[OUT]
    tensors[OUT] = weight + 0.1 * np.outer(
        random.standard_normal(weight.shape[0]), random.standard_normal(weight.shape[1])
    ).astype(np.float32)


def swap(tensors: tiny.Tensors) -> None:
    for name in [name for name in tensors if name.startswith("model.layers.1.")]:
        other = name.replace(".1.", ".8.", 1)
        tensors[name], tensors[other] = tensors[other], tensors[name]


def rounded(tensors: tiny.Tensors) -> None:
    name = "model.layers.5.mlp.up_proj.weight"
    mantissa, exponent = np.frexp(tensors[name])
    tensors[name] = np.ldexp(np.rint(mantissa * 16) / 16, exponent)  # 4 bits


def token(tensors: tiny.Tensors) -> None:
    tensors[EMBED][7] += 0.05 * np.random.default_rng(3).standard_normal(tiny.WIDTH).astype(np.float32)


def copied(tensors: tiny.Tensors) -> tiny.Tensors:
    return {name: values.copy() for name, values in tensors.items()}


def audited(
    folder: Path, *edits: Edit, dtype: str = "BF16", tuned: tiny.Tensors | None = None, seed: int = 0
) -> Audit:
    """Return the audit of a model against itself with edits, or against a fine-tune with edits."""
    base = tiny.weights(depth=DEPTH, seed=seed)
    after = copied(tuned if tuned is not None else base)
    for edit in edits:
        edit(after)
    before = tiny.checkpoint(folder / "base", base, dtype=dtype)
    other = tiny.checkpoint(folder / "other", after, dtype=dtype)
    return audit(Checkpoint.open(before, label="base"), Checkpoint.open(other, label="other"), threads=1)


def kinds(found: Audit) -> list[tuple[str, str]]:
    return [(one.kind, one.where) for one in found.findings]


def lora(base: tiny.Tensors, *, seed: int, rank: int, size: float = 0.003) -> tiny.Tensors:
    """Return a model with a low-rank change of every linear module."""
    random = np.random.default_rng(seed)
    tuned = copied(base)
    for name, weight in base.items():
        if "_proj" in name:
            left, right = (random.standard_normal((extent, rank)) for extent in weight.shape)
            tuned[name] = weight + (size * left @ right.T).astype(np.float32)
    return tuned
