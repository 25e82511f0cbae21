"""Sign election: vectors vote on the sign of each element, and only those that agree with it are merged.

A weight multiplies its vector before the vote, as one with a negative weight votes for the opposite; the
result is a mean by the sizes of the weights, and so never larger than the largest of what is merged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from array_api_compat import array_namespace

from weightarith.kernels import elect as kernels
from weightarith.operators.field import Array, Blockwise, Field, is_plain
from weightarith.operators.operator import COMPAT, Operator, Option
from weightarith.operators.trim import Thin, Trimming, scaled

WEIGHTS = Option("weights", default=1.0, each=True, help="of each vector; a negative one turns it round")
NORMALIZE = Option("normalize", "flag", True, help="a mean by the sizes of the weights, not a sum")
SUMMED = Option("normalize", "flag", False, help="a mean by the sizes of the weights, not a sum")

BALANCED = 1e-8
"""The sum of weights up to which mergekit does not divide."""


def added(values: Sequence[Array]) -> Array:
    """Return the sum of arrays, added in order: the same bits from every library."""
    return reduce(add, values)


def elected(values: Sequence[Array], compat: str = "") -> tuple[Array, Array]:
    """Return where the sum elects plus, and where minus; a sum of zero elects neither, to mergekit plus."""
    total = added(values)
    minus = total < 0
    return ~minus if compat == "mergekit" else total > 0, minus


def agreeing(
    values: Sequence[Array], signs: tuple[Array, Array], weights: Sequence[float]
) -> tuple[Array, Array]:
    """Return the sum of the values that have the sign elected, and the sum of their weights.

    Args:
        values: one array an operand, weighted already; zero has no sign.
        signs: where plus and where minus was elected.
        weights: what each operand counts for.
    """
    xp, (plus, minus) = array_namespace(*values), signs
    total = count = None
    for value, weight in zip(values, weights, strict=True):
        counted = xp.astype((value > 0) & plus | (value < 0) & minus, value.dtype)
        kept = value * counted
        if weight != 1:
            counted *= weight
        total = kept if total is None else _onto(total, kept)
        count = counted if count is None else _onto(count, counted)
    return total, count


def _onto(total: Array, value: Array | float) -> Array:
    total += value
    return total


def divided(total: Array, count: Array) -> Array:
    """Return a sum divided by a count, by 1 where that is 0."""
    return total / _onto(array_namespace(count).astype(count == 0, count.dtype), count)


def consensus(values: Sequence[Array], weights: Sequence[float], *, normalize: bool, compat: str) -> Array:
    """Return the disjoint merge of values (one array an operand), each times its weight.

    What agrees with the sign of the weighted sum is added up and, to normalize, divided by the sum of the
    sizes of its weights. mergekit divides by the sum of its weights as they are, and resolves a tie to plus;
    here a tie elects nothing.
    """
    weighted = scaled(values, weights)
    shares = weights if compat == "mergekit" else [abs(weight) for weight in weights]
    merged, count = agreeing(weighted, elected(weighted, compat), shares)
    return _onto(divided(merged, count) if normalize else merged, 0.0)  # so that no zero has a sign


def mixture(values: Sequence[Array], weights: Sequence[float], *, normalize: bool, compat: str) -> Array:
    """Return `Σ weights[i]·values[i]`, to normalize divided by the sum of the sizes of all weights.

    mergekit divides by the sum of the weights as they are, unless that is all but 0.
    """
    total = added(scaled(values, weights))
    if not normalize:
        return total
    count = sum(weights) if compat == "mergekit" else sum(abs(weight) for weight in weights)
    return total / count if abs(count) > (BALANCED if compat == "mergekit" else 0) else total


def blockwise(
    thin: Thin, weights: Sequence[float], *, elect: bool, normalize: bool, compat: str
) -> Callable[[Array, int], Array]:
    """Return what makes a block or rows of the result: what `thin` leaves, merged after a vote or without."""
    if elect and isinstance(thin, Trimming):
        return Election(thin, tuple(weights), normalize, compat)
    merge = consensus if elect else mixture
    return lambda values, start: merge(thin(values, start), weights, normalize=normalize, compat=compat)


@dataclass(frozen=True)
class Election:
    """The consensus of what trimming leaves: of arrays, or, where a machine knows how, of sums unformed."""

    thin: Trimming
    weights: tuple[float, ...]
    normalize: bool
    compat: str

    @property
    def terms(self) -> tuple[Sequence[float], ...]:
        """What `kernels.elect` wants: magnitudes that stay, factors, weights, and shares in the divisor."""
        ours = self.compat != "mergekit"
        factors = self.thin.factors or (1.0,) * len(self.weights)
        return (
            self.thin.least, factors, self.weights,
            [abs(weight) for weight in self.weights] if ours else self.weights,
        )  # fmt: skip

    @property
    def plus(self) -> bool:
        """Whether a sum of zero elects plus."""
        return self.compat == "mergekit"

    def __call__(self, values: Array, start: int) -> Array:
        """Return the consensus of a block."""
        if is_plain(values) and bool(np.isfinite(values).all()):  # in one go: the same bits
            return kernels.elect(values, *self.terms, normalize=self.normalize, plus=self.plus)
        left = self.thin(values, start)
        return consensus(left, self.weights, normalize=self.normalize, compat=self.compat)


def each(values: Array, start: int) -> Sequence[Array]:
    """Return every operand as it is."""
    del start
    return [values[row, ...] for row in range(values.shape[0])]


def elect(field: Field, *, weights: Sequence[float], normalize: bool, compat: str) -> Blockwise:
    """Elect the sign of each element by the sum of the vectors, and merge those that have it."""
    del field
    return Blockwise(blockwise(each, weights, elect=True, normalize=normalize, compat=compat))


ELECT = Operator(
    name="elect",
    run=elect,
    source="Yadav et al. (2023), TIES-Merging, section 4, https://arxiv.org/abs/2306.01708",
    options=(WEIGHTS, NORMALIZE, COMPAT),
)
