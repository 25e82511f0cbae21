"""Several runs of one method: the mean over seeds, and how far another seed may be from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from weightarith.errors import RecipeError
from weightarith.student import student_quantile


@dataclass(frozen=True)
class OverRuns:
    """A mean over runs, with its 95 % t-interval; without one where there is a single run."""

    mean: float
    low: float | None
    high: float | None
    values: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"mean": self.mean, "low": self.low, "high": self.high, "values": list(self.values)}


def over_runs(values: Sequence[float], *, share: bool = False) -> OverRuns:
    """Return the mean over runs and its interval, which takes runs as independent and about normal.

    Args:
        values: one a run.
        share: whether they are shares, whose interval ends at 0 and 1.

    Raises:
        RecipeError: there are no values.
    """
    if not values:
        raise RecipeError("no runs to take the mean of")
    mean = fmean(values)
    if len(values) == 1:
        return OverRuns(mean, None, None, tuple(values))
    half = student_quantile(0.025, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    low, high = mean - half, mean + half
    return OverRuns(mean, max(low, 0.0) if share else low, min(high, 1.0) if share else high, tuple(values))
