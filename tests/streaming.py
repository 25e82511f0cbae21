"""Models on a Hub that are read from there: cut into shards, and what of them went over the wire."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import tiny
from tests.hubserver import Hub, Request

BASE, TUNED = "org/base", "org/tuned"
HEAD, SPAN = 1 << 10, 1 << 10


def in_small_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have spans and what is held be small, so that tiny models take many requests."""
    monkeypatch.setattr("weightarith.hub.ranges.HEAD", HEAD)
    for module in ("spans", "feed"):
        monkeypatch.setattr(f"weightarith.hub.{module}.SPAN", SPAN)
    monkeypatch.setattr("weightarith.hub.feed.HELD", 16 * SPAN)
    monkeypatch.setattr("weightarith.hub.feed.AHEAD", 10 * SPAN)


def cut(folder: Path, tensors: tiny.Tensors, shards: Sequence[Sequence[str]]) -> Path:
    """Write a transformers folder; its shards hold tensors whose names begin so, the last one the others."""
    tiny.checkpoint(folder, tensors)
    (folder / "model.safetensors").unlink()
    left, placed = dict(tensors), dict[str, str]()
    for number, starts in enumerate([*shards, [""]], start=1):
        name = f"model-{number:05}-of-{len(shards) + 1:05}.safetensors"
        own = {key: left.pop(key) for key in sorted(left) if key.startswith(tuple(starts))}
        tiny.save(folder / name, own, metadata={"format": "pt"})
        placed |= dict.fromkeys(own, name)
    index = {"metadata": {}, "weight_map": placed}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def fetched(hub: Hub) -> list[Request]:
    """Return the requests for weights, in the order they came."""
    return [one for one in hub.requests if "/resolve/" in one.path and one.path.endswith(".safetensors")]


def sent(hub: Hub) -> int:
    """Return the bytes of weights that went over the wire."""
    return sum(one.sent for one in hub.requests if one in fetched(hub) or one.path.startswith("/cdn/"))


def size(folder: Path) -> int:
    """Return the bytes of the weights in a folder."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def nothing_downloaded(hub: Hub) -> bool:
    """Return whether no weights are in the client's cache."""
    return not list((hub.home / "hub").rglob("*.safetensors")) and not [
        path for path in (hub.home / "hub").rglob("blobs/*") if path.stat().st_size > 20_000
    ]


def forget(hub: Hub) -> None:
    """Empty the client's cache, and the log."""
    shutil.rmtree(hub.home / "hub", ignore_errors=True)
    hub.requests.clear()
