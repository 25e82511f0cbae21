from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tests.benchmarks.agreement import Agreement, compare
from tests.benchmarks.checkpoints import (
    ADAPTER,
    BASE,
    RANK,
    TUNINGS,
    Size,
    many_shapes,
    shapes_of,
    write_models,
    write_zeros,
)
from weightarith.store import open_source

SMALL = Size(width=64, inner=128, layers=2, heads=4, groups=2, vocabulary=500, shard_bytes=100_000)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_models(SMALL, tmp_path)
    return tmp_path


def test_models_are_sharded_and_open_as_checkpoints(models: Path) -> None:
    for model in (BASE, *TUNINGS):
        source = open_source(models / model)
        assert source.kind == "checkpoint"
        assert source.tied
        assert len(source.files) > 1
        assert {name: stored.info.shape for name, stored in source.tensors.items()} == shapes_of(SMALL)


def test_the_adapter_opens_and_moves_every_linear_module(models: Path) -> None:
    factors = open_source(models / ADAPTER).factors
    assert len(factors) == 7 * SMALL.layers
    assert {factored.rank for factored in factors.values()} == {RANK}


def test_equal_arguments_give_equal_bytes(models: Path, tmp_path: Path) -> None:
    write_models(SMALL, tmp_path / "again")
    first = sorted(path for path in models.rglob("*") if path.is_file() and "again" not in path.parts)
    again = [tmp_path / "again" / path.relative_to(models) for path in first]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]


def test_fine_tunes_lie_as_far_from_the_base_as_they_say(models: Path) -> None:
    base = tiny.load(models / BASE)
    name = "model.embed_tokens.weight"
    assert base[name].std() == pytest.approx(0.02, rel=0.05)
    for model, spread in TUNINGS.items():
        moved = tiny.load(models / model)[name] - base[name]
        assert moved.std() == pytest.approx(spread, rel=0.05)


def test_models_of_zeros_take_no_room(tmp_path: Path) -> None:
    write_zeros(tmp_path, {"model.norm.weight": (1 << 24,)})
    file = tmp_path / BASE / "model.safetensors"
    assert file.stat().st_size > 1 << 25
    assert file.stat().st_blocks * 512 < 1 << 20
    assert open_source(tmp_path / BASE).tensors["model.norm.weight"].info.shape == (1 << 24,)


def test_many_shapes_are_that_many() -> None:
    assert len(many_shapes(20_000)) == 20_000


def test_agreement_counts_what_differs_and_how_far(tmp_path: Path) -> None:
    weights = np.array([1.0, -1.0, 0.0, 2.0], np.float32)
    other = np.array([1.0, -1.0078125, -0.0, 2.03125], np.float32)  # 0, 1, 0 and 2 units away
    tiny.save(tmp_path / "one" / "model.safetensors", {"w": weights})
    tiny.save(tmp_path / "other" / "model.safetensors", {"w": other})
    assert compare(tmp_path / "one", tmp_path / "other") == Agreement(4, 2, 2)


def test_agreement_needs_the_same_tensors(tmp_path: Path) -> None:
    tiny.save(tmp_path / "one" / "model.safetensors", {"w": np.zeros(4, np.float32)})
    tiny.save(tmp_path / "other" / "model.safetensors", {"w": np.zeros(5, np.float32)})
    with pytest.raises(ValueError, match="hold different tensors"):
        compare(tmp_path / "one", tmp_path / "other")


def test_index_names_the_bytes_of_the_weights(models: Path) -> None:
    index = json.loads((models / BASE / "model.safetensors.index.json").read_text())
    files = [path.stat().st_size for path in (models / BASE).glob("*.safetensors")]
    assert 0 < sum(files) - index["metadata"]["total_size"] < 10_000
