"""Planted edits: each is found and named, alone, amid a fine-tune, and several at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tests.audit import edits
from tests.audit.edits import DEPTH, DOWN, EMBED, GATE, OUT, Edit, audited, kinds, lora

SWAP = ("swapped", "layers 1 and 8")
CASES = [
    (edits.row, ("scaled-rows", DOWN)),
    (edits.column, ("scaled-columns", GATE)),
    (edits.rank_one, ("low-rank", OUT)),
    (edits.swap, SWAP),
    (edits.rounded, ("rounded", "model.layers.5.mlp.up_proj.weight")),
    (edits.token, ("tokens", EMBED)),
]


@pytest.mark.parametrize(("edit", "expected"), CASES)
@pytest.mark.parametrize("dtype", ["BF16", "F32"])
def test_a_planted_edit_is_the_one_finding(
    edit: Edit, expected: tuple[str, str], dtype: str, tmp_path: Path
) -> None:
    assert kinds(audited(tmp_path, edit, dtype=dtype)) == [expected]


@pytest.mark.parametrize(("edit", "expected"), CASES[:4])
def test_a_planted_edit_is_found_amid_a_fine_tune_of_every_weight(
    edit: Edit, expected: tuple[str, str], tmp_path: Path
) -> None:
    tuned = tiny.finetuned(tiny.weights(depth=DEPTH), seed=1, size=0.001)

    assert kinds(audited(tmp_path, edit, dtype="F32", tuned=tuned)) == [expected]


def test_several_edits_at_once_are_all_named_what_matters_most_first(tmp_path: Path) -> None:
    found = audited(tmp_path, *(edit for edit, _ in CASES))

    assert sorted(kinds(found)) == sorted(expected for _, expected in CASES)
    assert kinds(found)[0] == SWAP


def test_a_scaled_row_is_told_with_its_number_and_its_ratio(tmp_path: Path) -> None:
    (finding,) = audited(tmp_path, edits.row, dtype="F32").findings

    assert finding.what == "row 5 is scaled by 1.5"
    assert finding.numbers["row"] == [5]
    assert finding.numbers["ratio"] == [pytest.approx(1.5)]
    assert finding.chance is not None
    assert finding.chance < 1e-6
    assert "no other changed so among 16" in finding.why


def test_a_row_of_zeros_is_said_to_be_set_to_zero(tmp_path: Path) -> None:
    def zero(tensors: tiny.Tensors) -> None:
        tensors[DOWN][2] = 0

    (finding,) = audited(tmp_path, zero).findings

    assert finding.what == "row 2 is set to zero"


def test_a_scaled_tensor_is_told_as_one_and_not_row_by_row(tmp_path: Path) -> None:
    def scale(tensors: tiny.Tensors) -> None:
        tensors[OUT] = tensors[OUT] * np.float32(1.25)

    (finding,) = audited(tmp_path, scale).findings

    assert (finding.kind, finding.where, finding.what) == ("scaled-tensor", OUT, "is scaled by 1.25")


def test_of_a_scaled_tensor_it_is_told_what_a_factor_does_not_explain(tmp_path: Path) -> None:
    before = tiny.weights(depth=DEPTH)[OUT].astype(np.float64)
    noise = 0.0004 * np.random.default_rng(2).standard_normal(before.shape)

    def scale(tensors: tiny.Tensors) -> None:
        tensors[OUT] = (1.25 * before + noise).astype(np.float32)

    (finding,) = audited(tmp_path, scale, dtype="F32").findings

    change = 0.25 * before + noise
    along = (change * before).sum() / (before**2).sum() * before
    assert finding.kind == "scaled-tensor"
    assert finding.numbers["rest"] == pytest.approx(
        np.linalg.norm(change - along) / np.linalg.norm(before), rel=1e-3
    )


def test_a_low_rank_edit_is_told_with_its_rank_and_singular_values(tmp_path: Path) -> None:
    (finding,) = audited(tmp_path, edits.rank_one).findings

    assert finding.numbers["rank"] == 1
    assert finding.numbers["held"] > 0.99
    assert "peers did not change at all" in finding.why


def test_a_copy_of_another_layer_is_told_with_its_source(tmp_path: Path) -> None:
    def copy(tensors: tiny.Tensors) -> None:
        for name in [name for name in tensors if name.startswith("model.layers.3.")]:
            tensors[name] = tensors[name.replace(".3.", ".6.", 1)]

    (finding,) = audited(tmp_path, copy).findings

    assert (finding.kind, finding.where, finding.what) == ("swapped", "layer 3", "holds layer 6 of base")


def test_one_tensor_put_in_the_place_of_another_is_named_with_it(tmp_path: Path) -> None:
    def exchange(tensors: tiny.Tensors) -> None:
        name, other = GATE, GATE.replace("gate", "up")
        tensors[name], tensors[other] = tensors[other], tensors[name]

    found = audited(tmp_path, exchange).findings

    other = GATE.replace("gate", "up")
    assert {(one.kind, one.where, one.numbers["source"]) for one in found} == {
        ("swapped", GATE, other),
        ("swapped", other, GATE),
    }


def test_layers_that_moved_up_are_each_told_with_the_layer_they_were(tmp_path: Path) -> None:
    def shift(tensors: tiny.Tensors) -> None:
        kept = edits.copied(tensors)
        for name in [name for name in tensors if name.startswith("model.layers.")]:
            layer = int(name.split(".")[2])
            if layer < DEPTH - 1:
                tensors[name] = kept[name.replace(f".{layer}.", f".{layer + 1}.", 1)]

    found = audited(tmp_path, shift).findings

    assert {one.numbers["layer"]: one.numbers["source"] for one in found} == {
        layer: layer + 1 for layer in range(DEPTH - 1)
    }


def test_a_tensor_on_a_grid_of_integers_is_rounded(tmp_path: Path) -> None:
    def quantise(tensors: tiny.Tensors) -> None:
        step = np.abs(tensors[GATE]).max(axis=1, keepdims=True) / 127
        tensors[GATE] = (np.rint(tensors[GATE] / step) * step).astype(np.float32)

    (finding,) = audited(tmp_path, quantise, dtype="F32").findings

    assert (finding.kind, finding.where) == ("rounded", GATE)
    assert finding.numbers["form"] == "int8, a scale for each row"
    assert f"and {DEPTH - 1} peers still need what they did" in finding.why


def test_a_tensor_much_larger_changed_than_its_peers_stands_out(tmp_path: Path) -> None:
    tuned = tiny.finetuned(tiny.weights(depth=DEPTH), seed=1, size=0.001)

    def more(tensors: tiny.Tensors) -> None:
        tensors[DOWN] += 0.05 * np.random.default_rng(1).standard_normal(tensors[DOWN].shape).astype("f4")

    (finding,) = audited(tmp_path, more, dtype="F32", tuned=tuned).findings

    assert (finding.kind, finding.where) == ("size", DOWN)
    assert finding.numbers["relative"] > 30 * finding.numbers["median"]


def test_a_large_low_rank_edit_amid_an_adapter_is_called_low_rank(tmp_path: Path) -> None:
    tuned = lora(tiny.weights(depth=DEPTH), seed=1, rank=3, size=0.0003)

    (finding,) = audited(tmp_path, edits.rank_one, tuned=tuned, dtype="F32").findings

    assert (finding.kind, finding.where) == ("low-rank", OUT)


def test_a_change_of_one_tensor_of_full_rank_is_alone(tmp_path: Path) -> None:
    def one(tensors: tiny.Tensors) -> None:
        tensors[DOWN] += 0.05 * np.random.default_rng(1).standard_normal(tensors[DOWN].shape).astype("f4")

    assert kinds(audited(tmp_path, one)) == [("alone", DOWN)]


def test_a_tensor_left_out_of_a_fine_tune_is_told(tmp_path: Path) -> None:
    base = tiny.weights(depth=DEPTH)

    def restore(tensors: tiny.Tensors) -> None:
        tensors[GATE] = base[GATE]

    found = audited(tmp_path, restore, tuned=tiny.finetuned(base, seed=1))

    assert kinds(found) == [("unchanged", GATE)]


def test_a_change_of_one_layer_alone_is_one_finding(tmp_path: Path) -> None:
    def tune(tensors: tiny.Tensors) -> None:
        random = np.random.default_rng(1)
        for name in [name for name in tensors if name.startswith("model.layers.6.")]:
            tensors[name] = tensors[name] + 0.01 * random.standard_normal(tensors[name].shape).astype("f4")

    (finding,) = audited(tmp_path, tune).findings

    assert (finding.kind, finding.where) == ("alone", "layer 6")
    assert finding.what.startswith("9 tensors changed, most of all model.layers.6.")
