"""Watching a fine-tune: how its checkpoints, or its weights in training, lie to known vectors.

A cosine alone says little. It is told beside what random copies of the vector and controls give, and the gap
to an opposite; an alarm has a stated rate of false positives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weightarith.monitor.checkpoints import Saved
from weightarith.monitor.known import Known, Watched, known
from weightarith.monitor.score import Score
from weightarith.monitor.start import Start
from weightarith.monitor.watching import Look, Monitored, monitor

if TYPE_CHECKING:
    from weightarith.monitor.callback import WeightMonitor as WeightMonitor

__all__ = [
    "Known", "Look", "Monitored", "Saved", "Score", "Start", "Watched", "WeightMonitor", "known", "monitor",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Return the callback, which needs torch and transformers, where it is asked for."""
    if name == "WeightMonitor":
        from weightarith.monitor.callback import WeightMonitor

        return WeightMonitor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
