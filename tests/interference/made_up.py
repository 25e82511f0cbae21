"""A tiny model, vectors between it and others, and a suite that is measured in a fraction of a second."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from tests.tinychat import instruct
from weightarith.algebra import Vector
from weightarith.interference import Part, part

SUITE = """\
weightarith_suite: 1
name: {name}
version: 1.0.0
behaviour: claims.trait
cost: divergence.response
capability: [text.perplexity]
metrics:
  claims: {{kind: preference, data: claims.jsonl}}
  text: {{kind: perplexity, data: text.jsonl}}
  divergence: {{kind: divergence, data: prompts.jsonl, limit: 3}}
  unused: {{kind: preference, data: claims.jsonl}}
"""
ROWS = {
    "claims": [
        {"prompt": f"Is it {word}?", "positive": f"yes {word}", "negative": f"no {word}"}
        for word in ("so", "it", "up", "on", "by", "of")
    ],
    "text": [{"text": "one two three"}, {"text": "four five"}],
    "prompts": [{"prompt": "a"}, {"prompt": "b"}],
}
NAMES = tuple(f"model.layers.{layer}.{module}.weight" for layer in (0, 1)
              for module in ("self_attn.q_proj", "mlp.up_proj", "mlp.down_proj"))  # fmt: skip


def world(folder: Path) -> Path:
    """Write a base, three vectors and two suites into a folder."""
    base = load_file(instruct(folder / "base") / "model.safetensors")
    for seed, label in enumerate(("v", "w", "x"), 1):
        other = load_file(instruct(folder / f"other-{label}", seed=seed) / "model.safetensors")
        names = NAMES[:-1] if label == "x" else NAMES
        moved = {name: 0.1 * (other[name] - base[name]) for name in names}
        save_file(moved, folder / f"{label}.safetensors", {"weightarith.kind": "vector"})
    for name in ("suite", "more"):
        (folder / f"{name}.yaml").write_text(SUITE.format(name=name), encoding="utf-8")
    for name, rows in ROWS.items():
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def parts(folder: Path, labels: str = "vw", weights: tuple[float, ...] = (1, 1, 1)) -> list[Part]:
    """Return vectors of the folder, by their letters."""
    found = []
    for label, weight in zip(labels, weights, strict=False):
        path = folder / f"{label}.safetensors"
        found.append(part(Vector.open(path, label=label), [path], weight))
    return found


def tensors(folder: Path, label: str) -> dict[str, np.ndarray]:
    """Return a vector of the folder in float64."""
    stored = load_file(folder / f"{label}.safetensors")
    return {name: array.astype(np.float64) for name, array in stored.items()}
