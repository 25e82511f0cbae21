"""Arcee Fusion: of what a model changes, only the changes that stand out are taken.

Three passes: how much each row's distribution changed, the quartiles of the scores, and the result. The
quartiles are exact whatever the size of the tensor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd

from array_api_compat import array_namespace

from weightarith.operators.field import SAMPLE, Array, Field, Mixed, Rowwise, row_length
from weightarith.operators.operator import Operator
from weightarith.operators.statistics import kth_largest

QUARTILES = (0.25, 0.5, 0.75)
BEYOND = 1.5
"""Interquartile ranges above the median at which a score stands out."""


def arcee_fusion(field: Field) -> Mixed | Rowwise:
    """Return the first model with the changes of the second that stand out.

    An element scores its change `|δ|` times the Kullback–Leibler divergence of its row, the softmax of the
    second model from that of the first. What scores the median plus 1.5 times the interquartile range or more
    is taken. Quantile q of n scores is the one with ⌊q·(n − 1)⌋ below it.

    Args:
        field: the base, and the model whose changes are looked at.
    """
    if field.count == 0:
        return Mixed((1.0, 0.0))
    scores = _measured(field)
    ranks = [field.count - int(quartile * (field.count - 1)) for quartile in QUARTILES]
    low, middle, high = kth_largest(scores, lambda values: _repeated(values, len(ranks)), ranks)
    threshold = middle + BEYOND * (high - low)

    def at(values: Array, first: int) -> Array:
        xp = array_namespace(values)
        taken = scores.of(values, first) >= threshold
        return xp.where(taken, values[1], values[0])

    return Rowwise(at)


@dataclass(eq=False)
class Scores:
    """The scores of a field, to be gone over block by block as often as it takes."""

    field: Field
    count: int
    diverged: Array  # (rows,)
    some: Array  # (1, places)

    def of(self, values: Array, first: int) -> Array:
        """Return the scores of values (2, rows, columns) from row `first` on, (rows, columns)."""
        return _scored(values, self.diverged[first : first + values.shape[1]])

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """Yield the scores as one row, (1, elements)."""
        columns = row_length(self.field.shape)
        for first, values in self.field.rows():
            xp = array_namespace(values)
            yield first * columns, xp.reshape(self.of(values, first), (1, -1))

    def sample(self) -> Array:
        """Return scores spread evenly, (1, places)."""
        return self.some


def divergence(values: Array) -> Array:
    """Return how far the second model's rows are from the first's, (rows,), of (2, rows, columns).

    The Kullback–Leibler divergence of the softmax of the rows: `Σ p·(e⁻ʳ − 1 + r)`, r the logarithm of p/q.
    It is `Σ p·r`, since p and q sum to 1, but of terms that are never negative, so that little is lost.
    """
    xp = array_namespace(values)
    logarithms = _log_softmax(values)
    q, p = xp.exp(logarithms)
    ratio = logarithms[1] - logarithms[0]
    near = p * (xp.expm1(-xp.clip(ratio, min=-1.0)) + ratio)
    return xp.sum(xp.where(ratio > -1, near, q - p + p * ratio), axis=-1)


def _log_softmax(values: Array) -> Array:
    xp = array_namespace(values)
    below = values - xp.max(values, axis=-1, keepdims=True)
    return below - xp.log(xp.sum(xp.exp(below), axis=-1, keepdims=True))


def _scored(values: Array, diverged: Array) -> Array:
    return array_namespace(values).abs(values[1] - values[0]) * diverged[:, None]


def _measured(field: Field) -> Scores:
    """Return the scores, after a pass for the divergence of the rows and for a sample."""
    columns, found, some = row_length(field.shape), [], []
    stride = -(-field.count // SAMPLE)
    while gcd(stride, columns) > 1:  # else the sample would keep to some columns
        stride += 1
    for first, values in field.rows():
        xp = array_namespace(values)
        found.append(divergence(values))
        start = -(first * columns) % stride
        some.append(xp.reshape(_scored(values, found[-1]), (-1,))[start::stride])
    return Scores(field, field.count, xp.concat(found), xp.reshape(xp.concat(some), (1, -1)))


def _repeated(values: Array, times: int) -> Array:
    return array_namespace(values).broadcast_to(values, (times, values.shape[1]))


ARCEE_FUSION = Operator(
    name="arcee_fusion",
    run=arcee_fusion,
    source="Arcee AI (2025), mergekit 0.1, method `arcee_fusion`, https://github.com/arcee-ai/mergekit",
    takes="checkpoint",
    fewest=2,
    most=2,
)
