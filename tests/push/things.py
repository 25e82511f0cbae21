"""Things to push, made by weightarith itself of parents that are on the Hub and of ones that are not."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests import tiny
from tests.hubserver import Hub
from weightarith.algebra import Checkpoint, Vector
from weightarith.hub import locate
from weightarith.receipt import Receipt
from weightarith.saving import save

BASE, TUNED = "org/base", "org/tuned"
CARD = "---\nlicense: {}\n---\n# a model\n"


def parents(
    hub: Hub, folder: Path, *, base: str = "apache-2.0", tuned: str = "apache-2.0", private: bool = False,
    gated: bool = False,
) -> None:  # fmt: skip
    """Put a base and a fine-tune of it onto the Hub, with the licences they name."""
    weights = tiny.weights()
    made = {BASE: (weights, base), TUNED: (tiny.finetuned(weights, seed=1), tuned)}
    for repo, (tensors, licence) in made.items():
        place = tiny.checkpoint(folder / repo.replace("/", "-"), tensors)
        if licence:
            (place / "README.md").write_text(CARD.format(licence), encoding="utf-8")
        held = repo == TUNED
        hub.add(repo, place, private=private and held, gated=gated and held)
        hub.grant(repo)


def vector(folder: Path) -> Path:
    """Return a vector, the difference of the two parents on the Hub."""
    path = folder / "task.safetensors"
    save(opened(TUNED) - opened(BASE), path)
    return path


def model(folder: Path, strength: float = 0.5, *, shard_size: int = 5000, name: str = "merged") -> Path:
    """Return a model folder of several shards, between the two parents on the Hub."""
    base = opened(BASE)
    save(base + strength * (opened(TUNED) - base), folder / name, shard_size=shard_size, overwrite=True)
    return folder / name


def adapter(folder: Path) -> Path:
    """Return an adapter on the base that is on the Hub, made of a vector of low rank."""
    from weightarith.lowrank import export_adapter

    raw = tiny.adapter(folder / "raw")
    config = json.loads((raw / "adapter_config.json").read_text())
    (raw / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": BASE}))
    base = opened(BASE)
    export_adapter(1 * Vector.open(raw, label="raw"), folder / "adapter", rank=4, base=base)
    return folder / "adapter"


def gguf(folder: Path) -> Path:
    """Return an adapter in GGUF of the difference of the two parents on the Hub."""
    from weightarith.lowrank import export_adapter

    base = opened(BASE)
    path = folder / "task.gguf"
    export_adapter(opened(TUNED) - base, path, rank=4, base=base, format="gguf")
    return path


def opened(repo: str) -> Checkpoint:
    """Return a model that is on the Hub."""
    return Checkpoint.open(locate(f"hf://{repo}"), label=repo.partition("/")[2])


def receipt_in(hub: Hub, repo: str) -> Receipt:
    """Return the receipt that a repository holds."""
    found: Receipt = json.loads(hub.files(repo)["weightarith.json"])
    return found


def noise(folder: Path) -> None:
    """Put what must never be published into a folder."""
    for name in (
        "optimizer.pt", "pytorch_model.bin", "training_args.bin", ".env", "notes.txt", "modeling.py",
        "model.lock",
    ):  # fmt: skip
        (folder / name).write_bytes(os.urandom(20))
    for name in (".git", ".cache", "data"):
        (folder / name).mkdir()
        (folder / name / "inside.json").write_text("{}")
    (folder / "LICENSE.txt").symlink_to("/etc/hostname")
