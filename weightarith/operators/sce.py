"""SCE: select the elements where vectors differ most, calculate a weight for each, erase minority signs.

The weight of a vector is its share of the squared norms, of what was selected, tensor by tensor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from array_api_compat import array_namespace

from weightarith.operators.election import added, agreeing, divided, each, elected
from weightarith.operators.field import Array, Blockwise, Field
from weightarith.operators.operator import COMPAT, Operator, Option
from weightarith.operators.statistics import kth_largest, sums
from weightarith.operators.trim import Thin, keep, scaled

NEGLIGIBLE = 1e-6
"""The sum of mean squares below which mergekit weighs all alike, and the least it divides by."""


def variance(values: Array) -> Array:
    """Return the variance of the operands at each element, (1, elements)."""
    rows = each(values, 0)
    moved = [row - rows[0] for row in rows]  # so that equal numbers vary by exactly nothing
    mean = added(moved) / len(rows)
    return (added([(row - mean) ** 2 for row in moved]) / len(rows))[None, ...]


def _selected(field: Field, select_topk: float, compat: str) -> Thin:
    """Return the vectors where they vary most; a share of 1 selects everything."""
    if select_topk >= 1:
        return each
    differing = sums(field, lambda values: array_namespace(values).count_nonzero(variance(values)))
    rank = math.floor(select_topk * float(differing.sum()))
    if compat != "mergekit" and select_topk > 0:
        rank = max(rank, 1)
    (least,) = kth_largest(field, variance, [rank])

    def select(values: Array, start: int) -> Sequence[Array]:
        chosen = variance(values)[0, ...] >= least
        return [keep(row, chosen) for row in each(values, start)]

    return select


def _shares(field: Field, select: Thin, compat: str) -> list[float]:
    energies = [0.0] * len(field.keys)
    for start, values in field.blocks():
        for row, value in enumerate(select(values, start)):
            energies[row] += float(array_namespace(value).sum(value * value))
    total = sum(energies)
    if total == 0 or (compat == "mergekit" and total / field.count < NEGLIGIBLE):
        return [1 / len(energies)] * len(energies)
    return [energy / total for energy in energies]


def sce(field: Field, *, select_topk: float, normalize: bool, compat: str) -> Blockwise:
    """Select where vectors differ most, weigh each by its energy, and merge what has the majority's sign.

    The sign is that of the sum without weights. To normalize, the sum is divided by the weights of the
    vectors that agree; the paper adds only.
    """
    select = _selected(field, select_topk, compat)
    shares = _shares(field, select, compat)

    def at(values: Array, start: int) -> Array:
        selected = select(values, start)
        merged, count = agreeing(scaled(selected, shares), elected(selected, compat), shares)
        if not normalize:
            return merged
        if compat == "mergekit":
            return merged / array_namespace(count).clip(count, min=NEGLIGIBLE)
        return divided(merged, count)

    return Blockwise(at)


SCE = Operator(
    name="sce",
    run=sce,
    source="Wan et al. (2024), FuseChat, model merging with SCE, https://arxiv.org/abs/2408.07990",
    options=(
        Option(
            "select_topk", default=1.0, low=0, high=1, help="share of the differing elements that is selected"
        ),
        Option("normalize", "flag", True, help="divide by the weights of what agrees"),
        COMPAT,
    ),
)
