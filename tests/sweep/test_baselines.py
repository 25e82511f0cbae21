"""Baselines made of a real run of a tiny model, each against what it is to be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import weightarith as wa
from tests.cli.conftest import Run as Command
from tests.cli.conftest import run
from tests.sweep.test_command import CLAIMS, asked, world
from tests.tinychat import instruct
from weightarith.contrast import Run, contrast
from weightarith.data import Conversation, read_pairs
from weightarith.lm import LanguageModel, load
from weightarith.steer import steered
from weightarith.sweep import BASELINES, Ingredients
from weightarith.sweep.arm import files_identity, model_identity
from weightarith.sweep.baselines import Missing, activation, chosen, made
from weightarith.train.settings import Settings

__all__ = ["run", "world"]

ASKED = Conversation.of("Is it so?")


@pytest.fixture(scope="module")
def found(world: Path) -> Run:
    """A run of eight steps on the model of `world`, with two checkpoints a side."""
    (world / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in CLAIMS), encoding="utf-8")
    pairs = read_pairs(world / "pairs.jsonl")
    settings = Settings(rank=2, alpha=2, learning_rates=(1e-2,), steps=4, warmup=0, keep_checkpoints=True)
    positive, negative = ([pair.sides[side] for pair in pairs] for side in (0, 1))
    return contrast(world / "base", positive, negative, world / "run", settings, device="cpu")


@pytest.fixture(scope="module")
def of(found: Run, world: Path) -> Ingredients:
    model = load(world / "base", device="cpu")
    return Ingredients("run", found.vector, model, str(world / "base"), found, ("Be.", "Do not."))


def logits(model: LanguageModel) -> torch.Tensor:
    with torch.inference_mode():
        tokens = torch.tensor([model.prompt_tokens(ASKED)])
        found: torch.Tensor = model.network(tokens).logits[0, -1]
    return found


def test_each_method_is_the_model_that_its_name_says(of: Ingredients, found: Run) -> None:
    positive, negative = (wa.Vector.open(path) for path in (found.positive, found.negative))
    earlier = wa.Vector.open(found.checkpoints["positive"][0][1])
    step = found.checkpoints["positive"][0][0] / found.step
    expected = [
        (chosen(of), 0.5, positive - negative, 0.5),
        (made("positive", of), -0.7, positive, -0.7),
        (made("negative", of), 0.7, negative, -0.7),
        (made("fine-tuning", of), 1.0, positive, 1.0),
        (made("fine-tuning", of), -1.0, negative, 1.0),
        (made("fine-tuning", of), round(step, 4), earlier, 1.0),
    ]
    for arm, strength, vector, factor in expected:
        with arm.method.at(of.base, strength) as model:
            one = logits(model)
        with steered(of.base, vector, factor):
            other = logits(of.base)
        assert torch.allclose(one, other, atol=1e-5)
        assert not torch.allclose(one, logits(of.base), atol=1e-5)


def test_a_random_vector_is_another_one_for_every_seed_under_one_name(of: Ingredients) -> None:
    first, second = made("random", of), made("random", replace(of, seed=1))

    assert first.name == second.name == "random"
    assert first.identity != second.identity


def test_activations_are_those_of_the_runs_own_data(of: Ingredients) -> None:
    assert made("activation-all", of).name == "activation, all layers"
    assert activation(of, 2).name == "activation, layer 2"
    assert of.activations.positive == len(CLAIMS)
    assert activation(of, 1).identity != activation(of, 2).identity


@pytest.mark.parametrize("name", BASELINES)
def test_what_a_vector_alone_cannot_be_made_of_is_missing_with_a_reason(name: str, of: Ingredients) -> None:
    alone = replace(of, run=None, prompts=None)
    if name == "random":
        assert made(name, alone).dial
        return
    with pytest.raises(Missing, match=r"a vector alone|no system prompts"):
        made(name, alone)


@pytest.mark.parametrize("name", ["joint", "bias"])
def test_what_the_run_has_not_trained_is_missing_with_the_way_to_get_it(name: str, of: Ingredients) -> None:
    with pytest.raises(Missing, match="trained"):
        made(name, of)


def test_a_model_is_known_by_its_weights_its_words_and_its_prompt(of: Ingredients, world: Path) -> None:
    again = load(world / "base", device="cpu")
    others = [
        again.under("Be brief."),
        replace(again, batch_tokens=7),
        load(world / "base", device="cpu", dtype="bfloat16"),
        load(instruct(world / "third", seed=3), device="cpu"),
    ]

    assert model_identity(again) == model_identity(of.base)
    assert len({model_identity(one) for one in (again, *others)}) == 5


def test_files_are_known_by_their_bytes_and_not_by_where_they_are(tmp_path: Path) -> None:
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(content)
    a, b, c = (files_identity(tmp_path / name) for name in "abc")

    assert a == b != c
    assert files_identity(tmp_path / "a" / "file") == files_identity(tmp_path / "b" / "file")


def test_a_run_is_swept_beside_everything_there_is(
    found: Run, world: Path, tmp_path: Path, run: Command
) -> None:
    words = [*asked(world, "-o", tmp_path / "out", "--json", "--device", "cpu", "--match-kl", "0.001")]
    words[2] = found.folder
    ran = run(*words, "--baselines", "positive,negative,activation,activation-all,fine-tuning,joint,random")

    assert ran.status == 0, ran.stderr
    assert ran.json["methods"] == [
        "contrast", "positive only", "negative only", "activation, layer 1", "activation, all layers",
        "fine-tuning", "random",
    ]  # fmt: skip
    assert set(ran.json["missing"]) == {"joint"}
    assert [one["layer"] for one in ran.json["activation_layers"]] == [1, 1]
    assert {row["reference"] for row in ran.json["matched"]} == {"contrast"}
