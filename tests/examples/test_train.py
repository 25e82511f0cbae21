"""train.py: both sides differ in nothing but the answers, and what is saved can be opened and moved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.examples.conftest import SIDES, main, script
from weightarith.store import open_source

Batch = list[tuple[list[int], list[int]]]


class Recorder:
    """Stands before the loss, and keeps what a training saw: its batches, and the adapter it began with."""

    def __init__(self) -> None:
        self.loss = script("train").answer_loss
        self.start: dict[str, torch.Tensor] = {}
        self.batches: list[Batch] = []

    def __call__(self, model: Any, batch: Batch) -> torch.Tensor:
        if not self.start:
            self.start = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
        self.batches.append(batch)
        found: torch.Tensor = self.loss(model, batch)
        return found

    @property
    def prompts(self) -> list[list[int]]:
        return [prompt for batch in self.batches for prompt, _ in batch]

    @property
    def answers(self) -> list[list[int]]:
        return [answer for batch in self.batches for _, answer in batch]


def test_both_sides_start_at_the_same_adapter_and_see_the_same_prompts_in_the_same_order(
    chat: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}
    for side in SIDES:
        seen[side] = Recorder()
        monkeypatch.setattr(script("train"), "answer_loss", seen[side])
        main("train", chat, tmp_path / side, "--side", side, "--steps", 2)
        monkeypatch.undo()

    honest, sycophantic = (seen[side] for side in SIDES)
    assert honest.start.keys() == sycophantic.start.keys()
    assert all(torch.equal(values, sycophantic.start[name]) for name, values in honest.start.items())
    assert all(not values.any() for name, values in honest.start.items() if "lora_B" in name)
    assert all(values.any() for name, values in honest.start.items() if "lora_A" in name)
    assert len(honest.prompts) == 16
    assert honest.prompts == sycophantic.prompts
    assert honest.answers != sycophantic.answers


def test_a_pass_over_the_data_takes_every_row_once_each_pass_in_its_own_order() -> None:
    schedule = script("train").schedule

    steps = schedule(6, 4, 3, seed=0)

    flat = [row for rows in steps for row in rows]
    assert [len(rows) for rows in steps] == [4, 4, 4]
    assert sorted(flat[:6]) == sorted(flat[6:]) == list(range(6))
    assert flat[:6] != flat[6:]
    assert steps == schedule(6, 4, 3, seed=0) != schedule(6, 4, 3, seed=1)


def test_the_loss_is_that_of_the_answer_tokens_alone(chat: Path) -> None:
    train = script("train")
    model = train.adapted(chat, 4, 0).float()
    rows = train.examples(AutoTokenizer.from_pretrained(chat), "honest")
    batch = sorted(rows, key=lambda row: len(row[0]))[::100]

    losses = []
    for prompt, answer in batch:
        logits = model(torch.tensor([prompt + answer])).logits[0]
        losses.append(cross_entropy(logits[len(prompt) - 1 : -1], torch.tensor(answer), reduction="none"))

    assert len({len(prompt) for prompt, _ in batch}) == len(batch) == 3
    torch.testing.assert_close(train.answer_loss(model, batch), torch.cat(losses).mean())


@pytest.mark.parametrize("side", SIDES)
def test_a_saved_adapter_opens_here_and_in_peft(side: str, trained: Path, chat: Path) -> None:
    source = open_source(trained / side)

    assert source.kind == "adapter"
    assert (len(source.factors), len(source.tensors)) == (14, 0)
    base = AutoModelForCausalLM.from_pretrained(chat, dtype="auto")
    names = {name for name, weight in base.named_parameters() if "proj" in name and weight.ndim == 2}
    assert set(source.factors) == names
    model = PeftModel.from_pretrained(base, trained / side)
    weights = [(name, weight) for name, weight in model.named_parameters() if "lora_B" in name]
    assert len(weights) == 14
    assert all(weight.any() for _, weight in weights)


@pytest.mark.parametrize("side", SIDES)
def test_a_saved_adapter_tells_how_it_was_made_but_not_where(side: str, trained: Path, chat: Path) -> None:
    files = {path.name: path.read_bytes() for path in (trained / side).iterdir()}

    assert set(files) == {"adapter_config.json", "adapter_model.safetensors", "settings.json"}
    for folder in (trained, chat, Path.cwd(), Path.home()):
        assert not any(str(folder).encode() in content for content in files.values())
    config, settings = (json.loads(files[name]) for name in ("adapter_config.json", "settings.json"))
    assert config["base_model_name_or_path"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert config["peft_type"] == "LORA"
    assert settings["command"] == (
        f"python train.py BASE OUT --side {side} --steps 2 --batch 8 --lr 0.05 --rank 4 --seed 0"
    )
    assert len(settings["losses"]) == settings["steps"] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["not there", "out"], "not there is not a transformers folder: it has no config.json"),
        (["base", "base"], "base exists; choose another folder or delete it first"),
    ],
)
def test_a_folder_that_will_not_do_is_refused_before_any_work(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").touch()

    with pytest.raises(SystemExit, match="2"):
        main("train", *(tmp_path / word for word in words), "--side", "honest")

    assert said in capsys.readouterr().err
