"""Inputs are told apart by their files, and opened by their headers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny
from tests.stores import ONE, VECTOR, refused, sharded
from weightarith.store import open_source


def test_a_folder_with_one_file_is_a_checkpoint_with_its_config(tmp_path: Path) -> None:
    weights = tiny.weights(tied=True)

    source = open_source(tiny.checkpoint(tmp_path, weights))

    assert (source.kind, source.folder, source.tied) == ("checkpoint", tmp_path, True)
    assert {name: stored.info.shape for name, stored in source.tensors.items()} == {
        name: values.shape for name, values in weights.items()
    }


def test_shards_are_one_checkpoint(tmp_path: Path) -> None:
    source = open_source(sharded(tmp_path))

    assert [file.path.name[:11] for file in source.files] == ["model-00001", "model-00002"]
    assert source.tensors["b"].file is source.files[1]
    assert source.config is None


def test_a_single_file_is_a_checkpoint_unless_its_header_says_vector(tmp_path: Path) -> None:
    tiny.save(tmp_path / "a.safetensors", ONE)
    tiny.save(tmp_path / "v.safetensors", ONE, metadata=VECTOR)

    assert open_source(tmp_path / "a.safetensors").kind == "checkpoint"
    assert open_source(tmp_path / "a.safetensors", "vector").kind == "vector"
    assert open_source(tmp_path / "v.safetensors").kind == "vector"
    assert open_source(tmp_path / "v.safetensors").metadata == VECTOR
    assert open_source(tmp_path / "v.safetensors").folder is None


def test_a_single_file_has_the_config_beside_it_only_as_the_model_of_its_folder(tmp_path: Path) -> None:
    tiny.checkpoint(tmp_path, tiny.weights(depth=1))
    tiny.save(tmp_path / "other.safetensors", ONE)

    assert open_source(tmp_path / "model.safetensors").config is not None
    assert open_source(tmp_path / "other.safetensors").config is None


def test_a_vector_folder_is_told_by_the_name_of_its_file(tmp_path: Path) -> None:
    tiny.save(tmp_path / "one" / "vector.safetensors", ONE)
    sharded(tmp_path / "many", "vector", VECTOR)

    assert open_source(tmp_path / "one").kind == "vector"
    assert open_source(tmp_path / "many").tensors.keys() == ONE.keys()
    assert open_source(tmp_path / "many").metadata == VECTOR


def test_a_vector_holds_dense_tensors_and_factors_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    tiny.save(
        path,
        {"norm": np.zeros(3), "q::A": np.zeros((2, 5)), "q::B": np.zeros((7, 2))},
        dtype="F32",
        metadata=VECTOR,
    )

    source = open_source(path)

    assert source.tensors.keys() == {"norm"}
    assert (source.factors["q"].shape, source.factors["q"].rank, source.factors["q"].scale) == ((7, 5), 2, 1)


def test_an_adapter_folder_is_an_adapter_and_passes_for_a_vector(tmp_path: Path) -> None:
    folder = tiny.adapter(tmp_path)

    assert open_source(folder).kind == open_source(folder, "vector").kind == "adapter"
    assert len(open_source(folder).factors) == 14
    assert open_source(folder).config is not None


def test_pickles_of_trainers_and_second_copies_beside_a_checkpoint_are_left_alone(tmp_path: Path) -> None:
    tiny.checkpoint(tmp_path, tiny.weights(depth=1))
    for name in ("pytorch_model.bin", "optimizer.pt", "consolidated.safetensors", "._model.safetensors"):
        (tmp_path / name).write_bytes(b"not read")

    assert open_source(tmp_path).kind == "checkpoint"


def test_a_folder_with_a_model_and_an_adapter_needs_to_be_told_which(tmp_path: Path) -> None:
    tiny.checkpoint(tmp_path, tiny.weights(depth=1))
    tiny.adapter(tmp_path)

    error = refused(tmp_path)

    assert "holds an adapter and 'model.safetensors': which of them is meant is not clear" in str(error)
    assert open_source(tmp_path, "checkpoint").kind == "checkpoint"
    assert open_source(tmp_path, "adapter").kind == "adapter"


@pytest.mark.parametrize(
    ("make", "kind", "found"),
    [
        (lambda path: tiny.checkpoint(path, tiny.weights(depth=1)), "vector", "checkpoint"),
        (lambda path: tiny.checkpoint(path, tiny.weights(depth=1)), "adapter", "checkpoint"),
        (tiny.adapter, "checkpoint", "adapter"),
        (lambda path: tiny.save(path / "vector.safetensors", ONE), "checkpoint", "vector"),
    ],
)
def test_another_kind_than_asked_for_is_refused(
    make: Callable[[Path], Any], kind: str, found: str, tmp_path: Path
) -> None:
    make(tmp_path)

    error = refused(tmp_path, kind)

    assert str(error) == f"{tmp_path} is of kind {found}, expected {kind}"
    assert error.exit_code == 10


def test_opening_reads_headers_only_and_imports_no_framework(tmp_path: Path) -> None:
    tiny.checkpoint(tmp_path / "base", tiny.weights(depth=1))
    tiny.adapter(tmp_path / "adapter", depth=1)
    program = (
        "import sys; from pathlib import Path; from weightarith.store import open_source\n"
        "for path in sys.argv[1:]: open_source(Path(path))\n"
        "print(*{'torch', 'transformers', 'peft', 'numpy', 'numba', 'huggingface_hub'} & sys.modules.keys())"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "base"), str(tmp_path / "adapter")]

    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert printed.strip() == ""
