"""Portable folders on the disk: PEFT, transformers and we read the change that was meant."""

from __future__ import annotations

import copy
import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.adapters import change, trained
from tests.adapters import llama as small_llama
from tests.export.models import FAMILIES, base_of, gpt2, llama, logits, moved, pairs, seeded
from tests.reference import read, snapshot
from tests.small import failing
from weightarith.adapter import read_adapter
from weightarith.adapter.portable import plan_portable
from weightarith.errors import IncompatibleError, NonFiniteError, StorageError, TargetError
from weightarith.export import Pair, fill_adapter, side_by_side, write_adapter
from weightarith.store import open_source


def written(folder: Path, base: Any, changes: dict[str, Pair], **options: Any) -> Path:
    ranks = {name: pair.rank for name, pair in changes.items()}
    write_adapter(folder, plan_portable(base, ranks, **options), changes)
    return folder


def gap(found: np.ndarray[Any, Any], meant: np.ndarray[Any, Any], start: np.ndarray[Any, Any]) -> float:
    """Return how far a result is from what was meant, in shares of the change."""
    return float(np.linalg.norm(found - meant) / np.linalg.norm(meant - start))


@pytest.mark.oracle
@pytest.mark.parametrize("family", FAMILIES)
def test_peft_reads_the_change_that_was_meant(tmp_path: Path, family: str) -> None:
    from peft import PeftModel

    model = seeded(FAMILIES[family])
    changes = pairs(base_of(model))
    folder = written(tmp_path / "adapter", base_of(model), changes)
    start, meant = logits(model), logits(moved(copy.deepcopy(model), changes))

    found = logits(PeftModel.from_pretrained(model, str(folder)))

    assert gap(found, meant, start) < 1e-5
    assert np.linalg.norm(found - meant) < 1e-3 * np.linalg.norm(meant)


@pytest.mark.oracle
def test_transformers_reads_it_too(tmp_path: Path) -> None:
    model = seeded(llama)
    changes = pairs(base_of(model))
    folder = written(tmp_path / "adapter", base_of(model), changes)
    start, meant = logits(model), logits(moved(copy.deepcopy(model), changes))

    model.load_adapter(str(folder))

    assert gap(logits(model), meant, start) < 1e-5


@pytest.mark.oracle
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_peft_finds_a_pair_for_each_module_it_looks_at_and_each_pair_a_module(
    tmp_path: Path, family: str
) -> None:
    from peft import PeftModel, get_peft_model_state_dict

    model = seeded(FAMILIES[family])
    base = base_of(model, name="")
    last = next(reversed(pairs(base)))
    folder = written(tmp_path / "adapter", base, {last: pairs(base)[last]})

    loaded = get_peft_model_state_dict(PeftModel.from_pretrained(model, str(folder)))

    stored = read(folder)
    assert loaded.keys() == stored.keys()
    assert all(np.array_equal(loaded[name].numpy(), raw.values) for name, raw in stored.items())


@pytest.mark.oracle
def test_the_difference_of_two_adapters_of_peft_is_the_dense_one_and_the_ranks_add(tmp_path: Path) -> None:
    targets = ["q_proj", "v_proj", "down_proj"]
    trained(small_llama(), tmp_path / "one", target_modules=targets, r=3, lora_alpha=16, use_rslora=True)
    trained(small_llama(), tmp_path / "two", target_modules=targets, r=2, lora_alpha=5)
    one, two = (read_adapter(tmp_path / name).factors for name in ("one", "two"))

    def pair(factored: Any) -> Pair:
        from tests.adapters import array

        left, right = (
            array(matrix.stored).T if matrix.transposed else array(matrix.stored)
            for matrix in (factored.left, factored.right)
        )
        return Pair(factored.scale * left, right)

    changes = {name: side_by_side([(1, pair(one[name])), (-1, pair(two[name]))]) for name in one}
    folder = written(tmp_path / "difference", base_of(small_llama()), changes)

    found = read_adapter(folder)
    assert found.config["r"] == found.config["lora_alpha"] == 5
    assert all(factored.rank == 5 for factored in found.factors.values())
    assert changes.keys() < found.factors.keys()
    for name, factored in found.factors.items():
        dense = change(one[name]) - change(two[name]) if name in changes else np.zeros(factored.shape)
        assert np.linalg.norm(change(factored) - dense) <= 1e-6 * np.linalg.norm(dense)


@pytest.mark.parametrize(("make", "code"), [(llama, "F32"), (llama, "BF16"), (gpt2, "F16")])
def test_our_own_reader_finds_the_change_rounded_once(tmp_path: Path, make: Any, code: str) -> None:
    model = seeded(make)
    changes = pairs(base_of(model))
    source = open_source(written(tmp_path / "adapter", base_of(model), changes, dtype=code))

    assert source.kind == "adapter"
    assert source.factors.keys() == changes.keys()
    tolerance = {"F32": 1e-7, "BF16": 1e-2, "F16": 1e-3}[code]
    stored = read(tmp_path / "adapter")
    assert {raw.code for raw in stored.values()} == {code}
    for name, pair in changes.items():
        prefix = f"base_model.model.{name.removesuffix('.weight')}"
        product = stored[f"{prefix}.lora_B.weight"].values @ stored[f"{prefix}.lora_A.weight"].values
        meant = pair.left @ pair.right
        assert np.linalg.norm((product.T if make is gpt2 else product) - meant) < tolerance * np.linalg.norm(
            meant
        )


def test_a_folder_holds_two_files_of_equal_bytes_each_time_and_no_path(tmp_path: Path) -> None:
    model = seeded(llama)
    base = base_of(model, name=str(tmp_path / "models" / "base"))
    for folder in ("one", "two"):
        written(tmp_path / folder, base, pairs(base))

    one, two = snapshot(tmp_path / "one"), snapshot(tmp_path / "two")
    assert one == two
    assert one.keys() == {"adapter_config.json", "adapter_model.safetensors"}
    assert json.loads(one["adapter_config.json"])["base_model_name_or_path"] == "base"
    assert not any(
        str(tmp_path).encode() in content for content in one.values() if isinstance(content, bytes)
    )


def test_pairs_are_asked_for_one_at_a_time(tmp_path: Path) -> None:
    base = base_of(seeded(llama))
    changes = pairs(base)
    asked = []

    class Lazy(dict[str, Pair]):
        def __getitem__(self, name: str) -> Pair:
            asked.append(name)
            return super().__getitem__(name)

    write_adapter(
        tmp_path / "adapter",
        plan_portable(base, {name: pair.rank for name, pair in changes.items()}),
        Lazy(changes),
    )
    assert sorted(asked) == sorted(changes)


def test_an_existing_folder_is_replaced_only_when_asked_and_only_an_output_of_ours(tmp_path: Path) -> None:
    base = base_of(seeded(llama))
    changes = pairs(base)
    plan = plan_portable(base, {name: pair.rank for name, pair in changes.items()})
    target = tmp_path / "adapter"
    write_adapter(target, plan, changes, beside={"weightarith.json": b"{}\n"})

    with pytest.raises(TargetError, match="exists"):
        write_adapter(target, plan, changes)
    write_adapter(target, plan, pairs(base, seed=1), overwrite=True)
    with pytest.raises(TargetError, match="a folder that weightarith did not write"):
        write_adapter(target, plan, changes, overwrite=True)
    with pytest.raises(TargetError, match="is or holds the input"):
        write_adapter(tmp_path / "in", plan, changes, inputs=[tmp_path / "in" / "x.safetensors"])


@pytest.mark.parametrize(
    ("spoil", "error", "told"),
    [
        (
            lambda pair: Pair(pair.left[:, :1], pair.right[:1]),
            IncompatibleError,
            "of rank 1, expected .* of rank 2",
        ),
        (
            lambda pair: Pair(pair.left[1:], pair.right),
            IncompatibleError,
            r"is \[15, 16\] of rank 2, expected \[16, 16\]",
        ),
        (
            lambda pair: Pair(pair.left * np.nan, pair.right),
            NonFiniteError,
            r"q_proj\.lora_B\.weight' holds nan at element 0",
        ),
    ],
)
def test_what_was_not_planned_is_an_error_and_leaves_nothing(
    tmp_path: Path, spoil: Any, error: type[Exception], told: str
) -> None:
    base = base_of(seeded(llama))
    changes = pairs(base, ranks=[2])
    plan = plan_portable(base, {name: pair.rank for name, pair in changes.items()})
    name = "model.layers.1.self_attn.q_proj.weight"

    with pytest.raises(error, match=told):
        write_adapter(tmp_path / "adapter", plan, {**changes, name: spoil(changes[name])})
    assert not list(tmp_path.iterdir())


def test_a_missing_pair_is_named(tmp_path: Path) -> None:
    base = base_of(seeded(llama))
    name = "model.layers.1.self_attn.q_proj.weight"

    with pytest.raises(IncompatibleError, match=r"q_proj\.weight' was planned and is not given"):
        fill_adapter(tmp_path, plan_portable(base, {name: 1}), {})


def test_a_file_that_is_there_already_is_not_written_over(tmp_path: Path) -> None:
    base = base_of(seeded(llama))
    changes = pairs(base)
    plan = plan_portable(base, {name: pair.rank for name, pair in changes.items()})
    (tmp_path / "adapter_model.safetensors").write_bytes(b"x")

    with pytest.raises(StorageError, match=r"adapter_model\.safetensors': File exists"):
        fill_adapter(tmp_path, plan, changes)
    assert (tmp_path / "adapter_model.safetensors").read_bytes() == b"x"


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = base_of(seeded(llama))
    changes = pairs(base)
    plan = plan_portable(base, {name: pair.rank for name, pair in changes.items()})
    monkeypatch.setattr("weightarith.export.folder.os.fsync", failing(os.fsync, 1, errno.ENOSPC))

    with pytest.raises(StorageError, match=r"'.*adapter_model\.safetensors'.*No space left"):
        fill_adapter(tmp_path, plan, changes)
