"""Folders whose index, shards and config do not agree, or that hold no model: each is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import tiny
from tests.stores import INDEX, ONE, VECTOR, refused, sharded, write_json
from weightarith.errors import InvalidFileError
from weightarith.store import open_source


def place(folder: Path, **changes: Any) -> None:
    """Change where the index of `folder` says tensors are; `...` removes one."""
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    placed = index["weight_map"] | changes
    index["weight_map"] = {name: shard for name, shard in placed.items() if shard is not ...}
    write_json(folder / INDEX, index)


@pytest.mark.parametrize(
    ("shard", "found"),
    [
        ("../canary.safetensors", "'../canary.safetensors'"),
        ("/etc/passwd", "'/etc/passwd'"),
        ("/etc/x.safetensors", "'/etc/x.safetensors'"),
        ("C:\\x.safetensors", "'C:\\x.safetensors'"),
        ("C:x.safetensors", "'C:x.safetensors'"),
        ("sub/x.safetensors", "'sub/x.safetensors'"),
        ("x\0.safetensors", "'x\\x00.safetensors'"),
        ("x\x1b[2J.safetensors", "'x\\x1b[2J.safetensors'"),
        (".hidden.safetensors", "'.hidden.safetensors'"),
        ("x" * 300 + ".safetensors", "'xxxx"),
        ("..", "'..'"),
        ("", "''"),
        ("pytorch_model.bin", "'pytorch_model.bin'"),
        (None, "None"),
        (["model.safetensors"], "['model.safetensors']"),
        (7, "7"),
    ],
)
def test_an_index_names_plain_files_of_its_own_folder(shard: Any, found: str, tmp_path: Path) -> None:
    tiny.save(tmp_path / "canary.safetensors", {"a": np.zeros((2, 3))})
    folder = sharded(tmp_path / "model")
    place(folder, a=shard)

    error = refused(folder)

    assert f"{INDEX} places 'a' in {found}" in str(error)
    assert "expected the plain name of a .safetensors file" in str(error)
    assert error.exit_code == 3


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shard=st.text() | st.text("./\\:\0~ab").map(lambda text: text + ".safetensors"))
def test_no_text_in_an_index_is_a_crash_or_a_way_out(shard: str, tmp_path: Path) -> None:
    folder = sharded(tmp_path / "model")
    place(folder, a=shard)

    assert refused(folder).exit_code == 3


FIRST, SECOND = (f"model-0000{shard}-of-00002.safetensors" for shard in (1, 2))


def remove(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).unlink()


def dangle(folder: Path) -> None:
    remove(folder, SECOND)
    (folder / SECOND).symlink_to("../blobs/gone")


def write(folder: Path, name: str, content: str | bytes) -> None:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "shard missing": (lambda f: remove(f, FIRST), f"names 2 files and 1 are missing: '{FIRST}'"),
    "shard a dangling link": (dangle, f"names 2 files and 1 are missing: '{SECOND}'"),
    "shard never there": (
        lambda f: place(f, c="other.safetensors"),
        "names 3 files and 1 are missing: 'other.safetensors'",
    ),
    "stale file": (
        lambda f: tiny.save(f / "stale.safetensors", ONE),
        f"holds 'stale.safetensors', not named by '{INDEX}'",
    ),
    "whole model beside": (
        lambda f: tiny.save(f / "model.safetensors", ONE),
        "holds 'model.safetensors', not named by",
    ),
    "vector beside": (
        lambda f: tiny.save(f / "vector.safetensors", ONE),
        "holds 'vector.safetensors', not named by",
    ),
    "shards exchanged": (
        lambda f: place(f, a=SECOND, b=FIRST),
        f"places 'a' in '{SECOND}', which does not hold it; '{FIRST}' does",
    ),
    "tensor nowhere": (lambda f: place(f, c=FIRST), f"places 'c' in '{FIRST}', which does not hold it"),
    "tensor not in the index": (
        lambda f: tiny.save(f / SECOND, {"b": ONE["b"], "c": ONE["b"]}),
        "holds 'c', and the index lacks it",
    ),
    "tensor in two shards": (
        lambda f: tiny.save(f / SECOND, ONE),
        f"{SECOND} holds 'a', and the index places it in '{FIRST}'",
    ),
    "index cut": (lambda f: write(f, INDEX, "{"), f"{INDEX}: not valid JSON: "),
    "index empty": (lambda f: write(f, INDEX, ""), f"{INDEX}: not valid JSON: "),
    "index not UTF-8": (lambda f: write(f, INDEX, b"\xff{}"), f"{INDEX}: not valid JSON: 'utf-8' codec"),
    "index with a name twice": (
        lambda f: write(f, INDEX, '{"weight_map": {"a": "x", "a": "y"}}'),
        "'a' is there twice, and readers do not agree which one counts",
    ),
    "index without tensors": (lambda f: write(f, INDEX, '{"weight_map": {}}'), "has no weight_map"),
    "index without map": (lambda f: write(f, INDEX, "{}"), "has no weight_map"),
    "index a list": (lambda f: write(f, INDEX, "[]"), "its JSON is a list, expected an object"),
    "index too deep": (lambda f: write(f, INDEX, "[" * 100_000), "its JSON is nested too deep"),
    "index missing": (lambda f: remove(f, INDEX), f"holds 2 safetensors files and no {INDEX}"),
    "one shard alone": (lambda f: remove(f, INDEX, SECOND), f"{FIRST} is one of 2 files, and there is no"),
    "config with a key twice": (
        lambda f: write(f, "config.json", '{"a": 1, "a": 2}'),
        "config.json: not valid JSON: 'a' is there twice",
    ),
    "config null": (lambda f: write(f, "config.json", "null"), "config.json: its JSON is a NoneType"),
    "config a pipe": (lambda f: os.mkfifo(f / "config.json"), "config.json is a named pipe"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_folder_that_does_not_agree_with_itself_is_refused(damage: str, tmp_path: Path) -> None:
    do, message = DAMAGE[damage]
    folder = sharded(tmp_path / "model")
    do(folder)

    error = refused(folder)

    assert message in str(error)
    assert isinstance(error, InvalidFileError)


def test_a_config_over_the_limit_is_not_read(tmp_path: Path) -> None:
    folder = sharded(tmp_path)
    with (folder / "config.json").open("wb") as file:
        file.truncate(20_000_000)

    assert "has 20,000,000 bytes, and at most 16,000,000 are read" in str(refused(folder))


def test_a_config_is_data_and_its_code_references_are_never_followed(tmp_path: Path) -> None:
    folder = sharded(tmp_path)
    config = {"auto_map": {"AutoModel": "evil--x.Y"}, "time_step_limit": [0.0, float("inf")]}
    write_json(folder / "config.json", config)

    assert open_source(folder).config == config


@pytest.mark.parametrize(
    ("names", "exit_code", "message"),
    [
        (["pytorch_model.bin"], 10, "pytorch_model.bin is a pickle"),
        (["pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json"], 10, "is a pickle"),
        (["model.pt", "optimizer.pt"], 10, "model.pt is a pickle"),
        (["model.pth", "rng_state.pth"], 10, "model.pth is a pickle"),
        (["model.Q4_K_M.gguf", "README.md"], 10, "model.Q4_K_M.gguf is GGUF"),
        (["consolidated.safetensors", "params.json"], 10, "has Mistral's own tensor names"),
        (["consolidated.00.pth"], 10, "is a pickle"),
        (["tf_model.h5"], 10, "is of another framework"),
        (["optimizer.pt", "training_args.bin", "rng_state_0.pth"], 3, "holds no .safetensors file; it holds"),
        (["config.json"], 3, "holds no .safetensors file; it holds 'config.json'"),
        ([], 3, "it holds nothing"),
    ],
)
def test_a_folder_without_safetensors_says_what_it_holds(
    names: list[str], exit_code: int, message: str, tmp_path: Path
) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"never read")

    error = refused(tmp_path)

    assert message in str(error)
    assert error.exit_code == exit_code


def test_shards_of_two_vectors_do_not_make_one(tmp_path: Path) -> None:
    sharded(tmp_path, "vector", VECTOR | {"weightarith.expression": "a - b"})
    second = tmp_path / "vector-00002-of-00002.safetensors"
    tiny.save(second, {"b": ONE["b"]}, metadata=VECTOR | {"weightarith.expression": "a - c"})

    assert "their metadata differ in 'weightarith.expression'" in str(refused(tmp_path))
