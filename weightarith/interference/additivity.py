"""How far effects add up: that of vectors together less the sum of what each does alone, item by item.

An effect is what changes against the model itself. Every term is a number of the same items, which are
resampled together, so that what an item is hard at in all of them cancels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from weightarith.errors import IncompatibleError
from weightarith.evaluate import Comparison, Estimate, Outcome
from weightarith.evaluate.pooled import Pooled
from weightarith.evaluate.resample import mean_draws, statistic_draws, statistic_of
from weightarith.evaluate.statistics import EDGES, Z95, bootstrap_p

Floats = NDArray[np.float64]


def additivity(together: Outcome, alone: Sequence[Outcome], unsteered: Outcome) -> Comparison:
    """Return (f(all) − f(0)) − Σ (f(one) − f(0)): 0 where effects add up, over items that count everywhere.

    Intervals are 95 % ones. Means and outcomes over tokens: the bootstrap of items. Shares: the interval of
    Bonett and Price (2012), https://doi.org/10.3102/1076998611411915, for differences of −1, 0 and 1, with
    the variance of whatever whole numbers the items have here: one imaginary item up and one down keep it
    from being nothing where no item differs. p is the bootstrap's, two-sided, of all kinds.

    Raises:
        IncompatibleError: they are not the same quantity of the same items.
    """
    terms = [(1.0, together), *((-1.0, one) for one in alone), (len(alone) - 1.0, unsteered)]
    return combined(terms)


def combined(terms: Sequence[tuple[float, Outcome]]) -> Comparison:
    """Return a sum of outcomes, each times a number, with its interval; see `additivity`.

    Raises:
        IncompatibleError: they are not the same quantity of the same items.
    """
    outcomes = [outcome for _, outcome in terms]
    kept = _kept(outcomes)
    n = len(kept)
    values = np.array([[one.values[place] for place in kept] for one in outcomes], dtype=np.float64)
    if not n or not np.isfinite(values).all():
        return Comparison(math.nan, math.nan, math.nan, math.nan, n)
    factors = np.array([factor for factor, _ in terms])
    if isinstance(outcomes[0], Pooled):
        difference, drawn = _pooled(terms, kept)
        low, high = map(float, np.percentile(drawn, EDGES))
        return Comparison(difference, low, high, bootstrap_p(drawn, n), n)
    items = factors @ values
    drawn = mean_draws(items)
    low, high = _of_shares(items) if outcomes[0].kind == "share" else np.percentile(drawn, EDGES)
    return Comparison(float(items.mean()), float(low), float(high), bootstrap_p(drawn, n), n)


def felt_cosine(together: Outcome, one: Outcome, other: Outcome) -> Estimate | None:
    """Return the cosine of two vectors as the model's predictions feel it, −1 to 1 for small ones.

    A divergence from the model itself grows as the square of a small step, D(v) ≈ ½ vᵀFv, with F the Fisher
    information of the predictions. So (D(v + w) − D(v) − D(w)) / (2·√(D(v)·D(w))) is vᵀFw over the lengths of
    both in F: the cosine of weights, but for what a weight matters. The interval is the bootstrap's. None
    where a divergence is no mean over items, or is nothing.

    Martens (2020), "New insights and perspectives on the natural gradient method", which has this expansion,
    https://arxiv.org/abs/1412.1193
    """
    outcomes = (together, one, other)
    if any(isinstance(each, Pooled) or each.kind == "share" for each in outcomes):
        return None
    kept = _kept(outcomes)
    if not kept:
        return None
    values = np.array([[each.values[place] for place in kept] for each in outcomes], dtype=np.float64)
    means = values.mean(axis=1)
    if not np.isfinite(values).all() or min(means) <= 0:
        return None
    drawn = _cosine(*(mean_draws(row) for row in values))
    low, high = map(float, np.percentile(drawn, EDGES))
    return Estimate(float(_cosine(*means[:, None])[0]), low, high, len(kept))


def _cosine(together: Floats, one: Floats, other: Floats) -> Floats:
    product = np.maximum(one * other, np.finfo(np.float64).tiny)
    found: Floats = (together - one - other) / (2 * np.sqrt(product))
    return found


def _kept(outcomes: Sequence[Outcome]) -> list[int]:
    """Return the places of items that count in all outcomes.

    Raises:
        IncompatibleError: they are not the same quantity of the same items.
    """
    first = outcomes[0]
    for one in outcomes[1:]:
        if (one.kind, one.unit, one.items, type(one)) != (first.kind, first.unit, first.items, type(first)):
            raise IncompatibleError(
                "outcomes of other items, or of another quantity, do not add up",
                hint="measure all of them with the same version of the same suite",
            )
    rows = zip(*(one.values for one in outcomes), strict=True)
    return [place for place, row in enumerate(rows) if None not in row]


def _of_shares(items: Floats) -> tuple[float, float]:
    n = len(items) + 2
    middle = items.sum() / n
    half = Z95 * math.sqrt(max((float((items**2).sum()) + 2) / n - middle**2, 0.0) / n)
    return middle - half, middle + half


def _pooled(terms: Sequence[tuple[float, Outcome]], kept: Sequence[int]) -> tuple[float, Floats]:
    difference, drawn = 0.0, np.zeros(1)
    for factor, one in terms:
        if isinstance(one, Pooled):
            tokens = [one.tokens[place] for place in kept]
            difference += factor * statistic_of(one.statistic, tokens)
            drawn = drawn + factor * statistic_draws(one.statistic, tokens)
    return difference, drawn
