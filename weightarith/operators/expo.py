"""ExPO: an aligned model moved further in the direction alignment took it."""

from __future__ import annotations

from weightarith.operators.field import Field, Mixed
from weightarith.operators.operator import Operator, Option


def expo(field: Field, *, alpha: float) -> Mixed:  # noqa: ARG001  (the coefficients do not depend on weights)
    """Return the aligned model extrapolated away from its start, `aligned + alpha·(aligned − sft)`.

    Args:
        field: the aligned model, and the fine-tuned one it was aligned from.
        alpha: how far, as a part of the way from one to the other; the paper finds it by a search.
    """
    return Mixed((1 + alpha, -alpha))


EXPO = Operator(
    name="expo",
    run=expo,
    source="Zheng et al. (2024), section 2, https://arxiv.org/abs/2404.16792",
    takes="checkpoint",
    fewest=2,
    most=2,
    options=(Option("alpha", help="how far beyond the aligned model"),),
)
