"""Adapters of other tools in sums: their names become the base's where there is one, and stay theirs else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests import tiny as models
from tests.adapters import llama, trained
from tests.conftest import Tiny
from tests.engines import outcome_of, planned
from tests.small import fates
from weightarith.algebra import Checkpoint, Vector
from weightarith.errors import IncompatibleError, WeightArithError
from weightarith.operators.table import OPERATORS
from weightarith.recipe import parse_recipe
from weightarith.saving import save
from weightarith.store import open_source
from weightarith.weighting import Rule, Selection

PREFIX = "base_model.model."
Q = "model.layers.0.self_attn.q_proj"


def kohya(path: Path, adapter: Path, alpha: float = 8.0, front: str = "lora_te_") -> Path:
    """Write a PEFT adapter as kohya's tools would; return the file."""
    found: models.Tensors = {}
    for name, numbers in models.load(adapter / "adapter_model.safetensors").items():
        module, _, side = name.removeprefix(PREFIX).removesuffix(".weight").rpartition(".")
        spelt = f"{front}{module.replace('.', '_')}"
        found[f"{spelt}.{'lora_down' if side == 'lora_A' else 'lora_up'}.weight"] = numbers
        found[f"{spelt}.alpha"] = np.array(alpha)
    models.save(path, found, dtype="F64")
    return path


def diffusers(path: Path, adapter: Path) -> Path:
    """Write a PEFT adapter of scale 1 as diffusers would; return the file."""
    found = {
        name.replace(PREFIX, "transformer."): numbers
        for name, numbers in models.load(adapter / "adapter_model.safetensors").items()
    }
    models.save(path, found, dtype="F32")
    return path


def dense(adapter: Path, scale: float) -> models.Tensors:
    """Return what a PEFT adapter adds to each weight, in float64."""
    tensors = models.load(adapter / "adapter_model.safetensors")
    found: models.Tensors = {}
    for name in tensors:
        if name.endswith(".lora_A.weight"):
            module = name.removesuffix(".lora_A.weight")
            a, b = (tensors[f"{module}.lora_{side}.weight"].astype(np.float64) for side in "AB")
            found[f"{module.removeprefix(PREFIX)}.weight"] = scale * (b @ a)
    return found


@pytest.mark.parametrize("device", ["cpu", "torch"])
def test_a_base_and_a_file_of_kohya_make_what_the_same_adapter_of_peft_makes(
    device: str, tiny: Tiny, tmp_path: Path
) -> None:
    base = Checkpoint.open(tiny.base, label="base")
    one = Vector.open(kohya(tmp_path / "k.safetensors", tiny.positive), label="v")
    same = Vector.open(tiny.positive, label="v")
    assert one.source.own_names

    for total, expected in ((base + 0.5 * one, base + 0.5 * same), (base - one, base - same)):
        assert outcome_of(planned(total), device)[0] == outcome_of(planned(expected), device)[0]

    save(base + 0.5 * one, tmp_path / "out", dtype="float64", device=device)
    weights = models.load(tiny.base)
    changes = dense(tiny.positive, 0.5 * 2.0)  # alpha 8 over rank 4
    for name, made in models.load(tmp_path / "out").items():
        np.testing.assert_allclose(made, weights[name] + changes.get(name, 0.0), rtol=1e-12, atol=1e-15)


@pytest.mark.oracle
def test_a_base_and_a_file_of_kohya_make_what_peft_merges(tmp_path: Path) -> None:
    model = llama().double()
    weights = {name: weight.detach().clone().numpy() for name, weight in model.state_dict().items()}
    models.save(tmp_path / "base.safetensors", weights, dtype="F64")
    wrapped = trained(model, tmp_path / "peft", target_modules="all-linear", r=3, lora_alpha=16)
    base = Checkpoint.open(tmp_path / "base.safetensors", label="base")
    one = Vector.open(kohya(tmp_path / "k.safetensors", tmp_path / "peft", 16.0))

    save(base + one, tmp_path / "out.safetensors")

    merged = {name: weight.numpy() for name, weight in wrapped.merge_and_unload().state_dict().items()}
    made = models.load(tmp_path / "out.safetensors")
    assert made.keys() == merged.keys()
    for name, expected in merged.items():
        np.testing.assert_allclose(made[name], expected, rtol=1e-12, atol=1e-12, err_msg=name)


def test_selections_go_by_the_names_of_the_base(tiny: Tiny, tmp_path: Path) -> None:
    base = Checkpoint.open(tiny.base, label="base")
    one = Vector.open(kohya(tmp_path / "k.safetensors", tiny.positive), label="k")
    only = Selection((Rule(1, layers=(1, 1), roles=("q",)),), 0)  # type: ignore[arg-type]

    told = fates(planned(base + one.weighted(only)))

    assert [name for name, (fate, _) in told.items() if fate == "changed"] == [
        "model.layers.1.self_attn.q_proj.weight"
    ]


def test_operators_and_differences_of_models_see_the_names_of_the_base(tiny: Tiny, tmp_path: Path) -> None:
    base, tuned = Checkpoint.open(tiny.base, label="base"), Checkpoint.open(tiny.finetuned, label="tuned")
    one = Vector.open(kohya(tmp_path / "k.safetensors", tiny.positive), label="v")
    same, ties = Vector.open(tiny.positive, label="v"), OPERATORS["ties"]

    for total, expected in (
        (base + ties([one, tuned - base], density=0.5), base + ties([same, tuned - base], density=0.5)),
        (tuned - base + one, tuned - base + same),
        (base + one - base, base + same - base),  # the base cancels, and still gives its names
    ):
        assert outcome_of(planned(total), "cpu")[0] == outcome_of(planned(expected), "cpu")[0]


def test_vectors_alone_are_added_by_their_own_names_which_the_result_keeps(
    tiny: Tiny, tmp_path: Path
) -> None:
    one = Vector.open(kohya(tmp_path / "one.safetensors", tiny.positive), label="one")
    two = Vector.open(kohya(tmp_path / "two.safetensors", tiny.negative), label="two")

    save(one - 0.5 * two, tmp_path / "v.safetensors")

    found = models.load(tmp_path / "v.safetensors")
    assert len(found) == 2 * 14
    assert found["lora_te_model_layers_0_self_attn_q_proj.weight::A"].shape == (8, 16)
    made = Vector.open(tmp_path / "v.safetensors")
    assert made.source.own_names
    assert made.source.metadata["weightarith.names"] == "own"

    save(Checkpoint.open(tiny.base) + made, tmp_path / "out", dtype="float64")

    weights, plus, minus = models.load(tiny.base), dense(tiny.positive, 2.0), dense(tiny.negative, -1.0)
    for name, numbers in models.load(tmp_path / "out").items():
        expected = weights[name] + plus.get(name, 0.0) + minus.get(name, 0.0)
        np.testing.assert_allclose(numbers, expected, rtol=1e-6, atol=1e-9)


def test_what_has_names_of_a_base_does_not_say_that_they_are_its_own(tiny: Tiny, tmp_path: Path) -> None:
    save(2 * Vector.open(tiny.positive), tmp_path / "v.safetensors")

    source = open_source(tmp_path / "v.safetensors")
    assert not source.own_names
    assert "weightarith.names" not in source.metadata


def test_a_base_that_is_given_names_the_tensors_of_vectors_alone(tiny: Tiny, tmp_path: Path) -> None:
    base = Checkpoint.open(tiny.base, label="base")
    path = kohya(tmp_path / "k.safetensors", tiny.positive)
    one, same = Vector.open(path, label="v", base=base), Vector.open(tiny.positive, label="v")
    task = Vector.open(tiny.negative, label="w")

    assert outcome_of(planned(one - task), "cpu")[0] == outcome_of(planned(same - task), "cpu")[0]

    inputs = f"inputs: {{base: {tiny.base}, k: {{adapter: {path}, base: base}}, w: {tiny.negative}}}"
    read = parse_recipe(f"weightarith: 1\n{inputs}\nexpression: k − w", folder=tmp_path)
    assert {entry.name for entry in planned(read.total).ledger} == dense(tiny.positive, 1.0).keys()


def test_names_of_both_sorts_are_refused_where_no_base_is_at_hand(tiny: Tiny, tmp_path: Path) -> None:
    one = Vector.open(kohya(tmp_path / "k.safetensors", tiny.positive), label="k")
    other = Vector.open(tiny.positive, label="p")

    for total in (
        one + other,
        one - other,
        0 * one + other,
        OPERATORS["ties"]([one, other], density=0.5) * 1,
    ):
        with pytest.raises(
            IncompatibleError, match="k names its tensors as other programs do, and p as"
        ) as raised:
            planned(total)
        assert "base=" in raised.value.hint


def test_one_tensor_under_two_spellings_is_found_out_beside_the_base(tiny: Tiny, tmp_path: Path) -> None:
    one = Vector.open(kohya(tmp_path / "k.safetensors", tiny.positive), label="k")
    two = Vector.open(kohya(tmp_path / "d.safetensors", tiny.negative, front="lora_te2_"), label="d")
    save(one + two, tmp_path / "v.safetensors")

    with pytest.raises(WeightArithError, match="twice"):
        planned(Checkpoint.open(tiny.base) + Vector.open(tmp_path / "v.safetensors"))


def test_what_the_base_lacks_is_named(tiny: Tiny, tmp_path: Path) -> None:
    deeper = models.adapter(tmp_path / "deeper", depth=3)
    one = Vector.open(kohya(tmp_path / "k.safetensors", deeper), label="k")

    with pytest.raises(
        IncompatibleError, match=r"k\.safetensors.* moves 7 tensors that base lacks: 'lora_te_model"
    ) as raised:
        planned(Checkpoint.open(tiny.base, label="base") + one)
    assert "was it made for another base?" in raised.value.hint


def test_files_of_diffusers_are_taken_in_too(tiny: Tiny, tmp_path: Path) -> None:
    one = Vector.open(diffusers(tmp_path / "d.safetensors", tiny.positive), label="v")

    save(Checkpoint.open(tiny.base) + one, tmp_path / "out", dtype="float64")

    made, change = models.load(tmp_path / "out"), dense(tiny.positive, 1.0)[f"{Q}.weight"]
    np.testing.assert_allclose(made[f"{Q}.weight"] - models.load(tiny.base)[f"{Q}.weight"], change, rtol=1e-9)
