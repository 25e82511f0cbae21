"""Magnitude trimming: the largest elements of a vector stay, the others become zero.

An element as large as the last one that is kept is kept too, as by the authors of TIES: where magnitudes
repeat, more than the density may stay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

from weightarith.operators.field import Array, Blockwise, Field
from weightarith.operators.operator import OVER, Operator, Option
from weightarith.operators.statistics import Blocks, kth_largest, magnitudes

Thin = Callable[[Array, int], Sequence[Array]]
"""What a sparsifier leaves of each operand, of values (operands, …) from an element or a row on."""

DENSITY = Option("density", low=0, high=1, help="share of the elements that stays")
RESCALE = Option(
    "rescale", "choice", "none", choices=("none", "l1"), help="l1: what stays gets the L1 norm of all"
)

NEGLIGIBLE = 1e-7
"""L1 norms below which mergekit does not rescale."""


@dataclass(frozen=True)
class Trimming:
    """What stays of each operand: the elements whose magnitude is `least` at least, times `factors`."""

    least: tuple[float, ...]
    factors: tuple[float, ...] = ()

    def __call__(self, values: Array, start: int) -> Sequence[Array]:
        """Return each operand of `values`, trimmed; `start` makes no difference."""
        del start
        return scaled(
            [keep(value, abs(value) >= least) for value, least in zip(values, self.least, strict=True)],
            self.factors,
        )


def keep(value: Array, chosen: Array) -> Array:
    """Return `value` where `chosen`, and zero elsewhere; a new array."""
    kept = array_namespace(value).astype(chosen, value.dtype)
    kept *= value  # a product costs a quarter of a choice
    return kept


def scaled(values: Sequence[Array], factors: Sequence[float]) -> Sequence[Array]:
    """Return each of the values times its factor; no factors are ones."""
    if all(factor == 1 for factor in factors):
        return values
    return [value * factor for value, factor in zip(values, factors, strict=True)]


def rank_of(density: float, count: int) -> int:
    """Return the rank of the last element that stays: ⌊density·count⌋, but one at least of a density above 0.

    It is 0 where nothing stays, and beyond the last element where everything does.
    """
    if density <= 0:
        return 0
    return count + 1 if density >= 1 else max(1, math.floor(density * count))


def trimming(model: Blocks, density: Sequence[float], rescale: str, negligible: float = 0.0) -> Trimming:
    """Return what trimming leaves of each operand, measured over a tensor or over a whole model."""
    ranks = [rank_of(each, model.count) for each in density]
    trimmed = Trimming(tuple(kth_largest(model, magnitudes, ranks)))
    if rescale != "l1":
        return trimmed
    return Trimming(trimmed.least, l1_factors(model.blocks(), trimmed, negligible))


def l1_factors(pieces: Iterable[tuple[int, Array]], thin: Thin, negligible: float = 0.0) -> tuple[float, ...]:
    """Return the factors that give what stays of each operand the L1 norm of all of it.

    The factor is 1 where nothing stays, or where either norm is below `negligible`.

    Args:
        pieces: blocks or rows.
        thin: what stays of one of them.
        negligible: an L1 norm.
    """
    norms: dict[int, tuple[float, float]] = {}
    for start, values in pieces:
        for row, left in enumerate(thin(values, start)):
            whole, kept = norms.get(row, (0.0, 0.0))
            norms[row] = whole + _l1(values[row, ...]), kept + _l1(left)
    return tuple(
        whole / kept if kept and min(whole, kept) >= negligible else 1.0 for whole, kept in norms.values()
    )


def _l1(value: Array) -> float:
    return float(array_namespace(value).sum(abs(value)))


def _prepare(model: Blocks, *, density: float, rescale: str, **_: object) -> Trimming:
    return trimming(model, (density,), rescale)


def trim(field: Field, *, density: float, rescale: str, over: str = "tensor", state: Any = None) -> Blockwise:
    """Keep the largest elements of a vector, zero the others.

    What stays is every element whose magnitude is at least the k-th largest, k = max(1, ⌊density·n⌋), over
    the tensor or over the whole model. Density 1 keeps all, density 0 nothing.
    """
    found: Trimming = state if over == "model" else _prepare(field, density=density, rescale=rescale)
    return Blockwise(lambda values, start: found(values, start)[0])


TRIM = Operator(
    name="trim",
    run=trim,
    source="Yadav et al. (2023), TIES-Merging, section 4, https://arxiv.org/abs/2306.01708",
    most=1,
    options=(DENSITY, RESCALE, OVER),
    prepare=_prepare,
)
