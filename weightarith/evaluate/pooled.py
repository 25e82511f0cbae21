"""An outcome whose number is taken over the tokens of all items together: no mean of one number an item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from weightarith.evaluate.outcome import Outcome

Statistic = Literal["exp mean", "p95", "p99"]
STATISTICS: tuple[Statistic, ...] = ("exp mean", "p95", "p99")
DIGITS = 7
"""Significant digits that are kept of a token's number, which is float32 to begin with."""


@dataclass(frozen=True)
class Pooled(Outcome):
    """A statistic of tokens: "exp mean" (perplexity) or a percentile.

    The item is what is resampled, with all its tokens: those of one text are not independent of each other.

    Attributes:
        statistic: what is taken over the tokens.
        tokens: the number of every token, an item each; none where the item does not count for this model.
    """

    statistic: Statistic = "exp mean"
    tokens: tuple[tuple[float, ...], ...] = ()


def pooled(
    statistic: Statistic, items: Sequence[str], tokens: Sequence[Sequence[float]], unit: str
) -> Pooled:
    """Return an outcome over tokens, each item's own mean as its value."""
    kept = tuple(tuple(float(f"{number:.{DIGITS}g}") for number in one) for one in tokens)
    values = tuple(sum(one) / len(one) if one else None for one in kept)
    return Pooled("mean", tuple(items), values, unit, statistic, kept)
