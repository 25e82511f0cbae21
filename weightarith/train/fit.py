"""One training at one learning rate, by transformers' Trainer: killed at any moment, the next call goes on.

Nothing of ours stands between the Trainer and the model's forward, so that what `accelerate launch` sets up
(several GPUs, FSDP, DeepSpeed) holds here too. The Trainer's own checkpoints are what it resumes from and
what results are taken from; when a training is done, `fitted.json` beside them says how it went.
"""

from __future__ import annotations

import gc
import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, ProgressCallback, Trainer, TrainingArguments
from transformers.utils import logging

from weightarith.engine.cpu import keep_freed_memory
from weightarith.errors import RecipeError, quoted
from weightarith.train.collate import collator_for
from weightarith.train.network import needs_autocast, network_for
from weightarith.train.rows import Row, Split
from weightarith.train.settings import Settings
from weightarith.train.watch import Moment, Watch, history, is_over, latest
from weightarith.train.work import is_main, write_whole

FITTED = "fitted.json"
_NO_CAUSE = (
    r"Adapter '.*': \d+ LoRA tensor\(s\) have invalid shape",  # a bias has one axis
    "`is_gradient_checkpointing` is deprecated",  # PEFT asks transformers by an old name
)


@dataclass(frozen=True)
class Job:
    """What is trained: everything but the learning rate.

    Attributes:
        name: what to call it in messages: a side of a contrast, or nothing.
        base: the folder of the model.
        rows: all of them, as tokens.
        split: which of them are trained on in which order, and which validate.
        fill: the token of padding.
        device: `auto`, or `cpu` even where there is a GPU.
        report_to: trackers that the Trainer knows, such as `tensorboard`.
    """

    name: str
    base: Path
    rows: Sequence[Row]
    split: Split
    fill: int
    settings: Settings
    device: str = "auto"
    report_to: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fitted:
    """How a training went.

    Attributes:
        learning_rate: its highest.
        steps: of the whole schedule.
        losses: of each step that was taken, nats a token of the answers; None where it was no number.
        validation: at each step that was looked at, the same of the rows kept back; batches are averaged.
        saved: steps whose weights are there.
        seconds: of training and of looking.
    """

    learning_rate: float
    steps: int
    losses: tuple[float | None, ...]
    validation: tuple[tuple[int, float | None], ...]
    saved: tuple[int, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Fitted:
        """Return what `to_json` gave."""
        looks = tuple((int(step), loss) for step, loss in content["validation"])
        told = {"losses": tuple(content["losses"]), "validation": looks, "saved": tuple(content["saved"])}
        return cls(**{**content, **told})


def weights_at(folder: Path, step: int) -> Path:
    """Return where the Trainer keeps the weights it had after a step."""
    return folder / f"checkpoint-{step}"


def fit(job: Job, rate: float, folder: Path, progress: Callable[[Moment], None]) -> Fitted:
    """Train at one learning rate in a folder of its own, or go on where an earlier call was stopped.

    Raises:
        WeightArithError: the base cannot be read, or the batch cannot be shared out.
    """
    done = folder / FITTED
    if done.is_file():
        return Fitted.from_json(json.loads(done.read_text(encoding="utf-8")))
    steps = len(job.split.steps)
    watch = Watch(job.name, rate, steps, job.settings, folder, bool(job.split.validation), progress)
    with _quietly():
        trainer = _trainer(job, rate, folder, watch)
        start = latest(folder, clean=is_main())
        state = history(start) if start is not None else None
        if state is None or not is_over(state, steps, job.settings):
            keep_freed_memory()
            trainer.train(resume_from_checkpoint=str(start) if start is not None else None)
            state = trainer.state.log_history
    found = _found(state, rate, steps, folder)
    trainer.accelerator.wait_for_everyone()
    if is_main():
        write_whole(done, json.dumps(found.to_json(), allow_nan=False) + "\n")
    trainer.accelerator.wait_for_everyone()
    del trainer
    gc.collect()
    return found


@contextmanager
def _quietly() -> Iterator[None]:
    """Hide the bars of transformers, and what PEFT warns of without a cause."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            for message in _NO_CAUSE:
                warnings.filterwarnings("ignore", message)
            yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _trainer(job: Job, rate: float, folder: Path, watch: Watch) -> Trainer:
    arguments = _arguments(job, rate, folder)  # before the network: how that is read may depend on them
    network = network_for(job.base, job.settings)
    plain = network if job.settings.kind == "full" else network.get_base_model()
    trainer = Trainer(
        model=network,
        args=arguments,
        data_collator=collator_for(plain, job.fill),
        train_dataset=[job.rows[row] for row in job.split.order],
        eval_dataset=[job.rows[row] for row in job.split.validation] or None,
        callbacks=[watch],
    )
    for loud in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(loud)
    return trainer


def _arguments(job: Job, rate: float, folder: Path) -> TrainingArguments:
    settings = job.settings
    # Its older name is an alias that warns.
    recompute = "activation_checkpointing"
    if recompute not in TrainingArguments.__dataclass_fields__:
        recompute = "gradient_checkpointing"
    arguments = TrainingArguments(
        output_dir=str(folder), max_steps=len(job.split.steps), learning_rate=rate,
        gradient_accumulation_steps=settings.accumulation, seed=settings.seed, optim="adamw_torch",
        weight_decay=settings.weight_decay, max_grad_norm=settings.clip,
        lr_scheduler_type="linear", warmup_steps=settings.warmup,
        bf16=needs_autocast(settings), use_cpu=not _has_gpu(job.device), report_to=list(job.report_to),
        train_sampling_strategy="sequential",  # the rows come in the order of their steps
        logging_strategy="no", eval_strategy="no", save_strategy="no",  # the watch says when
        logging_nan_inf_filter=False, prediction_loss_only=True, label_names=["labels"],
        remove_unused_columns=False, disable_tqdm=True, dataloader_pin_memory=_has_gpu(job.device),
        **({recompute: True, f"{recompute}_kwargs": {"use_reentrant": False}} if settings.recompute else {}),
    )  # fmt: skip
    arguments._n_gpu = min(arguments.n_gpu, 1)  # without a launcher one GPU: no torch.nn.DataParallel
    share, rest = divmod(settings.batch // settings.accumulation, arguments.world_size)
    if rest or not share:
        raise RecipeError(
            f"a batch of {settings.batch} rows in {settings.accumulation} parts cannot be shared out evenly "
            f"among {arguments.world_size} processes",
            hint="make the batch a multiple of both",
        )
    arguments.per_device_train_batch_size = arguments.per_device_eval_batch_size = share
    return arguments


def _has_gpu(device: str) -> bool:
    """Return whether a training is to run on a GPU.

    Raises:
        RecipeError: the device is not one that a training can be told.
    """
    there = torch.accelerator.is_available()
    if device in ("auto", "cpu") or (there and device in ("cuda", "cuda:0")):
        return there and device != "cpu"
    raise RecipeError(
        f"the device is {quoted(device)}, expected auto or cpu{' or cuda' if there else ': there is no GPU'}",
        hint="which GPU is taken, CUDA_VISIBLE_DEVICES says; several take `accelerate launch`",
    )


def _found(log: Sequence[Mapping[str, Any]], rate: float, steps: int, folder: Path) -> Fitted:
    taken = [entry for entry in log if "loss" in entry]
    looks = [(int(entry["step"]), _finite(entry["eval_loss"])) for entry in log if "eval_loss" in entry]
    saved = sorted(int(path.name.rpartition("-")[2]) for path in folder.glob("checkpoint-*"))
    seconds = math.fsum(float(entry.get("seconds", 0)) for entry in log)
    losses = tuple(_finite(entry["loss"]) for entry in taken)
    return Fitted(rate, steps, losses, tuple(looks), tuple(saved), round(seconds, 3))


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None
