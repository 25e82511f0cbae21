"""How large a number must be before chance is a poor explanation of it.

Two models of chance. Of a sum with random signs the tail is bounded, whatever the summands: P(S ≥ z) is at
most c·P(N ≥ z) with N normal and c = 1 / (4·P(N ≥ √2)) ≈ 3.18 (Bentkus and Dzindzalieta, 2015, "A tight
Gaussian bound for weighted sums of Rademacher random variables", Bernoulli 21). A further number of a normal
sample, less the mean and over the deviation of the sample, is Student's t.
"""

from __future__ import annotations

import math
from statistics import NormalDist, fmean, stdev

from weightarith.student import student_quantile, student_tail

_NORMAL = NormalDist()
SIGNS = 1 / (2 * math.erfc(1.0))
"""The constant of the bound: 1 / (4·P(N ≥ √2)), and P(N ≥ z) is erfc(z/√2)/2."""


def chance_of_signs(score: float) -> float:
    """Return a bound on how often a sum with random signs is so many deviations above 0, or more."""
    return min(SIGNS * math.erfc(score / math.sqrt(2)) / 2, 1.0) if score > 0 else 1.0


def needed_of_signs(chance: float) -> float:
    """Return the deviations above 0 that a sum with random signs reaches with at most this chance."""
    return max(-_NORMAL.inv_cdf(max(chance / SIGNS, 1e-300)), 0.0) if chance < SIGNS / 2 else 0.0


def score_in(value: float, sample: tuple[float, ...]) -> float | None:
    """Return Student's t of a further number of a sample, with one degree of freedom less than numbers.

    None for fewer than two numbers; infinite where they are all equal and the further one is not.
    """
    if len(sample) < 2:
        return None
    apart, spread = value - fmean(sample), stdev(sample) * math.sqrt(1 + 1 / len(sample))
    if spread:
        return apart / spread
    return math.copysign(math.inf, apart) if apart else 0.0


def chance_in(score: float, numbers: int) -> float:
    """Return how often `score_in` a sample of so many numbers is as large, or larger."""
    return student_tail(score, numbers - 1)


def needed_in(sample: tuple[float, ...], chance: float) -> float | None:
    """Return what a further number of a sample reaches with this chance; None for fewer than two numbers."""
    if len(sample) < 2:
        return None
    needed = student_quantile(chance, len(sample) - 1)
    return fmean(sample) + needed * stdev(sample) * math.sqrt(1 + 1 / len(sample))
