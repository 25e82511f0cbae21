"""Mistakes people make: each has its exit code, an error that says what and where, and a remedy."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests import tiny as models
from tests.cli.conftest import Run
from tests.conftest import Tiny

Prepare = Callable[[Path], object]


def _nothing(_folder: Path) -> None:
    pass


def _write(name: str, content: bytes | str) -> Prepare:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


def _cut_short(folder: Path) -> None:
    path = folder / "finetuned" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-5])


def _quantised(folder: Path) -> None:
    config = json.loads((folder / "finetuned" / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (folder / "finetuned" / "config.json").write_text(json.dumps(config))


def _pickled(folder: Path) -> None:
    (folder / "finetuned" / "model.safetensors").unlink()
    (folder / "finetuned" / "pytorch_model.bin").write_bytes(b"PK")


def _wider(folder: Path) -> None:
    weights = models.load(folder / "finetuned")
    weights["model.norm.weight"] = np.ones(7, np.float32)
    models.checkpoint(folder / "finetuned", weights)


def _fewer(folder: Path) -> None:
    weights = models.load(folder / "finetuned")
    del weights["model.norm.weight"]
    models.checkpoint(folder / "finetuned", weights)


def _with_nan(folder: Path) -> None:
    weights = dict(models.load(folder / "finetuned"))
    weights["model.norm.weight"] = np.full(16, np.nan, np.float32)
    models.checkpoint(folder / "finetuned", weights)


def _linked(folder: Path) -> None:
    (folder / "out").symlink_to(folder / "elsewhere")


def _being_written(folder: Path) -> None:
    (folder / ".out.lock").write_text(f"{os.uname().nodename} {os.getpid()}")  # by a process that is alive


RECIPE = "weightarith: 1\ninputs: {{a: ./base, b: ./finetuned}}\nexpression: {}\n"
DIFF = "diff finetuned base -o out"

MISTAKES: list[tuple[str, Prepare, str, int, str, str]] = [
    ("no command", _nothing, "", 2, "Usage: ", "--help"),
    ("misspelt command", _nothing, "mrge r.yaml", 2, "No such command 'mrge'", "Did you mean 'merge'?"),
    ("misspelt option", _nothing, f"{DIFF} --dryrun", 2, "No such option '--dryrun'", "--dry-run"),
    ("no output", _nothing, "diff finetuned base", 2, "Missing option '-o' / '--output'", "--help"),
    ("no such recipe", _nothing, "merge r.yaml -o out", 2, "no recipe at 'r.yaml': no such file", ""),
    ("two models added", _write("r.yaml", RECIPE.format("a + b")), "merge r.yaml -o out", 2,
     "adds two models", "0.5*(a + b)"),
    ("misspelt name", _write("r.yaml", RECIPE.format("a + ba")), "explain r.yaml", 2, "'ba'", "^"),
    ("bad YAML", _write("r.yaml", "a: [1"), "merge r.yaml -o out", 2, "r.yaml:", ""),
    ("misspelt path", _nothing, "diff fintuned base -o out", 3, "'fintuned'", "'finetuned'"),
    ("empty path", _nothing, "inspect ", 3, "''", ""),
    ("cut short", _cut_short, DIFF, 3, "finetuned/model.safetensors", "try: "),
    ("LFS pointer", _write("v.safetensors", "version https://git-lfs.github.com/spec/v1\noid x\n"),
     "inspect v.safetensors", 3, "Git LFS pointer", "git lfs pull"),
    ("NaN", _with_nan, DIFF, 3, "'model.norm.weight'", "nonfinite"),
    ("other shape", _wider, DIFF, 4, "'model.norm.weight'", "different architectures"),
    ("name missing", _fewer, DIFF, 4, "'model.norm.weight'", "policy: {names: base}"),
    ("output exists", lambda folder: (folder / "out").mkdir(), DIFF, 5, "'out' exists", "--overwrite"),
    ("onto an input", _nothing, "diff finetuned base -o base --overwrite", 5,
     "is or holds the input 'base'", "write elsewhere"),
    ("stranger's folder", lambda folder: models.checkpoint(folder / "out", models.weights()),
     f"{DIFF} --overwrite", 5, "did not write", "remove it yourself"),
    ("through a link", _linked, DIFF, 5, "symbolic link", "try: "),
    ("no such folder", _nothing, "diff finetuned base -o no/such/out", 6,
     "the folder 'no/such' does not exist", "create it"),
    ("being written", _being_written, DIFF, 7, "is being written by process", "try: wait"),
    ("not in the cache", _nothing, "inspect hf://org/absent", 8, "org/absent", "try: "),
    ("quantised", _quantised, DIFF, 10, "gptq", "try: "),
    ("pickle", _pickled, DIFF, 10, "a pickle", "safetensors"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("prepare", "command", "status", "said", "tried"),
    [mistake[1:] for mistake in MISTAKES],
    ids=[mistake[0] for mistake in MISTAKES],
)
def test_a_mistake_has_its_exit_code_its_place_and_its_remedy(
    prepare: Prepare, command: str, status: int, said: str, tried: str,
    tiny: Tiny, run: Run, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from huggingface_hub import constants

    folder = tiny.base.parent
    monkeypatch.chdir(folder)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "no-cache"))
    prepare(folder)
    before = _everything(folder)

    ran = run(*command.split(" ") if command else [])

    assert (ran.status, ran.stdout) == (status, "")
    assert said in ran.stderr
    assert tried in ran.stderr
    assert "Traceback" not in ran.stderr
    assert _everything(folder) == before


def _everything(folder: Path) -> dict[str, bytes]:
    """Return every file below `folder` with its bytes, and every folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


def test_a_bug_keeps_its_traceback(tiny: Tiny, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("weightarith.store.open.read_single", broken)

    with pytest.raises(ZeroDivisionError):
        run("inspect", tiny.base)
