"""How large a number must be before chance is a poor explanation of it.

Two models of chance. Of a sum with random signs the tail is bounded, whatever the summands: P(S ≥ z) is at
most c·P(N ≥ z) with N normal and c = 1 / (4·P(N ≥ √2)) ≈ 3.18 (Bentkus and Dzindzalieta, 2015, "A tight
Gaussian bound for weighted sums of Rademacher random variables", Bernoulli 21). A further number of a normal
sample, less the mean and over the deviation of the sample, is Student's t.
"""

from __future__ import annotations

import math
from statistics import NormalDist, fmean, stdev

_NORMAL = NormalDist()
SIGNS = 1 / (2 * math.erfc(1.0))
"""The constant of the bound: 1 / (4·P(N ≥ √2)), and P(N ≥ z) is erfc(z/√2)/2."""

_HALVINGS = 200


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
    low, high = 0.0, 1.0
    while student_tail(high, len(sample) - 1) > chance and high < 1e300:
        high *= 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if student_tail(middle, len(sample) - 1) > chance:
            low = middle
        else:
            high = middle
    return fmean(sample) + high * stdev(sample) * math.sqrt(1 + 1 / len(sample))


def student_tail(score: float, freedom: int) -> float:
    """Return P(T ≥ score) of Student's t with a whole number of degrees of freedom.

    For n of them and a score above 0 it is I(x; n/2, 1/2)/2 with x = n/(n + score²), a sum of positive terms
    where x is small: tails keep their digits.
    """
    if score < 0:
        return 1.0 - student_tail(-score, freedom)
    if not math.isfinite(score):
        return 0.0
    x = freedom / (freedom + score * score)
    return _incomplete_beta(x, freedom) / 2


def _incomplete_beta(x: float, freedom: int) -> float:
    """Return I(x; freedom/2, 1/2), the regularised incomplete beta function."""
    if x >= 0.5:  # the series converges slowly there: the other tail
        return 1.0 - _series(1.0 - x, 0.5, freedom / 2)
    return _series(x, freedom / 2, 0.5)


def _series(x: float, a: float, b: float) -> float:
    """Return I(x; a, b) for x ≤ 1/2: x^a·(1−x)^b/(a·B(a, b)) · Σ over k of (a+b)_k/(a+1)_k·x^k."""
    if x <= 0:
        return 0.0
    log_front = a * math.log(x) + b * math.log1p(-x) - math.log(a)
    log_front += math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    total = term = 1.0
    count = 0
    while term > total * 1e-17 and count < 100_000:
        term *= (a + b + count) / (a + 1 + count) * x
        total += term
        count += 1
    return min(math.exp(log_front) * total, 1.0)
