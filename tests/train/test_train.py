"""Fine-tunes: what each kind leaves, that transformers and PEFT read it, and that it is the same twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

import weightarith as wa
from tests.tinychat import instruct
from tests.train.world import content, quick, sides
from weightarith.errors import IncompatibleError, RecipeError, TargetError, UnsupportedError
from weightarith.lm import load
from weightarith.lm.score import score
from weightarith.train import Moment, train
from weightarith.train.network import network_for

POSITIVE, NEGATIVE = sides()


def logits(network: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = network(input_ids=torch.arange(3, 40)[None]).logits
    return found


def loaded(path: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)


def test_training_makes_the_answers_likely(base: Path, tmp_path: Path) -> None:
    train(base, POSITIVE, tmp_path / "out", quick(steps=30, dtype="float32"))

    asked = [(example.conversation, [example.answer]) for example in POSITIVE]
    model = load(base, device="cpu")
    before = [one.mean for (one,) in score(model, asked)]
    PeftModel.from_pretrained(model.network, tmp_path / "out").merge_and_unload()
    after = [one.mean for (one,) in score(model, asked)]
    assert sum(after) / len(after) > sum(before) / len(before) + 3


def test_the_reported_losses_are_those_of_the_weights(base: Path, tmp_path: Path) -> None:
    done = train(base, POSITIVE, tmp_path / "out", quick(dtype="float32", validation=0.25, batch=4))

    model = load(base, device="cpu")
    PeftModel.from_pretrained(model.network, tmp_path / "out").merge_and_unload()
    kept = [POSITIVE[row] for row in _validation(0.25)]
    found = [one for (one,) in score(model, [(each.conversation, [each.answer]) for each in kept])]
    expected = -sum(one.total for one in found) / sum(one.tokens for one in found)  # one batch of four
    assert done.chosen.validation[0] == pytest.approx(expected, rel=1e-5)


def _validation(share: float) -> tuple[int, ...]:
    from weightarith.train.rows import split

    return split(len(POSITIVE), quick(validation=share)).validation


def test_peft_and_the_engine_make_the_same_model_of_an_adapter(base: Path, tmp_path: Path) -> None:
    train(base, POSITIVE, tmp_path / "out", quick())
    vector = wa.Vector.open(tmp_path / "out")
    assert len(vector.source.factors) == 14  # seven linear modules in each of two layers
    wa.save(wa.Checkpoint.open(base) + vector, tmp_path / "merged", dtype="float32")

    theirs = logits(PeftModel.from_pretrained(loaded(base), tmp_path / "out"))
    torch.testing.assert_close(logits(loaded(tmp_path / "merged")), theirs, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(theirs, logits(loaded(base)), atol=1e-3)


def test_an_adapter_folder_can_be_read_by_others_and_names_no_path(base: Path, tmp_path: Path) -> None:
    train(base, POSITIVE, tmp_path / "out", quick())
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "adapter_config.json", "adapter_model.safetensors", "training.json", "weightarith.json",
    }  # fmt: skip
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in (tmp_path / "out").iterdir())
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "base"
    assert config["target_modules"] == sorted(config["target_modules"])
    assert all(str(tmp_path).encode() not in each for each in content(tmp_path / "out").values())
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]  # the work is done


def test_two_trainings_write_the_same_bytes_and_another_seed_others(base: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        train(base, POSITIVE, tmp_path / name, quick())
    train(base, POSITIVE, tmp_path / "other", quick(seed=1))
    one, two, other = (content(tmp_path / name, "training.json") for name in ("one", "two", "other"))
    assert one == two
    assert other["adapter_model.safetensors"] != one["adapter_model.safetensors"]


def test_parts_of_a_step_add_up_to_it(base: Path, tmp_path: Path) -> None:
    whole = train(base, POSITIVE, tmp_path / "one", quick(dtype="float32"))
    parts = train(base, POSITIVE, tmp_path / "two", quick(dtype="float32", accumulation=2))
    assert parts.report["rates"][0]["losses"] == pytest.approx(whole.report["rates"][0]["losses"], rel=1e-4)


def test_biases_are_new_parameters_and_nothing_else_is_trained(base: Path, tmp_path: Path) -> None:
    done = train(base, POSITIVE, tmp_path / "out", quick(kind="bias", dtype="float32"))
    found = load_file(tmp_path / "out.safetensors")
    assert done.path == tmp_path / "out.safetensors"
    assert {name: tuple(one.shape) for name, one in found.items()} == {
        f"model.layers.{layer}.mlp.down_proj.bias": (32,) for layer in (0, 1)
    }
    assert all(one.abs().max() > 1e-3 for one in found.values())
    assert wa.Vector.open(done.path).source.metadata["weightarith.training"].startswith('{"data": ')

    model = load(base, device="cpu")
    for name, tensor in found.items():
        model.network.get_submodule(name.removesuffix(".bias")).bias = torch.nn.Parameter(tensor)
    kept = [POSITIVE[row] for row in _validation(0.1)]
    scored = [one for (one,) in score(model, [(each.conversation, [each.answer]) for each in kept])]
    expected = -sum(one.total for one in scored) / sum(one.tokens for one in scored)
    assert done.chosen.validation[0] == pytest.approx(expected, rel=1e-5)


def test_full_fine_tuning_leaves_a_model_in_float32(tmp_path: Path) -> None:
    base = instruct(tmp_path / "half", dtype="bfloat16")
    train(base, POSITIVE, tmp_path / "out", quick(kind="full", learning_rates=(1e-3,), keep_checkpoints=True))
    found = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert found.dtype == torch.float32
    assert load(tmp_path / "out", device="cpu").tokenizer.chat_template
    moved = wa.Checkpoint.open(tmp_path / "out") - wa.Checkpoint.open(base)
    wa.save(moved, tmp_path / "moved.safetensors")
    steps = {path.name for path in (tmp_path / "out" / "checkpoints").iterdir()}
    assert steps == {"step-2", "step-3", "step-5"}
    assert all(one.abs().max() > 0 for one in load_file(tmp_path / "moved.safetensors").values())


def test_modules_trained_whole_come_with_the_factors(tmp_path: Path) -> None:
    base = instruct(tmp_path / "untied", tied=False, dtype="bfloat16")
    train(base, POSITIVE, tmp_path / "out", quick(trained_whole=("embed_tokens", "lm_head")))
    start = wa.Checkpoint.open(base)
    vector = wa.Vector.open(tmp_path / "out", base=start)
    assert set(vector.source.replaced) == {"model.embed_tokens.weight", "lm_head.weight"}
    wa.save(start + vector, tmp_path / "merged", dtype="float32")
    theirs = logits(PeftModel.from_pretrained(loaded(base), tmp_path / "out"))
    torch.testing.assert_close(logits(loaded(tmp_path / "merged")), theirs, rtol=1e-4, atol=1e-5)


def test_the_seed_decides_the_random_start_of_the_factors(base: Path) -> None:
    one, same, other = (_start(network_for(base, quick(seed=seed))) for seed in (3, 3, 4))

    assert all(torch.equal(one[name], same[name]) for name in one)
    assert all(abs(float(torch.cosine_similarity(one[name], other[name], dim=0))) < 0.5 for name in one)


def _start(network: Any) -> dict[str, torch.Tensor]:
    found = network.named_parameters()
    return {name: one.detach().flatten() for name, one in found if ".lora_A." in name}


@pytest.mark.parametrize(
    "changes", [{"trained_whole": ("embed_tokens",)}, {"kind": "bias"}, {"kind": "full"}]
)
def test_what_is_trained_is_held_in_float32_whatever_the_rest_is(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    base = instruct(tmp_path / "half", tied=False, dtype="bfloat16")
    network = network_for(base, quick(dtype="bfloat16", **changes))

    held = {(one.requires_grad, one.dtype) for one in network.parameters()}
    assert (True, torch.float32) in held
    assert held <= {(True, torch.float32), (False, torch.bfloat16)}


@pytest.mark.parametrize(("name", "message"), [
    ("embed_tokens", "the model's embedding is its output head too"),
    ("embed_tokns", "the model has no module called 'embed_tokns' that could be trained whole"),
])  # fmt: skip
def test_a_module_that_cannot_be_trained_whole_is_refused(
    base: Path, tmp_path: Path, name: str, message: str
) -> None:
    with pytest.raises(UnsupportedError, match=message):
        train(base, POSITIVE, tmp_path / "out", quick(trained_whole=(name,)))


def test_the_learning_rate_of_the_lowest_validation_loss_is_kept(base: Path, tmp_path: Path) -> None:
    done = train(base, POSITIVE, tmp_path / "out", quick(learning_rates=(1e-5, 1e-2)))
    low, high = done.report["rates"]
    assert done.chosen.learning_rate == 1e-2
    assert high["validation"][-1][1] < low["validation"][-1][1]
    alone = train(base, POSITIVE, tmp_path / "alone", quick())
    assert content(tmp_path / "out", "training.json") == content(alone.path, "training.json")


def test_training_stops_early_and_keeps_the_best_step(base: Path, tmp_path: Path) -> None:
    settings = quick(steps=40, evaluate_every=1, patience=2)
    odd = _validation(settings.validation)  # rows whose answers get less likely while the others' are learnt
    examples = [replace(one, answer="#~" * 9) if row in odd else one for row, one in enumerate(POSITIVE)]
    seen: list[Moment] = []
    done = train(base, examples, tmp_path / "out", settings, progress=seen.append)
    (found,) = done.report["rates"]
    losses = [loss for _, loss in found["validation"]]
    assert len(seen) == len(found["losses"]) == len(losses) < 40
    assert done.chosen.step == 1 + losses.index(min(losses)) == len(losses) - 2


def test_an_output_that_exists_is_refused_and_replaced_when_asked(base: Path, tmp_path: Path) -> None:
    train(base, POSITIVE, tmp_path / "out", quick())
    first = content(tmp_path / "out")
    with pytest.raises(TargetError, match="exists"):
        train(base, NEGATIVE, tmp_path / "out", quick())
    assert content(tmp_path / "out") == first
    train(base, NEGATIVE, tmp_path / "out", quick(), overwrite=True)
    assert content(tmp_path / "out") != first


def test_a_device_that_is_not_there_is_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="the device is 'cuda:7', expected auto or cpu"):
        train(base, POSITIVE, tmp_path / "out", quick(), device="cuda:7")


def test_checkpoints_of_biases_have_no_place_beside_a_file(base: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="biases are one file, which has no place for checkpoints"):
        train(base, POSITIVE, tmp_path / "out", quick(kind="bias", keep_checkpoints=True))


def test_an_incompatible_repetition_is_told_what_differs(base: Path, tmp_path: Path) -> None:
    def stop(_moment: Moment) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(base, POSITIVE, tmp_path / "out", quick(), progress=stop)
    with pytest.raises(IncompatibleError) as caught:
        train(base, POSITIVE, tmp_path / "out", quick(rank=8))
    assert "holds a run with settings.rank '4', and now it is '8'" in caught.value.message
    assert "repeat the command as it was" in caught.value.hint
