"""Inputs on disk for tests: a folder of two shards with their index, and how an input is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny
from weightarith.errors import WeightArithError
from weightarith.store import open_source

INDEX = "model.safetensors.index.json"
VECTOR = {"weightarith.kind": "vector", "weightarith.spec": "1"}
ONE = {"a": np.zeros((2, 3)), "b": np.zeros(3)}


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def sharded(folder: Path, stem: str = "model", metadata: Mapping[str, str] | None = None) -> Path:
    """Write a folder of two shards with their index; return it."""
    shards = {f"{stem}-00001-of-00002.safetensors": ["a"], f"{stem}-00002-of-00002.safetensors": ["b"]}
    for shard, names in shards.items():
        tiny.save(folder / shard, {name: ONE[name] for name in names}, metadata=metadata)
    placed = {name: shard for shard, names in shards.items() for name in names}
    write_json(folder / f"{stem}.safetensors.index.json", {"metadata": {}, "weight_map": placed})
    return folder


def refused(path: Path, kind: Any = None) -> WeightArithError:
    with pytest.raises(WeightArithError) as caught:
        open_source(path, kind)
    return caught.value
