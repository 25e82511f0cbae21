"""Student's t: its tail and its quantile, for any number of degrees of freedom above 0, whole or not.

The tail is the regularised incomplete beta function, whose series has positive terms alone: digits are kept
where chances are small. Abramowitz and Stegun (1964), 26.5.4 and 26.7.1.
"""

from __future__ import annotations

import math

_HALVINGS, _TERMS = 200, 100_000


def student_tail(score: float, freedom: float) -> float:
    """Return P(T ≥ score) of Student's t; 0 at infinity.

    With n degrees of freedom and a score above 0 it is I(x; n/2, 1/2)/2 with x = n/(n + score²).
    """
    if score < 0:
        return 1.0 - student_tail(-score, freedom)
    if not math.isfinite(score):
        return 0.0
    x = freedom / (freedom + score * score)
    return _incomplete_beta(x, freedom) / 2


def student_quantile(tail: float, freedom: float) -> float:
    """Return the score, 0 or more, with P(T ≥ score) = `tail`, a chance above 0 and at most 1/2."""
    low, high = 0.0, 1.0
    while student_tail(high, freedom) > tail and high < 1e300:
        high *= 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if student_tail(middle, freedom) > tail else (low, middle)
    return high


def _incomplete_beta(x: float, freedom: float) -> float:
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
    while term > total * 1e-17 and count < _TERMS:
        term *= (a + b + count) / (a + 1 + count) * x
        total += term
        count += 1
    return min(math.exp(log_front) * total, 1.0)
