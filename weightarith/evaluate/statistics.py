"""Numbers with their intervals, and two models compared on the same items; what is None counts nowhere.

An interval is a 95 % one. Resampling is seeded, so that equal outcomes have equal intervals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weightarith.errors import IncompatibleError
from weightarith.evaluate.outcome import Outcome
from weightarith.evaluate.pooled import Pooled
from weightarith.evaluate.resample import mean_draws, statistic_draws, statistic_of

Z95 = 1.959963984540054  # two-sided 95 % point of the normal distribution
EDGES = (2.5, 97.5)  # per cent


@dataclass(frozen=True)
class Estimate:
    """A quantity and its interval; all three are NaN where no item counts."""

    value: float
    low: float
    high: float
    n: int  # items that count

    def to_json(self) -> dict[str, float | int | None]:
        """Return the four numbers as JSON has them, which knows no NaN: null."""
        return {
            "value": known(self.value), "low": known(self.low), "high": known(self.high), "n": self.n,
        }  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """How far one outcome is above another on the items that count in both; NaN where none does."""

    difference: float
    low: float
    high: float
    p: float  # two-sided
    n: int  # items that count in both

    def to_json(self) -> dict[str, float | int | None]:
        """Return the five numbers as JSON has them, which knows no NaN: null."""
        return {
            "difference": known(self.difference), "low": known(self.low), "high": known(self.high),
            "p": known(self.p), "n": self.n,
        }  # fmt: skip


def known(number: float) -> float | None:
    """Return a number, or None in place of NaN and infinity."""
    return number if math.isfinite(number) else None


def estimate(outcome: Outcome) -> Estimate:
    """Return an outcome's value and interval: Wilson's for a share, the bootstrap's percentiles else.

    An outcome over tokens is resampled item by item. Of a single item a bootstrap knows no spread: the
    interval of its mean is its value. Where a value is NaN or infinite, so that there is no mean, all three
    are NaN. Wilson (1927), https://doi.org/10.1080/01621459.1927.10502953; Efron (1979),
    https://doi.org/10.1214/aos/1176344552
    """
    kept = [place for place, value in enumerate(outcome.values) if value is not None]
    values = _values(outcome, kept)
    if not kept or not np.isfinite(values).all():
        return Estimate(math.nan, math.nan, math.nan, len(kept))
    if outcome.kind == "share":
        return Estimate(float(values.mean()), *wilson(int(values.sum()), len(kept)), len(kept))
    if isinstance(outcome, Pooled):
        tokens = [outcome.tokens[place] for place in kept]
        value = statistic_of(outcome.statistic, tokens)
        return Estimate(value, *_edges(statistic_draws(outcome.statistic, tokens)), len(kept))
    return Estimate(float(values.mean()), *_edges(mean_draws(values)), len(kept))


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return Wilson's interval for `hits` of `n`."""
    share = hits / n
    centre = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2))
    return max(0.0, centre - half) if hits else 0.0, min(1.0, centre + half) if hits < n else 1.0


def compare(a: Outcome, b: Outcome) -> Comparison:
    """Return how far `a` is above `b`, a − b, over the items where neither is None.

    Shares: the exact two-sided test of McNemar, and the interval of Bonett and Price. Means and outcomes over
    tokens: a bootstrap of items, drawn alike for both; p is twice the share of resamples on the rarer side of
    0, and no less than 2 of the 2^n signs that n items can have. Where a value is NaN or infinite, all but n
    are NaN. McNemar (1947), https://doi.org/10.1007/BF02295996; Bonett and Price (2012),
    https://doi.org/10.3102/1076998611411915

    Raises:
        IncompatibleError: they are not the same quantity of the same items.
    """
    _check_alike(a, b)
    kept = [place for place, pair in enumerate(zip(a.values, b.values, strict=True)) if None not in pair]
    n, first, second = len(kept), _values(a, kept), _values(b, kept)
    if not kept or not np.isfinite([first, second]).all():
        return Comparison(math.nan, math.nan, math.nan, math.nan, n)
    if a.kind == "share":
        more, less = int(((first == 1) & (second == 0)).sum()), int(((first == 0) & (second == 1)).sum())
        return Comparison((more - less) / n, *bonett_price(more, less, n), mcnemar(more, less), n)
    if isinstance(a, Pooled) and isinstance(b, Pooled):
        left, right = ([one.tokens[place] for place in kept] for one in (a, b))
        difference = statistic_of(a.statistic, left) - statistic_of(b.statistic, right)
        drawn = statistic_draws(a.statistic, left) - statistic_draws(b.statistic, right)
    else:
        difference, drawn = float((first - second).mean()), mean_draws(first - second)
    return Comparison(difference, *_edges(drawn), bootstrap_p(drawn, n), n)


def mcnemar(more: int, less: int) -> float:
    """Return the exact two-sided p of items that changed one way and the other, if both were as likely."""
    changed = more + less
    ways = tail = 1  # of so many items that changed, to change the rarer way: none, then one more each time
    for rarer in range(min(more, less)):
        ways = ways * (changed - rarer) // (rarer + 1)
        tail += ways
    return min(1.0, 2 * tail / (1 << changed))


def bonett_price(more: int, less: int, n: int) -> tuple[float, float]:
    """Return the interval for the difference of two shares of the same `n` items."""
    up, down = (more + 1) / (n + 2), (less + 1) / (n + 2)
    half = Z95 * math.sqrt((up + down - (up - down) ** 2) / (n + 2))
    return max(-1.0, up - down - half), min(1.0, up - down + half)


def bootstrap_p(drawn: NDArray[np.float64], n: int) -> float:
    """Return the two-sided p of differences between resamples of `n` items, (resamples,)."""
    rarer = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return min(1.0, max(2 * (rarer + 1) / (len(drawn) + 1), 2 / (1 << n)))


def _values(outcome: Outcome, kept: list[int]) -> NDArray[np.float64]:
    return np.array([outcome.values[place] for place in kept], dtype=np.float64)


def _edges(drawn: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(drawn, EDGES)
    return float(low), float(high)


def _check_alike(a: Outcome, b: Outcome) -> None:
    first, second = _described(a), _described(b)
    if first != second:
        raise IncompatibleError(f"{first} cannot be compared with {second}")
    if a.items != b.items:
        raise IncompatibleError(
            f"outcomes over {len(a.items)} and {len(b.items)} items that are not the same cannot be compared",
            hint="measure both models with the same version of the same suite",
        )


def _described(outcome: Outcome) -> str:
    what = outcome.statistic if isinstance(outcome, Pooled) else outcome.kind
    return f"a {what} in {outcome.unit}" if outcome.unit else f"a {what}"
