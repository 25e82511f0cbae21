"""A callback of transformers' Trainer that holds the weights in training against known vectors.

It works with every Trainer that calls callbacks, TRL's too. What it finds goes into the Trainer's own log, so
that every tracker has it; `attach` puts it before the trackers, which is why it is the way to add it.
"""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from weightarith.algebra import Checkpoint
from weightarith.errors import RecipeError
from weightarith.hub import locate
from weightarith.monitor.checkpoints import Saved
from weightarith.monitor.known import Given, Known, known_from
from weightarith.monitor.live import Live
from weightarith.monitor.score import Score
from weightarith.monitor.warning import about_starts, about_vectors
from weightarith.monitor.watching import RATE, Look, allowed, check_rate, look_of

LOG = logging.getLogger("weightarith.monitor")


class WeightMonitor(TrainerCallback):  # type: ignore[misc]  # transformers is not read by mypy
    """Watches a training: cosines, gaps and z every so many steps, and an alarm where one is due.

    Args:
        vectors: what is watched: vectors, adapters, folders written by `contrast`.
        base: what the training begins from; needed only where weights are trained themselves.
        every: steps between two looks; there is one after the last step too.
        opposites: of a watched vector, by its label, the label of the one it is set against.
        controls: unrelated trainings from the random start of this one; two at least, better five or more.
        false_positives: how often chance may sound an alarm in the whole training.
        stop: whether an alarm ends the training.

    Attributes:
        looks: all that was seen since the training began, or was resumed.
        seconds: what the looks took, in all.

    Raises:
        WeightArithError: a vector is missing or damaged, or a number means nothing.
    """

    def __init__(
        self, vectors: Sequence[Given], *, base: str | Path | Checkpoint | None = None, every: int = 50,
        opposites: Mapping[str, str] | None = None, controls: Sequence[Given] = (),
        false_positives: float = RATE, stop: bool = False,
    ) -> None:  # fmt: skip
        if every < 1:
            raise RecipeError(f"a look every {every} steps means nothing, expected 1 or more")
        check_rate(false_positives)
        opened_base = base if isinstance(base, Checkpoint) or base is None else _base(base)
        self.known: Known = known_from(vectors, controls, opposites, opened_base)
        self.looks: list[Look] = []
        self.seconds = 0.0
        self._base, self._every, self._rate, self._stop = opened_base, every, false_positives, stop
        self._live: Live | None = None
        self._pending: dict[str, float] = {}
        self._attached, self._limit, self._since = False, false_positives, 0.0

    @property
    def alarms(self) -> list[tuple[int, Score]]:
        """The step and the score of each alarm."""
        return [(look.saved.step, each) for look in self.looks for each in look.scores if each.alarm]

    def attach(self, trainer: Any) -> WeightMonitor:
        """Add this to a Trainer, before the trackers in its list, and return it."""
        callbacks: list[Any] = trainer.callback_handler.callbacks
        if self in callbacks:
            callbacks.remove(self)
        callbacks.insert(0, self)
        self._attached = True
        return self

    def on_train_begin(self, args: Any, state: Any, _control: Any, model: Any = None, **_more: Any) -> None:
        """Lay the vectors onto the network, and say what limits what an alarm will mean."""
        resumed = state.global_step > 0
        self._live = Live(model, self.known, self._base, resumed=resumed)
        planned = max(math.ceil(state.max_steps / self._every), 1)
        self._limit = allowed(self._rate, planned, len(self.known.watched))
        if resumed:
            LOG.warning("resumed at step %d: an adapter's moves are counted from zero", state.global_step)
        for said in (*about_vectors(self.known), *about_starts(self.known, self._live.starts)):
            LOG.warning(said)
        if not self._attached and args.report_to:
            warnings.warn(
                "the trackers of this Trainer come before the monitor and do not see what it logs; add it by "
                "`monitor.attach(trainer)`", stacklevel=2,
            )  # fmt: skip
        self._since = time.perf_counter()

    def on_step_end(self, _args: Any, state: Any, control: Any, **_more: Any) -> None:
        """Look where a look is due; the log of this step carries what was seen."""
        step = state.global_step
        if self._live is None or (step % self._every and step != state.max_steps):
            return
        began = time.perf_counter()
        look = look_of(Saved(step, Path()), self._live.look(), self.known, self._limit)
        self.looks.append(look)
        spent = time.perf_counter() - began
        self.seconds += spent
        self._pending = _logged(look) | {"monitor/seconds": spent, "monitor/share": self._share()}
        control.should_log = True
        for score in look.scores:
            if score.alarm:
                LOG.warning(_alarm(step, score, self._rate))
                control.should_training_stop = control.should_training_stop or self._stop

    def on_log(self, _args: Any, state: Any, _control: Any, logs: Any = None, **_more: Any) -> None:
        """Put what was seen into the Trainer's log, and into what callbacks after this one are given."""
        if not self._pending or logs is None:
            return
        logs |= self._pending
        if state.log_history:
            state.log_history[-1] |= self._pending
        self._pending = {}

    def _share(self) -> float:
        """Return the share of the time of this training that looks took."""
        return self.seconds / max(time.perf_counter() - self._since, 1e-9)


def _base(path: str | Path) -> Checkpoint:
    return Checkpoint.open(locate(str(path)), label="base")


def _logged(look: Look) -> dict[str, float]:
    """Return what a tracker gets of a look: numbers by name, what is not defined left out."""
    found: dict[str, float] = {"monitor/moved": look.norm}
    for score in look.scores:
        told = {
            "cosine": score.cosine, "gap": score.gap, "z": score.z, "z_controls": score.controls_z,
            "threshold": score.threshold, "alarm": float(score.alarm),
        }  # fmt: skip
        found |= {
            f"monitor/{score.vector}/{name}": number
            for name, number in told.items()
            if number is not None and math.isfinite(number)
        }
    return found


def _alarm(step: int, score: Score, rate: float) -> str:
    tested = "cosine" if score.gap is None else "gap to its opposite"
    return (
        f"alarm at step {step}: the training turns towards {score.vector}: "
        f"{tested} {score.tested or 0:+.4f}, "
        f"above {score.threshold or 0:.4f}, z {score.z or 0:+.1f} (false positives: at most {rate:g} a run)"
    )
