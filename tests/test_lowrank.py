"""Compression from Python: whom an adapter is for, what stays exact, and what memory and disks may do."""

from __future__ import annotations

import errno
import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weightarith as wa
from tests import tiny as models
from tests.conftest import Tiny
from tests.lowrank import changes, energies, pairs, products, truncated, vector
from tests.reference import snapshot
from tests.small import with_head
from weightarith.errors import (
    IncompatibleError,
    InvalidFileError,
    NonFiniteError,
    RecipeError,
    StorageError,
    TargetError,
    UnsupportedError,
)
from weightarith.lowrank import Goal, Scratch, decompose, prepare
from weightarith.operators.field import Product

Q, NORM, HEAD = "model.layers.0.self_attn.q_proj.weight", "model.norm.weight", "lm_head.weight"
COMMIT = "7e27bd9f9532".ljust(40, "0")


@pytest.fixture
def base(tiny: Tiny) -> wa.Checkpoint:
    return wa.Checkpoint.open(tiny.base, label="base")


def test_a_difference_of_models_is_exported_for_the_model_it_is_measured_from(
    tiny: Tiny, base: wa.Checkpoint, tmp_path: Path
) -> None:
    task = wa.Checkpoint.open(tiny.finetuned, label="ft") - base
    receipt = wa.export_adapter(2 * task, tmp_path / "adapter", rank=4)

    after, before = models.load(tiny.finetuned), models.load(tiny.base)
    found = pairs(models.load(tmp_path / "adapter"))
    for name in receipt["tensors"]:
        meant = truncated(2 * (after[name].astype(np.float64) - before[name]), 4)
        assert np.allclose(found[name], meant, rtol=0, atol=1e-6)
    rest = models.load(tmp_path / "adapter-residual.safetensors")
    assert np.array_equal(rest[NORM], 2 * (after[NORM] - before[NORM]))
    assert receipt["expression"] == "compress(2·ft − 2·base, rank=4)"
    assert [each["label"] for each in receipt["inputs"]] == ["base", "ft"]


def test_sums_of_adapters_are_exported_exactly_and_ranks_add(
    tiny: Tiny, base: wa.Checkpoint, tmp_path: Path
) -> None:
    one, two = (wa.Vector.open(path) for path in (tiny.positive, tiny.negative))
    receipt = wa.export_adapter(one - Fraction(1, 2) * two, tmp_path / "a", rank=8, base=base)

    first, second = (pairs(models.load(path)) for path in (tiny.positive, tiny.negative))
    found = pairs(models.load(tmp_path / "a"))
    for name in first:
        dense = 2 * first[name] - second[name]  # alpha / rank is 2
        assert np.linalg.norm(found[name] - dense) <= 1e-6 * np.linalg.norm(dense)
    assert receipt["rank"] == 8
    assert all(one["exact"] and one["error"] == 0 for one in receipt["tensors"].values())


def test_a_vector_is_saved_with_its_matrices_in_factors(
    tiny: Tiny, base: wa.Checkpoint, tmp_path: Path
) -> None:
    task = wa.Checkpoint.open(tiny.finetuned, label="ft") - base
    receipt = wa.save_compressed(task, tmp_path / "c", energy=0.7, rank=5, dtype="float64", shard_size=20_000)

    written = models.load(tmp_path / "c")
    assert receipt["files"].keys() == {path.name for path in (tmp_path / "c").glob("*.safetensors")}
    assert len(receipt["files"]) > 1
    for name, one in receipt["tensors"].items():
        change = models.load(tiny.finetuned)[name].astype(np.float64) - models.load(tiny.base)[name]
        assert one["rank"] == min(int((energies(change) < 0.7).sum()) + 1, 5)
        assert np.allclose(products(written)[name], truncated(change, one["rank"]), rtol=0, atol=1e-7)
    again = wa.Vector.open(tmp_path / "c")
    assert again.source.factors.keys() == receipt["tensors"].keys()
    assert again.source.metadata["weightarith.expression"] == "compress(ft − base, rank=5, energy=0.7)"
    said = json.loads((tmp_path / "c" / "weightarith.json").read_text())
    assert said["tensors"][f"{Q}::B"]["gain"] == pytest.approx(receipt["tensors"][Q]["energy"], rel=1e-5)


def test_what_compress_does_in_a_recipe_the_command_does_too(tiny: Tiny, tmp_path: Path) -> None:
    adapter = wa.Vector.open(tiny.positive)
    wa.save(wa.compress(adapter, rank=2), tmp_path / "sum.safetensors")
    wa.save_compressed(adapter, tmp_path / "whole.safetensors", rank=2)

    one, two = (models.load(tmp_path / f"{name}.safetensors") for name in ("sum", "whole"))
    assert one.keys() == two.keys()
    assert all(np.allclose(one[name], two[name], rtol=0, atol=1e-12) for name in one)


def cached(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the tiny base into a cache of the Hub's, and return its snapshot."""
    from huggingface_hub import constants

    model = folder / "hub" / "models--org--base"
    models.checkpoint(model / "snapshots" / COMMIT, models.weights())
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
    return model / "snapshots" / COMMIT


def said_to_be_for(adapter: Path, name: str) -> wa.Vector:
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": name}))
    return wa.Vector.open(adapter, label=adapter.name)


def base_said(adapter: Path) -> tuple[str, str | None]:
    config = json.loads((adapter / "adapter_config.json").read_text())
    return config["base_model_name_or_path"], config["revision"]


def test_a_model_that_an_adapter_names_is_found_in_the_cache(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached(tmp_path, monkeypatch)
    wa.export_adapter(said_to_be_for(tiny.positive, "org/base"), tmp_path / "a", rank=4)

    assert base_said(tmp_path / "a") == ("org/base", COMMIT)


def test_a_copy_of_the_model_elsewhere_goes_by_the_name_that_is_recorded(
    tiny: Tiny, base: wa.Checkpoint, tmp_path: Path
) -> None:
    wa.export_adapter(said_to_be_for(tiny.positive, "org/base"), tmp_path / "a", rank=4, base=base)

    assert base_said(tmp_path / "a") == ("org/base", None)
    assert str(tmp_path) not in (tmp_path / "a" / "adapter_config.json").read_text()


def test_a_model_that_nothing_leads_to_is_asked_for(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached(tmp_path, monkeypatch)
    one, two = said_to_be_for(tiny.positive, "org/base"), said_to_be_for(tiny.negative, "org/other")

    with pytest.raises(RecipeError, match="org/other at revision 'main' is not in the Hub's cache"):
        wa.export_adapter(two, tmp_path / "a", rank=4)
    with pytest.raises(RecipeError, match=r"which one positive − negative moves is not recorded.*\n.*base="):
        wa.export_adapter(one - two, tmp_path / "a", rank=4)


def test_a_base_of_other_tensors_is_warned_of(tiny: Tiny, base: wa.Checkpoint, tmp_path: Path) -> None:
    wa.save(wa.Checkpoint.open(tiny.finetuned) - base, tmp_path / "v.safetensors")
    task = wa.Vector.open(tmp_path / "v.safetensors")
    deeper = wa.Checkpoint.open(models.checkpoint(tmp_path / "deeper", models.weights(depth=3)))

    receipt = wa.export_adapter(task, tmp_path / "a", rank=4, base=deeper)

    assert "v.safetensors was measured from base, whose tensors differ" in receipt["warnings"][0]


def test_a_fully_trained_head_goes_to_the_residual_as_its_change(
    tiny: Tiny, base: wa.Checkpoint, tmp_path: Path
) -> None:
    trained = wa.Vector.open(with_head(tiny.positive, 0.5))
    receipt = wa.export_adapter(trained, tmp_path / "a", rank=4, base=base)

    rest = models.load(tmp_path / "a-residual.safetensors")
    assert rest.keys() == receipt["residual"]["tensors"].keys() == {HEAD}
    assert np.allclose(rest[HEAD], 0.5 - models.load(tiny.base)[HEAD], rtol=0, atol=1e-7)


def test_what_does_not_move_is_nowhere(base: wa.Checkpoint, tmp_path: Path) -> None:
    given = {name: 0 * change for name, change in changes(models.weights(), 1).items()}
    given[Q] = changes(models.weights(), 1)[Q]
    task = wa.Vector.open(vector(tmp_path / "v.safetensors", given))
    receipt = wa.export_adapter(task, tmp_path / "a", rank=4, base=base)

    assert receipt["residual"] is None
    assert not (tmp_path / "a-residual.safetensors").exists()
    assert {name for name, one in receipt["tensors"].items() if one["rank"]} == {Q}
    found = pairs(models.load(tmp_path / "a"))
    assert [name for name, change in found.items() if change.any()] == [Q]


def test_numbers_that_are_none_are_refused(base: wa.Checkpoint, tmp_path: Path) -> None:
    given = changes(models.weights(), 1)
    given[Q][3, 3] = np.nan
    task = wa.Vector.open(vector(tmp_path / "v.safetensors", given))

    with pytest.raises(NonFiniteError, match=Q):
        wa.export_adapter(task, tmp_path / "a", rank=4, base=base)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".", "a"))] == []


def test_a_model_type_that_has_no_gguf_is_refused_before_a_weight_is_read(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads((tiny.base / "config.json").read_text())
    (tiny.base / "config.json").write_text(json.dumps({**config, "model_type": "bert"}))

    def read(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("weightarith.tensorfile.reader.OpenFile.read_into", read)
    with pytest.raises(UnsupportedError, match="'bert' model is not known"):
        wa.export_adapter(
            wa.Vector.open(tiny.positive), tmp_path / "a.gguf", rank=4, format="gguf",
            base=wa.Checkpoint.open(tiny.base),
        )  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"rank": 4, "format": "gptq"}, {"rank": -1}, {"energy": 2}])
def test_a_goal_without_meaning_is_refused(
    options: dict[str, Any], tiny: Tiny, base: wa.Checkpoint, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError):
        wa.export_adapter(wa.Vector.open(tiny.positive), tmp_path / "a", base=base, **options)


def test_a_model_is_no_vector(base: wa.Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"compress\(\) takes vectors, and base is a model"):
        wa.save_compressed(base, tmp_path / "c.safetensors", rank=4)


def test_a_sum_is_not_written_under_the_name_of_a_gguf_file(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"a vector is written as safetensors\n.*--format gguf"):
        wa.save(wa.Vector.open(tiny.positive), tmp_path / "v.gguf")


def test_a_shape_of_another_model_is_named(base: wa.Checkpoint, tmp_path: Path) -> None:
    task = wa.Vector.open(vector(tmp_path / "v.safetensors", {Q: np.ones((17, 16))}))

    with pytest.raises(IncompatibleError, match=rf"moves '{Q}' of shape \[17, 16\], and in base it is of"):
        wa.export_adapter(task, tmp_path / "a", rank=4, base=base)


def test_an_input_that_changes_meanwhile_is_told(tiny: Tiny, tmp_path: Path) -> None:
    job = prepare(wa.Vector.open(tiny.positive), Goal(tmp_path / "c.safetensors", rank=2))
    os.utime(tiny.positive / "adapter_model.safetensors", (1, 1))

    with pytest.raises(InvalidFileError, match="adapter_model"):
        decompose(job, None)


def test_factors_put_by_come_back_to_the_bit(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    kept = [
        Product(
            random.standard_normal((5, rank)).astype(kind), random.standard_normal((rank, 7)).astype(kind)
        )
        for rank, kind in ((1, np.float32), (3, np.float64), (2, np.float32))
    ]
    with Scratch.beside(tmp_path / "out") as scratch:
        places = [scratch.keep(product) for product in kept]
        assert list(tmp_path.iterdir()) == []  # the file has no name
        for place, product in reversed(list(zip(places, kept, strict=True))):
            back = scratch.take(place)
            assert (back.left.dtype, back.right.dtype) == (product.left.dtype, product.right.dtype)
            assert np.array_equal(back.left, product.left)
            assert np.array_equal(back.right, product.right)


@pytest.mark.parametrize("call", ["pwrite", "pread"])
def test_a_disk_that_fails_while_factors_are_put_by_leaves_nothing(
    call: str, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(tmp_path)

    def failing(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(f"weightarith.lowrank.scratch.os.{call}", failing)
    with pytest.raises(StorageError, match="No space left"):
        wa.save_compressed(wa.Vector.open(tiny.positive), tmp_path / "c.safetensors", rank=2)
    assert snapshot(tmp_path) == before
