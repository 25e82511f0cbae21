"""Models for both tools: Llamas with a head of their own, and models of Qwen2's layout with a tied one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests import tiny
from tests.tiny import Tensors

DEPTH = 4
FAR = 0.1
"""How far weights are moved where the angle between models is to count."""


def moved(base: Tensors, *, seed: int, size: float = 0.01) -> Tensors:
    """Return `base`, every number of it moved, and no two of them equally far."""
    random = np.random.default_rng(seed)
    return {name: w + size * random.standard_normal(w.shape).astype(np.float32) for name, w in base.items()}


def tuned(base: Tensors) -> dict[str, Tensors]:
    """Return a base, three tunes of it, one far from it, and two that are hardly tuned, the last one more."""
    near = {name: moved(base, seed=seed, size=2e-4) for seed, name in ((11, "near_a"), (12, "near_b"))}
    near["near_b"] = {name: w + 2 * (w - base[name]) for name, w in near["near_b"].items()}
    tunes = {name: moved(base, seed=seed) for seed, name in enumerate("abc", start=1)}
    return {"base": base, **tunes, "far": moved(base, seed=9, size=FAR), **near}


def llamas(folder: Path) -> Path:
    """Write Llamas to `folder`, each in float32 and, as `NAME16`, in bfloat16; a deep one, and a LoRA."""
    for name, tensors in tuned(moved(tiny.weights(depth=DEPTH), seed=100)).items():
        tiny.checkpoint(folder / name, tensors, dtype="F32")
        tiny.checkpoint(folder / f"{name}16", tensors, dtype="BF16")
    tiny.checkpoint(folder / "deep", moved(tiny.weights(depth=6), seed=7), dtype="F32")
    tiny.adapter(folder / "lora", depth=DEPTH, seed=8)
    return folder


def qwens(folder: Path) -> Path:
    """Write models of Qwen2's layout to `folder`: biases on q, k and v, and the embedding as the head."""
    base = tiny.weights(depth=DEPTH, tied=True)
    for layer in range(DEPTH):
        for part in ("q_proj", "k_proj", "v_proj"):
            rows, _ = tiny.LINEARS[f"self_attn.{part}"]
            base[f"model.layers.{layer}.self_attn.{part}.bias"] = np.zeros(rows, np.float32)
    for name, tensors in tuned(moved(base, seed=100)).items():
        path = tiny.checkpoint(folder / name, tensors, dtype="F32") / "config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        config |= {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}
        config["layer_types"] = ["full_attention"] * DEPTH
        path.write_text(json.dumps(config), encoding="utf-8")
    return folder
