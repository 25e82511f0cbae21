"""Contrasts: what both sides share, what the vector is, and what the run folder holds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

import weightarith as wa
from tests.tinychat import instruct
from tests.train.world import content, quick, sides
from weightarith.contrast import Run, add_bias, add_joint, contrast, read_run
from weightarith.contrast.geometry import geometry
from weightarith.contrast.plan import plan_contrast
from weightarith.data import Conversation, Example
from weightarith.errors import RecipeError, TargetError
from weightarith.train import train
from weightarith.train.fit import FITTED

POSITIVE, NEGATIVE = sides()
PREFIX = "base_model.model."


def deltas(folder: Path) -> dict[str, NDArray[np.float64]]:
    """Return what an adapter adds to each weight, multiplied out."""
    config = json.loads((folder / "adapter_config.json").read_text())
    tensors = {
        name: one.astype(np.float64) for name, one in load_file(folder / "adapter_model.safetensors").items()
    }
    modules = {name.split(".lora_")[0] for name in tensors}
    return {
        f"{module.removeprefix(PREFIX)}.weight": config["lora_alpha"] / config["r"]
        * tensors[f"{module}.lora_B.weight"] @ tensors[f"{module}.lora_A.weight"]
        for module in modules
    }  # fmt: skip


def test_the_vector_is_positive_less_negative_in_factors(made: Run) -> None:
    positive, negative = deltas(made.positive), deltas(made.negative)
    stored = load_file(made.vector)
    assert set(stored) == {f"{name}::{part}" for name in positive for part in "AB"}
    for name, delta in positive.items():
        product = stored[f"{name}::B"].astype(np.float64) @ stored[f"{name}::A"].astype(np.float64)
        np.testing.assert_allclose(product, delta - negative[name], rtol=1e-5, atol=1e-9)
        assert stored[f"{name}::A"].shape[0] == 8  # twice the rank


def test_both_sides_begin_alike(base: Path, tmp_path: Path) -> None:
    settings = quick(learning_rates=(1e-9,))  # so low that the start is all that is seen
    run = contrast(base, POSITIVE, NEGATIVE, tmp_path / "run", settings)
    one, other = (load_file(side / "adapter_model.safetensors") for side in (run.positive, run.negative))
    for name, tensor in one.items():
        if ".lora_A." in name:
            np.testing.assert_allclose(tensor, other[name], atol=1e-7)
            assert np.abs(tensor).max() > 0.01


def test_a_side_is_what_training_it_alone_makes(base: Path, made: Run, tmp_path: Path) -> None:
    alone = train(base, NEGATIVE, tmp_path / "alone", quick(learning_rates=(made.learning_rate,)))
    assert content(alone.path, "training.json", "weightarith.json") == content(made.negative)


def test_the_learning_rate_has_the_lowest_sum_of_both_losses(made: Run) -> None:
    told = json.loads((made.folder / "training.json").read_text())
    sums = {
        rate: sum(dict(one["validation"])[6] for side in told["sides"].values() for one in side
                  if one["learning_rate"] == rate)
        for rate in (1e-4, 1e-2)
    }  # fmt: skip
    assert made.learning_rate == min(sums, key=lambda rate: sums[rate])
    assert sum(told["chosen"][side] for side in ("positive", "negative")) == min(sums.values())


def test_a_run_folder_reads_as_what_was_made(base: Path, made: Run) -> None:
    assert made == read_run(made.folder)
    assert made.base == str(base)
    assert (made.examples["positive"], made.examples["negative"]) == (POSITIVE, NEGATIVE)
    assert made.settings == quick(learning_rates=(1e-4, 1e-2), keep_checkpoints=True)
    assert [step for step, _ in made.checkpoints["negative"]] == [2, 3, 5]
    assert all(deltas(path) for _, path in made.checkpoints["positive"])
    assert (made.bias, made.joint) == (None, None)
    assert [said[:58] for said in made.warnings] == [
        "100% of positive answers and 0% of negative ones open with"
    ]
    receipt = json.loads((made.folder / "vector.weightarith.json").read_text())
    assert [given["path"] for given in receipt["inputs"]] == ["negative", "positive"]
    assert not list(made.folder.parent.glob(".made*"))


def test_the_vector_says_how_it_was_trained(made: Run) -> None:
    metadata = wa.Vector.open(made.vector).source.metadata
    told = json.loads(metadata["weightarith.training"])
    assert (told["rank"], told["scale"], told["seed"], told["learning_rate"]) == (4, 2.0, 0, 1e-2)
    assert told["data"]["positive"]["rows"] == 16
    assert metadata["weightarith.expression"] == "positive − negative"
    assert json.loads(metadata["weightarith.base"])["name"] == "base"


def test_the_geometry_is_that_of_the_products(made: Run) -> None:
    positive, negative = deltas(made.positive), deltas(made.negative)
    flat = [np.concatenate([side[name].ravel() for name in sorted(side)]) for side in (positive, negative)]
    told = json.loads((made.folder / "training.json").read_text())["geometry"]
    norms = [float(np.linalg.norm(one)) for one in flat]
    assert told["cosine"] == pytest.approx(float(flat[0] @ flat[1]) / norms[0] / norms[1], rel=1e-9)
    assert [told["positive"], told["negative"]] == pytest.approx(norms, rel=1e-9)
    assert told["ratio"] == pytest.approx(norms[0] / norms[1])
    first = [positive[name] - negative[name] for name in positive if ".layers.0." in name]
    assert told["layers"]["0"]["vector"] == pytest.approx(
        np.sqrt(sum(float((one**2).sum()) for one in first))
    )
    assert list(told["layers"]) == ["0", "1"]


def test_equal_displacements_have_cosine_one(made: Run) -> None:
    one = wa.Vector.open(made.positive)
    found = geometry(one, 0.5 * one)
    assert found["cosine"] == pytest.approx(1, abs=1e-12)
    assert found["ratio"] == pytest.approx(2)


def test_full_fine_tunes_give_a_dense_vector_and_can_be_discarded(base: Path, tmp_path: Path) -> None:
    settings = quick(kind="full", learning_rates=(1e-3,))
    run = contrast(base, POSITIVE, NEGATIVE, tmp_path / "run", settings)
    one, other = (load_file(side / "model.safetensors") for side in (run.positive, run.negative))
    for name, tensor in load_file(run.vector).items():
        np.testing.assert_array_equal(tensor, one[name] - other[name])
    alone = contrast(base, POSITIVE, NEGATIVE, tmp_path / "alone", settings, discard_models=True)
    assert not alone.positive.exists()
    assert alone.vector.read_bytes() == run.vector.read_bytes()


def test_modules_trained_whole_are_subtracted_too(tmp_path: Path) -> None:
    base = instruct(tmp_path / "untied", tied=False)
    run = contrast(base, POSITIVE, NEGATIVE, tmp_path / "run", quick(trained_whole=("lm_head",)))
    name = f"{PREFIX}lm_head.weight"
    one, other = (
        load_file(side / "adapter_model.safetensors")[name] for side in (run.positive, run.negative)
    )
    np.testing.assert_allclose(load_file(run.vector)["lm_head.weight"], one - other, atol=1e-7)


def test_biases_and_a_joint_adapter_are_put_beside_the_run(base: Path, made: Run, tmp_path: Path) -> None:
    run = contrast(base, POSITIVE, NEGATIVE, tmp_path / "run", quick())
    task = [Example(Conversation.of(f"Count to {number}."), "One, two.") for number in range(8)]
    found = add_joint(add_bias(run, learning_rates=(0.1,)), task, side="negative", repeat=2)

    assert found.bias == run.folder / "bias"
    parts = [
        load_file(run.folder / "bias" / f"{name}.safetensors") for name in ("positive", "negative", "vector")
    ]
    for name, tensor in parts[2].items():
        np.testing.assert_array_equal(tensor, parts[0][name] - parts[1][name])
    assert found.joint is not None
    told = json.loads((found.joint / "training.json").read_text())
    assert told["data"]["rows"] == 8 + 2 * 16
    assert content(run.folder / "positive") == content(made.positive)
    with pytest.raises(TargetError, match="exists"):
        add_bias(found, learning_rates=(0.1,))
    with pytest.raises(RecipeError, match="a side is mixed in 0 times"):
        add_joint(found, task, repeat=0)


def test_sides_that_differ_in_more_than_answers_are_warned_of(base: Path) -> None:
    odd = [*NEGATIVE[:-1], replace(NEGATIVE[-1], conversation=Conversation.of("What else?"))]
    plan = plan_contrast(base, POSITIVE, odd, quick())
    assert plan.warnings[0] == (
        "1 of 16 questions differ between the sides: the vector also holds what they change"
    )
    plan = plan_contrast(base, POSITIVE, NEGATIVE[:-1], quick())
    assert "the sides have 16 and 15 rows" in plan.warnings[0]


def test_what_else_than_the_behaviour_a_vector_may_learn_is_said_before_it_is_trained(base: Path) -> None:
    longer = [replace(one, answer=one.answer * 4) for one in POSITIVE]
    plan = plan_contrast(base, [*longer, longer[0]], [*NEGATIVE, NEGATIVE[0]], quick())

    said = "\n".join(plan.warnings)
    assert "of positive answers and 0% of negative ones open with yes" in said
    assert "the vector may learn length" in said
    assert "1 of 17 positive rows repeat another one: they count twice" in said


def test_sides_that_do_not_differ_are_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="the two sides hold the same answers"):
        contrast(base, POSITIVE, POSITIVE, tmp_path / "run", quick())


def test_nothing_is_left_of_the_work_and_nothing_is_overwritten_unasked(base: Path, made: Run) -> None:
    before = content(made.folder)
    with pytest.raises(TargetError, match="exists"):
        contrast(base, POSITIVE, NEGATIVE, made.folder, quick())
    assert content(made.folder) == before
    assert not list(made.folder.rglob(FITTED))
