"""TIES: trim every vector, elect a sign at each element, merge what agrees.

The paper has no weights: its mean is that of `weights` all 1, and its λ is the number that multiplies the
result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from weightarith.operators.election import NORMALIZE, WEIGHTS, blockwise
from weightarith.operators.field import Blockwise, Field
from weightarith.operators.operator import COMPAT, OVER, Operator
from weightarith.operators.statistics import Blocks
from weightarith.operators.trim import DENSITY, NEGLIGIBLE, RESCALE, Trimming, trimming


def _prepare(model: Blocks, *, density: Sequence[float], rescale: str, compat: str, **_: object) -> Trimming:
    return trimming(model, density, rescale, NEGLIGIBLE if compat == "mergekit" else 0.0)


def ties(
    field: Field,
    *,
    density: Sequence[float],
    weights: Sequence[float],
    normalize: bool,
    rescale: str,
    compat: str,
    over: str = "tensor",
    state: Any = None,
) -> Blockwise:
    """Trim each vector, elect the sign of each element by their sum, and average what has it.

    See `trim` for what stays, `election.consensus` for the merge. The paper trims over the whole vector,
    `over="model"`, and averages: `normalize`. The largest fifth stays unless told otherwise, as in the paper.
    """
    own = over == "tensor"
    thin = _prepare(field, density=density, rescale=rescale, compat=compat) if own else state
    return Blockwise(blockwise(thin, weights, elect=True, normalize=normalize, compat=compat))


TIES = Operator(
    name="ties",
    run=ties,
    source="Yadav et al. (2023), TIES-Merging, section 4, https://arxiv.org/abs/2306.01708",
    options=(replace(DENSITY, default=0.2, each=True), WEIGHTS, NORMALIZE, RESCALE, OVER, COMPAT),
    prepare=_prepare,
)
