"""Several runs of one method: the mean over seeds, and how far another seed may be from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from weightarith.errors import RecipeError


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
    half = t_quantile(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    low, high = mean - half, mean + half
    return OverRuns(mean, max(low, 0.0) if share else low, min(high, 1.0) if share else high, tuple(values))


def t_quantile(probability: float, freedom: int) -> float:
    """Return the quantile of Student's t at a probability from 0.5 to below 1."""
    low, high = 0.0, 1.0
    while t_below(high, freedom) < probability:
        low, high = high, 2 * high
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if t_below(middle, freedom) < probability else (low, middle)
    return (low + high) / 2


def t_below(t: float, freedom: int) -> float:
    """Return the chance that Student's t is below `t`.

    For whole degrees of freedom it is a finite sum: Abramowitz and Stegun (1964), 26.7.3 and 26.7.4.
    """
    angle = math.atan(t / math.sqrt(freedom))
    cosine = math.cos(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = term if freedom > 1 else 0.0
    for step in range(2 + odd, freedom - 1, 2):
        term *= cosine * cosine * (step - 1) / step
        total += term
    inside = math.sin(angle) * total
    return 0.5 + (2 / math.pi * (angle + inside) if odd else inside) / 2
