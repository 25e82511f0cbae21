"""What watching a training costs: the time of a look beside that of a step, in one training.

    python -m tests.benchmarks.monitoring BASE VECTOR...

BASE is a transformers folder, each VECTOR an adapter or a vector in factors for it. LoRA of rank 16 on all
linear modules, 8 rows of 64 tokens a step.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments

from weightarith.monitor import WeightMonitor

STEPS, EVERY = 12, 3
USUAL = 50
"""Steps between two looks where nothing is said."""


class Rows(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Rows of 64 tokens."""

    def __len__(self) -> int:
        return 8 * STEPS

    def __getitem__(self, place: int) -> dict[str, torch.Tensor]:
        ids = torch.arange(64) + 100 + place
        return {"input_ids": ids, "labels": ids, "attention_mask": torch.ones_like(ids)}


class Clock(TrainerCallback):  # type: ignore[misc]  # transformers is not read by mypy
    """The times of steps, looks aside."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self._began = 0.0

    def on_step_begin(self, *_given: Any, **_more: Any) -> None:
        self._began = time.perf_counter()

    def on_optimizer_step(self, *_given: Any, **_more: Any) -> None:
        self.steps.append(time.perf_counter() - self._began)


def main() -> None:
    """Train a few steps and print the median times and the share of looks."""
    parser = argparse.ArgumentParser(description="what watching a training costs")
    parser.add_argument("base", type=Path)
    parser.add_argument("vectors", type=Path, nargs="+")
    asked = parser.parse_args()
    network = AutoModelForCausalLM.from_pretrained(asked.base)
    network = get_peft_model(network, LoraConfig(r=16, lora_alpha=16, target_modules="all-linear"))
    clock = Clock()
    with tempfile.TemporaryDirectory() as out:
        args = TrainingArguments(
            output_dir=out, max_steps=STEPS, per_device_train_batch_size=8, save_strategy="no", report_to=[],
            disable_tqdm=True, bf16=True, use_cpu=not torch.cuda.is_available(),
        )  # fmt: skip
        trainer = Trainer(network, args, train_dataset=Rows(), callbacks=[clock])
        watch = WeightMonitor(asked.vectors, every=EVERY).attach(trainer)
        trainer.train()
    looks = [entry["monitor/seconds"] for entry in trainer.state.log_history if "monitor/seconds" in entry]
    step, look = statistics.median(clock.steps), statistics.median(looks)
    print(f"step {step:.3f} s, look {look:.3f} s, of {len(asked.vectors)} vectors")
    print(f"a look every {USUAL} steps: {100 * look / (USUAL * step):.2f} % of the time of a step")
    assert len(watch.looks) == STEPS // EVERY


if __name__ == "__main__":
    main()
