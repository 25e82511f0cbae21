"""The callback in real trainings of a tiny model: what it logs is what the saved checkpoints say."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments

from tests.tinychat import instruct
from weightarith.errors import IncompatibleError, RecipeError, UnsupportedError
from weightarith.monitor import WeightMonitor, monitor


class Rows(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """The same few tokens in every row, so that trainings on it turn the same way."""

    def __init__(self, first: int) -> None:
        self.ids = torch.arange(first, first + 12)

    def __len__(self) -> int:
        return 32

    def __getitem__(self, _place: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.ids, "labels": self.ids, "attention_mask": torch.ones_like(self.ids)}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return instruct(tmp_path_factory.mktemp("callback") / "base")


def trainer(
    base: Path,
    out: Path,
    *,
    first: int = 10,
    steps: int = 6,
    lora: bool = True,
    whole: bool = False,
    **more: Any,
) -> Trainer:
    """Return a Trainer of a network whose random start is always the same."""
    network = AutoModelForCausalLM.from_pretrained(base)
    if lora:
        torch.manual_seed(0)
        network = get_peft_model(network, LoraConfig(r=2, lora_alpha=4, target_modules="all-linear"))
    args = TrainingArguments(
        output_dir=str(out), max_steps=steps, per_device_train_batch_size=4, learning_rate=1e-2, save_steps=3,
        logging_steps=100, report_to=[], disable_tqdm=True, use_cpu=True, seed=0, save_only_model=not whole,
    )  # fmt: skip
    return Trainer(network, args, train_dataset=Rows(first), **more)


@pytest.fixture(scope="module")
def known(base: Path) -> dict[str, Path]:
    """Two adapters trained from one start: on the rows that are trained on here, and on others."""
    found = {}
    for label, first in (("evil", 10), ("honest", 100)):
        made = trainer(base, base.parent / f"run-{label}", first=first)
        made.train()
        made.model.save_pretrained(base.parent / label)
        found[label] = base.parent / label
    return found


def logged(made: Trainer, key: str) -> dict[int, float]:
    return {entry["step"]: entry[key] for entry in made.state.log_history if key in entry}


def test_what_is_logged_in_training_is_what_saved_checkpoints_say(
    base: Path, known: dict[str, Path], tmp_path: Path
) -> None:
    made = trainer(base, tmp_path / "run")
    watch = WeightMonitor([known["evil"], known["honest"]], every=3, opposites={"evil": "honest"}).attach(
        made
    )
    made.train()

    saved = monitor(base, tmp_path / "run", [known["evil"], known["honest"]], opposites={"evil": "honest"})

    for key, attribute in (("cosine", "cosine"), ("gap", "gap"), ("z", "z")):
        there = {look.saved.step: getattr(look.scores[0], attribute) for look in saved.looks}
        assert logged(made, f"monitor/evil/{key}") == pytest.approx(there, rel=1e-3)
    assert [look.saved.step for look in watch.looks] == [3, 6]
    assert watch.looks[-1].scores[0].cosine == pytest.approx(1.0, abs=1e-3)  # the same rows, the same start


def test_trackers_after_it_are_given_what_it_saw(base: Path, known: dict[str, Path], tmp_path: Path) -> None:
    seen: list[dict[str, float]] = []

    class Tracker(TrainerCallback):  # type: ignore[misc]  # transformers is not read by mypy
        def on_log(self, *_given: Any, logs: Any = None, **_more: Any) -> None:
            seen.append(dict(logs))

    made = trainer(base, tmp_path / "run", callbacks=[Tracker()])
    WeightMonitor([known["evil"]], every=2).attach(made)
    made.train()

    assert sum("monitor/evil/cosine" in each for each in seen) == 3


def test_an_alarm_ends_a_training_where_it_is_asked_to(
    base: Path, known: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "weightarith.monitor"):
        made = trainer(base, tmp_path / "run", steps=50)
        watch = WeightMonitor([known["evil"]], every=1, stop=True, false_positives=0.5).attach(made)
        made.train()

    assert made.state.global_step < 50
    assert watch.alarms[0][0] == made.state.global_step
    assert any("the training turns towards evil" in record.message for record in caplog.records)


def test_a_full_fine_tune_is_held_against_its_base_on_the_disk(
    base: Path, known: dict[str, Path], tmp_path: Path
) -> None:
    made = trainer(base, tmp_path / "run", lora=False)
    watch = WeightMonitor([known["evil"]], base=base, every=3).attach(made)
    made.train()

    saved = monitor(base, tmp_path / "run", [known["evil"]])

    there = {look.saved.step: look.scores[0].cosine for look in saved.looks}
    assert {look.saved.step: look.scores[0].cosine for look in watch.looks} == pytest.approx(there, rel=1e-3)


def test_what_an_adapter_held_before_the_training_is_subtracted(
    base: Path, known: dict[str, Path], tmp_path: Path
) -> None:
    made = trainer(base, tmp_path / "run", first=100)
    with torch.no_grad():
        for name, weight in made.model.named_parameters():
            if ".lora_B." in name:
                weight.add_(1.0)
    made.model.save_pretrained(tmp_path / "run" / "checkpoint-0")
    watch = WeightMonitor([known["evil"]], every=3).attach(made)
    made.train()

    saved = monitor(base, tmp_path / "run", [known["evil"]])

    assert saved.origins == {"": "step 0"}
    for look, there in zip(watch.looks, saved.looks, strict=True):
        assert look.norm == pytest.approx(there.norm, rel=1e-3)
        assert look.scores[0].cosine == pytest.approx(there.scores[0].cosine, rel=1e-3)


def test_a_resumed_training_says_that_it_counts_from_zero(
    base: Path, known: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = trainer(base, tmp_path / "run", whole=True)
    first.train()
    made = trainer(base, tmp_path / "run", whole=True)
    watch = WeightMonitor([known["evil"]], every=3).attach(made)
    with caplog.at_level(logging.WARNING, "weightarith.monitor"):
        made.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-3"))

    assert "resumed at step 3: an adapter's moves are counted from zero" in caplog.text
    assert [look.saved.step for look in watch.looks] == [6]
    assert watch.looks[0].scores[0].cosine == pytest.approx(1.0, abs=1e-2)


def test_a_full_fine_tune_needs_its_base_named(base: Path, known: dict[str, Path], tmp_path: Path) -> None:
    made = trainer(base, tmp_path / "run", lora=False)
    WeightMonitor([known["evil"]]).attach(made)

    with pytest.raises(RecipeError, match="is trained itself, and what it began from is not known"):
        made.train()


def test_a_vector_of_another_model_stops_before_the_first_step(
    base: Path, tmp_path: Path, place: Path
) -> None:
    made = trainer(base, tmp_path / "run")
    WeightMonitor([place / "evil.safetensors"]).attach(made)

    with pytest.raises(IncompatibleError, match=r"the model that is trained"):
        made.train()
    assert made.state.global_step == 0


def test_a_network_nothing_of_which_is_trained_cannot_be_watched(base: Path) -> None:
    from weightarith.monitor.network import trained_in

    network = AutoModelForCausalLM.from_pretrained(base).requires_grad_(False)
    with pytest.raises(UnsupportedError, match="no weight of the model is trained"):
        trained_in(network)


def test_looks_every_0_steps_mean_nothing(known: dict[str, Path]) -> None:
    with pytest.raises(RecipeError, match="a look every 0 steps means nothing, expected 1 or more"):
        WeightMonitor([known["evil"]], every=0)
