"""What compress refuses: each mistake has its exit code, is told early, and leaves nothing behind."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests import tiny as models
from tests.cli.conftest import Run
from tests.cli.test_compressing import NORM, Q
from tests.conftest import Tiny
from tests.lowrank import changes, vector
from tests.reference import snapshot


@pytest.fixture
def dense(tiny: Tiny, tmp_path: Path) -> Path:
    """A vector of rank 2 on every matrix and noise, with every norm moved."""
    return vector(tmp_path / "v.safetensors", changes(models.load(tiny.base), 2, noise=0.2))


MISTAKES = [
    ("v.safetensors -o c.safetensors", 2, "either --rank R or --energy E"),
    ("v.safetensors --rank 2 --energy 0.5 -o c.safetensors", 2, "either --rank R or --energy E"),
    ("v.safetensors --rank 2 --max-rank 4 -o c.safetensors", 2, "--max-rank goes with --energy"),
    ("v.safetensors --rank 0 -o c.safetensors", 2, "0 is not in the range"),
    ("v.safetensors --energy 0 -o c.safetensors", 2, "--energy 0 keeps nothing"),
    (
        "v.safetensors --energy 1.5 -o c.safetensors",
        2,
        "compress(energy=1.5) is out of range: between 0 and 1",
    ),
    ("v.safetensors --rank 2 --base base -o c.safetensors", 2, "--base goes with --format peft or gguf"),
    ("v.safetensors --rank 2 --device torch -o c.safetensors", 2, "compress(v, rank=32) runs on any device"),
    ("v.safetensors --rank 2 --format peft --base base --shard-size 1GB -o a", 2, "an adapter is one file"),
    ("v.safetensors --rank 2 --format peft -o a", 2, "which one v moves is not recorded"),
    ("task --rank 2 --format peft -o a", 2, "which one task moves is only recorded as 'base'"),
    ("task --rank 2 --format peft -o a", 2, "--base DIR"),
    (
        "v.safetensors --rank 2 --format peft --base positive -o a",
        2,
        "'positive' is an adapter, expected a model",
    ),
    (
        "v.safetensors --rank 2 --format peft --base bare.safetensors -o a",
        2,
        "'bare' has no config.json beside",
    ),
    ("deep.safetensors --rank 2 --format peft --base base -o a", 4, "in base it is not there"),
    ("wide.safetensors --rank 2 --format peft --base base -o a", 4, "in base it is of shape [16, 16]"),
    ("norms.safetensors --rank 2 --format peft --base base -o a", 4, "a LoRA adapter would be empty"),
    ("v.safetensors --rank 2 --format peft --base base -o a.safetensors", 5, "an adapter is a folder"),
    ("v.safetensors --rank 2 --format gguf --base base -o a", 5, "end it in .gguf"),
    ("v.safetensors --rank 2 -o a.gguf", 5, "add --format gguf"),
    (
        "v.safetensors --rank 2 --format peft --base base -o a --dtype float64",
        2,
        "F32, BF16, F16, not as 'F64'",
    ),
    ("v.safetensors --rank 2 --format peft --base base -o no/such", 6, "the folder 'no' does not exist"),
    ("v.safetensors --rank 2 --format peft --base base -o base --overwrite", 5, "is or holds the input"),
    ("base --rank 2 -o c.safetensors", 2, "'base' is a model, expected a vector or an adapter"),
    (
        "nan --rank 2 -o c.safetensors",
        3,
        "a factor of tensor 'model.layers.0.mlp.down_proj.weight' is not finite",
    ),
]


@pytest.mark.parametrize(("command", "status", "said"), MISTAKES)
def test_a_mistake_is_told_before_anything_is_written(
    command: str, status: int, said: str, tiny: Tiny, dense: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(dense.parent)
    given = models.load(dense)
    models.save(Path("bare.safetensors"), models.weights())
    vector(Path("deep.safetensors"), changes(models.weights(depth=3), 1))
    vector(Path("wide.safetensors"), {Q: np.ones((16, 17))})
    vector(Path("norms.safetensors"), {NORM: given[NORM]})
    run("diff", tiny.finetuned, tiny.base, "-o", "task")
    models.adapter(Path("nan"))
    factors = dict(models.load(Path("nan")))
    factors["base_model.model.model.layers.0.mlp.down_proj.lora_A.weight"] = np.full((4, 32), np.nan)
    models.save(Path("nan", "adapter_model.safetensors"), factors, dtype="F32")
    before = snapshot(Path())

    ran = run("compress", *command.split())

    assert ran.status == status
    assert said in ran.stderr
    assert ran.stdout == ""
    assert snapshot(Path()) == before


def test_a_disk_that_fails_leaves_no_half_of_a_gguf_file(
    tiny: Tiny, dense: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(tmp_path)

    def full(_descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("weightarith.export.gguf.os.fsync", full)
    words = ("--rank", 2, "--format", "gguf", "--base", tiny.base, "-o", tmp_path / "a.gguf")
    ran = run("compress", dense, *words)

    assert ran.status == 6
    assert snapshot(tmp_path) == before
