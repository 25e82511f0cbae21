"""What is far from the rest, in numbers that the odd ones among them do not move: median and MAD.

Rousseeuw and Croux (1993), "Alternatives to the median absolute deviation",
https://doi.org/10.1080/01621459.1993.10476408
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from weightarith.student import student_tail

Doubles = NDArray[np.float64]

FEWEST = 8
"""Numbers below which nothing is said of how they are spread."""

_CONSISTENT = 1.4826  # of a normal distribution: MAD · this is the standard deviation
_FREEDOM = 0.4  # degrees of freedom a number: found by simulation for 8 to 60 numbers, tails of 1e-3 to 2e-5


def scores(values: Doubles) -> Doubles:
    """Return how many standard deviations each of n numbers is from their median, (n,).

    The deviation is estimated by the median absolute deviation; where that is zero, so are the scores of the
    numbers that are equal to the median, and others are infinite.
    """
    apart = values - np.median(values)
    spread = _CONSISTENT * float(np.median(np.abs(apart)))
    if spread:
        return np.asarray(apart / spread)
    return np.where(apart == 0, 0.0, np.copysign(np.inf, apart))


def chance(score: float, count: int) -> float:
    """Return how often the score of one of `count` normal numbers is as far out, on either side, 0 to 1.

    Median and MAD of few numbers are uncertain themselves, so tails are those of Student's t with 0.4 degrees
    of freedom a number: a little too heavy, which errs on the side of silence.
    """
    if not math.isfinite(score):
        return 0.0
    freedom = max(_FREEDOM * (count - 1), 1.0)
    return min(2.0 * student_tail(abs(score), freedom), 1.0)


def chance_of_cosine(cosine: float, dimensions: int) -> float:
    """Return a bound on how often two random directions are as parallel, or as opposite, 0 to 1.

    The caps of a sphere beyond a cosine c are at most (1 − c²)^((n − 2) / 2) of it in n dimensions.
    """
    if dimensions <= 2:
        return 1.0
    left = max(1.0 - cosine * cosine, 0.0)
    return float(left ** ((dimensions - 2) / 2))


def chance_of_normal(score: float) -> float:
    """Return how often a normal number is as far from its mean, on either side."""
    return math.erfc(abs(score) / math.sqrt(2.0))
