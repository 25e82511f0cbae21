"""DELLA: drop elements at random, small ones more often than large ones of the same row.

Rows run along the last axis; a tensor of one axis is one row. Every row keeps the density on average.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from array_api_compat import array_namespace, device

from weightarith.operators.dare import EXPECTED
from weightarith.operators.election import NORMALIZE, SUMMED, WEIGHTS, blockwise
from weightarith.operators.field import Array, Field, Rowwise
from weightarith.operators.masks import uniform
from weightarith.operators.operator import COMPAT, SEED, Operator, Option
from weightarith.operators.trim import NEGLIGIBLE, Thin, keep, l1_factors, scaled

SOURCE = "Deep et al. (2024), DELLA-Merging, section 3, https://arxiv.org/abs/2406.11617"
EPSILON = Option(
    "epsilon",
    default=0.14,
    low=0,
    high=1,
    help="how far the chances of a row are apart, half of that for mergekit",
)
RESCALING = Option(
    "rescale",
    "choice",
    "",
    choices=("", "chance", "l1", "none"),
    help="chance: what stays is divided by its own (the default); l1: it gets the L1 norm of all (mergekit)",
)


def ranks(rows: Array) -> Array:
    """Return the rank of each element's magnitude in its row, 0 for the smallest, (rows, columns) of int64.

    Of equal ones, the first in the row is the smaller.
    """
    xp = array_namespace(rows)
    height, columns = rows.shape
    order = xp.argsort(abs(rows), axis=-1, stable=True)
    made = xp.empty((height, columns), dtype=xp.int64, device=device(rows))
    where = xp.reshape(xp.arange(height, device=device(rows)), (-1, 1))
    made[where, order] = xp.arange(columns, dtype=xp.int64, device=device(rows))
    return made


def chances(rows: Array, density: float, epsilon: float, compat: str) -> Array:
    """Return the chance of each element to stay, by its rank in the row, float64 of (rows, columns).

    The chances of a row of n are spread evenly about the density: ρ + ε·((r + ½)/n − ½), r = 0 for the
    smallest; to mergekit they are ρ + ε·(2·r/(n − 1) − 1). Where that would leave [0, 1], ε is reduced.
    """
    xp = array_namespace(rows)
    columns = rows.shape[-1]
    rank = xp.astype(ranks(rows), xp.float64)
    reach = min(epsilon if compat == "mergekit" else epsilon / 2, density, 1 - density)
    if compat == "mergekit":
        spread = rank * (2 / (columns - 1)) - 1 if columns > 1 else rank
    else:
        spread = (rank + 0.5) * (2 / columns) - 1
    return density + reach * spread


@dataclass(frozen=True)
class _Sampling:
    """What is left of rows (operands, rows, columns), `first` being the number of the first of them."""

    keys: tuple[int, ...]
    density: Sequence[float]
    epsilon: float
    seed: int
    by_chance: bool
    compat: str

    def __call__(self, values: Array, first: int) -> Sequence[Array]:
        return [
            self._left(values[row, ...], first, key, self.density[row]) for row, key in enumerate(self.keys)
        ]

    def _left(self, rows: Array, first: int, key: int, density: float) -> Array:
        xp = array_namespace(rows)
        if density >= 1:
            return rows
        if density <= 0:
            return xp.zeros_like(rows)
        chance = chances(rows, density, self.epsilon, self.compat)
        drawn = uniform(key, self.seed, first * rows.shape[-1], xp.reshape(rows, (-1,)))
        stays = xp.reshape(drawn, rows.shape) < chance
        return keep(rows / xp.where(stays, chance, 1.0) if self.by_chance else rows, stays)


def sampled(
    field: Field, density: Sequence[float], epsilon: float, seed: int, rescale: str, compat: str
) -> Thin:
    """Return what is left of the rows of each operand: MAGPRUNE, the first step of DELLA.

    Args:
        field: for the keys of its operands, and its rows where the L1 norm is asked for.
        density: the mean chance of an element to stay, one for each operand.
        epsilon: how far the chances of a row are apart.
        seed: of the masks.
        rescale: `chance` divides each element by its own, `l1` restores the L1 norm of the tensor, `none`
            neither; "" is the default.
        compat: `mergekit` counts epsilon to both sides, and rescales by `l1`.
    """
    chosen = rescale or ("l1" if compat == "mergekit" else "chance")
    thin = _Sampling(field.keys, density, epsilon, seed, chosen == "chance", compat)
    if chosen != "l1":
        return thin
    pieces = field.rows() if field.count else ()  # rows of nothing cannot be counted
    factors = l1_factors(pieces, thin, NEGLIGIBLE if compat == "mergekit" else 0.0)
    return lambda values, first: scaled(thin(values, first), factors)


def magprune(field: Field, *, density: float, epsilon: float, seed: int, rescale: str) -> Rowwise:
    """Drop elements of a vector at random, small ones more often, and divide by the chance to stay."""
    thin = sampled(field, (density,), epsilon, seed, rescale, "")
    return Rowwise(lambda values, first: thin(values, first)[0])


def della(
    field: Field,
    *,
    density: Sequence[float],
    weights: Sequence[float],
    epsilon: float,
    seed: int,
    normalize: bool,
    rescale: str,
    compat: str,
) -> Rowwise:
    """Drop small elements of each vector more often than large ones, elect signs, and average what agrees."""
    thin = sampled(field, density, epsilon, seed, rescale, compat)
    return Rowwise(blockwise(thin, weights, elect=True, normalize=normalize, compat=compat))


def della_linear(
    field: Field,
    *,
    density: Sequence[float],
    weights: Sequence[float],
    epsilon: float,
    seed: int,
    normalize: bool,
    rescale: str,
    compat: str,
) -> Rowwise:
    """Drop small elements of each vector more often than large ones, and add the vectors up."""
    thin = sampled(field, density, epsilon, seed, rescale, compat)
    return Rowwise(blockwise(thin, weights, elect=False, normalize=normalize, compat=compat))


MAGPRUNE = Operator(
    name="magprune",
    run=magprune,
    source=SOURCE,
    most=1,
    options=(replace(EXPECTED, each=False), EPSILON, SEED, RESCALING),
)
DELLA = Operator(
    name="della",
    run=della,
    source=SOURCE,
    options=(EXPECTED, WEIGHTS, EPSILON, SEED, NORMALIZE, RESCALING, COMPAT),
)
DELLA_LINEAR = Operator(
    name="della_linear",
    run=della_linear,
    source=SOURCE,
    options=(EXPECTED, WEIGHTS, EPSILON, SEED, SUMMED, RESCALING, COMPAT),
)
