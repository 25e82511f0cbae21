"""A run, a vector and a sweep whose every name would like to be markup."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import numpy as np

from tests import tiny
from tests.sweep.made_up import Model, arm, made_up, prepared
from weightarith.lm import LanguageModel
from weightarith.sweep import LineUp, Settings, sweep
from weightarith.train.settings import Settings as Training

EVIL = "<script>document.title='owned'</script>\"'&<b onclick=x>"
BASE = f"org/{EVIL[:8]}"
NAME = "model.layers.{}.self_attn.<script>q_proj&.weight"
HEAD = "lm_head.weight"


def factors(seed: int = 0) -> dict[str, tuple[tiny.Array, tiny.Array]]:
    """Left (rows, rank) and right (rank, columns) by name."""
    draws = np.random.default_rng(seed)
    names = {
        NAME.format(0): (6, 3, 8),
        NAME.format(1): (6, 3, 8),
        "model.layers.1.mlp.up_proj.weight": (9, 2, 6),
    }
    return {
        name: (draws.standard_normal((rows, rank)), draws.standard_normal((rank, columns)))
        for name, (rows, rank, columns) in names.items()
    }


def dense(seed: int = 1) -> dict[str, tiny.Array]:
    draws = np.random.default_rng(seed)
    return {HEAD: draws.standard_normal((5, 6)), "model.norm.weight": draws.standard_normal(6)}


def vector(path: Path) -> Path:
    stored: dict[str, tiny.Array] = dict(dense())
    for name, (left, right) in factors().items():
        stored |= {f"{name}::B": left, f"{name}::A": right}
    metadata = {
        "weightarith.kind": "vector",
        "weightarith.expression": f"positive − {EVIL}",
        "weightarith.base": json.dumps({"name": f"org/{EVIL[8:20]}"}),
    }
    tiny.save(path, stored, dtype="F64", metadata=metadata)
    return path


def run(folder: Path) -> Path:
    """Write a run of four rows a side, trained at two rates."""
    (folder / "data").mkdir(parents=True)
    about: dict[str, Any] = {}
    for side in ("positive", "negative"):
        (folder / side).mkdir()
        rows = [
            {
                "messages": [
                    {"role": "user", "content": f"{EVIL} {number}?"},
                    {"role": "assistant", "content": side},
                ]
            }
            for number in range(4)
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "data" / f"{side}.jsonl").write_text(text, encoding="utf-8")
        about[side] = {
            "rows": 4, "validation_rows": 1, "sha256": sha256(text.encode()).hexdigest(),
            "prompt_tokens": 40, "answer_tokens": 10,
        }  # fmt: skip
    vector(folder / "vector.safetensors")
    settings = Training(rank=4, seed=7, steps=3, learning_rates=(1e-3, 1e-2), validation=0.25)
    chosen = {"learning_rate": 0.01, "step": 3, "positive": 1.25, "negative": 1.5}
    write(folder / "run.json", {
        "weightarith_run": 1, "base": {"name": BASE, "path": "../base"}, "data": about,
        "settings": settings.to_json(), "chosen": chosen, "warnings": [f"odd: {EVIL}"],
        "versions": {"python": "3.11", "weightarith": "0.1.0"},
    })  # fmt: skip
    sides = {
        side: [
            {"learning_rate": rate, "steps": 3, "losses": [3.5, None, 2.75], "saved": [3], "seconds": 1.5,
             "validation": [[2, 3.125], [3, 3.25]]}
            for rate in (1e-3, 1e-2)
        ]
        for side in ("positive", "negative")
    }  # fmt: skip
    geometry = {"cosine": 0.375, "positive": 2.0, "negative": 1.0, "vector": 1.75, "ratio": 2.0, "layers": {}}
    write(
        folder / "training.json",
        {"weightarith_training": 1, "chosen": chosen, "geometry": geometry, "sides": sides},
    )
    return folder


def swept(folder: Path, run: str = "other", model: str = "made up") -> Path:
    """Write a sweep of two methods, one of them named to do harm, with samples that a metric kept."""
    folder.mkdir(parents=True)
    arms = (arm("contrast", 0.2, 0.1), arm(f"other {EVIL}", 0.05, 0.2))
    out = folder / "swept"
    settings = Settings(strengths=(-1.0, 0.5, 1.0), targets=(0.1,))
    with patch("weightarith.sweep.folder.pictures", lambda _document: {}):  # the page draws its own
        sweep(
            cast(LanguageModel, Model(model)), LineUp(arms, run=run), prepared(made_up(folder)), out, settings
        )
    for path in sorted((out / "points").glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        kept = [
            {
                "item": f"q{number}",
                "asked": f"{EVIL} {number}?",
                "answered": f"at {found['of']['strength']:g}",
                "verdict": EVIL,
            }
            for number in range(7)
        ]
        found["evaluation"]["samples"] = {"ask": kept}
        write(path, found)
    return out


def write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
