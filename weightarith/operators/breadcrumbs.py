"""Model Breadcrumbs: neither the smallest nor the very largest elements of a vector stay.

Elements as large as either limit stay: where magnitudes repeat, more than the density may.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from array_api_compat import array_namespace

from weightarith.operators.election import NORMALIZE, SUMMED, WEIGHTS, blockwise
from weightarith.operators.field import Array, Blockwise, Field
from weightarith.operators.operator import COMPAT, Operator, Option
from weightarith.operators.statistics import kth_largest, magnitudes
from weightarith.operators.trim import (
    DENSITY,
    NEGLIGIBLE,
    RESCALE,
    Thin,
    keep,
    l1_factors,
    rank_of,
    scaled,
)

SOURCE = "Davari and Belilovsky (2023), Model Breadcrumbs, section 3, https://arxiv.org/abs/2312.06795"
GAMMA = Option("gamma", default=0.01, low=0, high=1, help="share of the elements, the largest, that is cut")


def limits(count: int, density: float, gamma: float, compat: str = "") -> tuple[int, int]:
    """Return the ranks of the largest and the smallest element that stay, 1 being the largest of all.

    ⌊gamma·count⌋ are cut, and of the others the ⌊density·count⌋ largest stay, one at least. mergekit cuts
    fewer at the top if not enough are left otherwise, and may keep none.
    """
    top = math.floor(gamma * count)
    if compat != "mergekit":
        kept = rank_of(density, count)
        return (top + 1, top + kept) if kept else (1, 0)
    kept = math.floor(density * count)
    small = max(0, count - kept - top)
    return (count - small - kept + 1, count - small) if kept else (1, 0)


def winnowed(
    field: Field, density: Sequence[float], gamma: Sequence[float], rescale: str, compat: str
) -> Thin:
    """Return what stays of each operand between the limits, rescaled to the L1 norm of all where asked."""
    ranks = [limits(field.count, *each, compat) for each in zip(density, gamma, strict=True)]
    found = kth_largest(field, _twice, [most for most, _ in ranks] + [least for _, least in ranks])
    most, least = found[: len(ranks)], found[len(ranks) :]

    def winnow(values: Array, start: int) -> Sequence[Array]:
        del start
        sizes = magnitudes(values)
        return [
            keep(values[row, ...], (sizes[row, ...] <= most[row]) & (sizes[row, ...] >= least[row]))
            for row in range(len(ranks))
        ]

    if rescale != "l1":
        return winnow
    factors = l1_factors(field.blocks(), winnow, NEGLIGIBLE if compat == "mergekit" else 0.0)
    return lambda values, start: scaled(winnow(values, start), factors)


def _twice(values: Array) -> Array:
    sizes = magnitudes(values)
    return array_namespace(sizes).concat([sizes, sizes])


def breadcrumbs(
    field: Field,
    *,
    density: Sequence[float],
    gamma: Sequence[float],
    weights: Sequence[float],
    normalize: bool,
    rescale: str,
    compat: str,
) -> Blockwise:
    """Cut the very largest and the smallest elements of each vector, and add the vectors up."""
    thin = winnowed(field, density, gamma, rescale, compat)
    return Blockwise(blockwise(thin, weights, elect=False, normalize=normalize, compat=compat))


def breadcrumbs_ties(
    field: Field,
    *,
    density: Sequence[float],
    gamma: Sequence[float],
    weights: Sequence[float],
    normalize: bool,
    rescale: str,
    compat: str,
) -> Blockwise:
    """Cut the very largest and the smallest elements of each vector, elect signs, and average what agrees."""
    thin = winnowed(field, density, gamma, rescale, compat)
    return Blockwise(blockwise(thin, weights, elect=True, normalize=normalize, compat=compat))


_OPTIONS = (replace(DENSITY, each=True), replace(GAMMA, each=True), WEIGHTS)
BREADCRUMBS = Operator(
    name="breadcrumbs", run=breadcrumbs, source=SOURCE, options=(*_OPTIONS, SUMMED, RESCALE, COMPAT)
)
BREADCRUMBS_TIES = Operator(
    name="breadcrumbs_ties",
    run=breadcrumbs_ties,
    source=SOURCE,
    options=(*_OPTIONS, NORMALIZE, RESCALE, COMPAT),
)
