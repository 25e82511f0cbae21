"""Adapter folders for one test: the tiny one, with settings changed, tensors added, renamed or left out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests import tiny
from weightarith.loaders import Finding, check

PREFIX = "base_model.model."
LAYER = f"{PREFIX}model.layers.0."
Q = f"{LAYER}self_attn.q_proj"


def adapter(
    folder: Path,
    *,
    more: Mapping[str, tuple[int, ...]] | None = None,
    without: Iterable[str] = (),
    renamed: tuple[str, str] = ("", ""),
    drop: Iterable[str] = (),
    dtype: str = "F32",
    **settings: Any,
) -> Path:
    """Write an adapter of rank 4 and a scale of 1 on every linear module, but for what is said."""
    tiny.adapter(folder, alpha=4)
    path, config = folder / "adapter_model.safetensors", folder / "adapter_config.json"
    tensors = {
        name.replace(*renamed) if renamed[0] else name: values
        for name, values in tiny.load(path).items()
        if not any(part in name for part in without)
    }
    tensors |= {name: np.ones(shape) for name, shape in (more or {}).items()}
    tiny.save(path, tensors, dtype=dtype)
    said = {**json.loads(config.read_text()), "base_model_name_or_path": "org/base", **settings}
    config.write_text(json.dumps({key: value for key, value in said.items() if key not in set(drop)}))
    return folder


def base(folder: Path, *, weights: bool = True, **settings: Any) -> Path:
    """Write the tiny Llama that the adapter is for, or its config.json alone."""
    tiny.checkpoint(folder, tiny.weights())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **settings}))
    if not weights:
        (folder / "model.safetensors").unlink()
    return folder


def bad(loader: str, folder: Path, of: Path | None = None) -> list[Finding]:
    """Return what one loader does not read as meant."""
    return [finding for finding in check(folder, [loader], of) if finding.verdict != "loads"]


def only(loader: str, folder: Path, of: Path | None = None) -> Finding:
    """Return the one thing that a loader does not read as meant; what Ollama does to q and k left aside."""
    found = [one for one in bad(loader, folder, of) if "reorders A" not in one.why]
    assert len(found) == 1, found
    return found[0]
