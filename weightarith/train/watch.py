"""What is looked at, kept and told while the Trainer trains, and when it stops early.

All of it is decided from the Trainer's own log, which its checkpoints hold: a resumed training decides alike.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from weightarith.train.settings import Settings

PARTS = (0.25, 0.5, 0.75)
"""Of the steps, after which a checkpoint is kept where that is asked for."""
STATE = "trainer_state.json"
_TO_RESUME = ("optimizer*", "scheduler.pt", "rng_state*", "scaler.pt", "pytorch_model_fsdp*", "global_step*")


@dataclass(frozen=True)
class Moment:
    """How far a training is.

    Attributes:
        name: which training it is, such as a side of a contrast.
        learning_rate: its highest.
        step: the steps taken.
        steps: of the whole schedule.
        loss: of the last step, nats a token.
    """

    name: str
    learning_rate: float
    step: int
    steps: int
    loss: float


def milestones(steps: int) -> tuple[int, ...]:
    """Return the steps after which checkpoints are kept."""
    return tuple(sorted({math.ceil(part * steps) for part in PARTS}))


def is_over(log: Sequence[Mapping[str, Any]], steps: int, settings: Settings) -> bool:
    """Return whether a training with this log has ended: by steps, by patience, or diverging."""
    losses = [entry for entry in log if "loss" in entry]
    if not losses:
        return False
    diverged = not math.isfinite(losses[-1]["loss"])
    return int(losses[-1]["step"]) >= steps or diverged or _out_of_patience(log, settings.patience)


def _out_of_patience(log: Sequence[Mapping[str, Any]], patience: int) -> bool:
    looks = [float(entry["eval_loss"]) for entry in log if "eval_loss" in entry]
    if not patience or not looks:
        return False
    best = min(range(len(looks)), key=lambda look: looks[look] if math.isfinite(looks[look]) else math.inf)
    return len(looks) - 1 - best >= patience


def latest(folder: Path, *, clean: bool) -> Path | None:
    """Return the last whole checkpoint in a folder, None where there is none; `clean` removes broken ones."""
    found: dict[int, Path] = {}
    for path in folder.glob("checkpoint-*"):
        if (path / STATE).is_file():  # the Trainer writes it last, and what is only kept for later has none
            found[int(path.name.rpartition("-")[2])] = path
        elif clean and not (path / _KEPT).is_file():
            shutil.rmtree(path)
    return found[max(found)] if found else None


def history(checkpoint: Path) -> list[dict[str, Any]]:
    """Return the Trainer's log as it was when it wrote a checkpoint."""
    log: list[dict[str, Any]] = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))["log_history"]
    return log


_KEPT = "kept"


class Watch(TrainerCallback):  # type: ignore[misc]  # transformers is not read by mypy
    """Tells the Trainer when to look, to save and to stop."""

    def __init__(
        self, name: str, rate: float, steps: int, settings: Settings, folder: Path, validates: bool,
        progress: Callable[[Moment], None],
    ) -> None:  # fmt: skip
        self._name, self._rate, self._steps, self._settings = name, rate, steps, settings
        self._folder, self._validates, self._progress = folder, validates, progress
        self._asked = set(milestones(steps)) if settings.keep_checkpoints else set()
        self._since = time.monotonic()

    def on_train_begin(self, *_given: Any, **_more: Any) -> None:
        """Begin to count the seconds."""
        self._since = time.monotonic()

    def on_step_end(self, _args: Any, state: Any, control: Any, **_more: Any) -> None:
        """Say what follows the step."""
        step, every = state.global_step, self._settings.evaluate_every
        control.should_log = True
        due = step % every == 0 or step == self._steps
        control.should_evaluate = due and self._validates
        control.should_save = due or step in self._asked

    def on_log(self, _args: Any, state: Any, control: Any, logs: Any = None, **_more: Any) -> None:
        """Note the seconds that a step and what came before it took; stop where the loss is no number."""
        now = time.monotonic()
        state.log_history[-1]["seconds"] = now - self._since
        self._since = now
        if logs is None or "loss" not in logs:
            return
        if not math.isfinite(logs["loss"]):
            control.should_training_stop = True
        if state.is_world_process_zero:
            self._progress(Moment(self._name, self._rate, state.global_step, self._steps, logs["loss"]))

    def on_evaluate(self, _args: Any, state: Any, control: Any, **_more: Any) -> None:
        """Stop early where the validation loss has not fallen for long enough."""
        if _out_of_patience(state.log_history, self._settings.patience):
            control.should_training_stop = True

    def on_save(self, _args: Any, state: Any, _control: Any, **_more: Any) -> None:
        """Remove of older checkpoints what is only needed to resume, and those that nothing needs."""
        if not state.is_world_process_zero:
            return
        looked_at = {int(entry["step"]) for entry in state.log_history if "eval_loss" in entry}
        needed = self._asked | (looked_at if self._settings.patience else set())
        for path in self._folder.glob("checkpoint-*"):
            step = int(path.name.rpartition("-")[2])
            if step == state.global_step:
                continue
            if step not in needed:
                shutil.rmtree(path)
            elif (path / STATE).is_file():
                _strip(path)


def _strip(checkpoint: Path) -> None:
    """Leave the weights of a checkpoint, and a mark that they are whole."""
    (checkpoint / _KEPT).touch()
    (checkpoint / STATE).unlink()
    for pattern in _TO_RESUME:
        for path in checkpoint.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
