"""Weighted sums whose weights are given: the mean of models, and the sum of task vectors.

A mean has weights that sum to 1, so it means the same of models as of vectors; a sum with free weights is for
vectors alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from weightarith.errors import RecipeError, quoted
from weightarith.operators.field import Field, Mixed
from weightarith.operators.operator import Operator, Option, ranks_added

CANCELLED = 1e-9
"""A sum of weights this small beside the weights themselves is 0, and the rest the rounding of decimals."""

WEIGHTS = Option("weights", default=1.0, each=True, help="one for each operand")


def normalised(weights: Sequence[float], name: str) -> tuple[float, ...]:
    """Return `weights` divided by their sum.

    Args:
        weights: one for each operand.
        name: of the tensor, for the error.

    Raises:
        RecipeError: they sum to 0.
    """
    total = math.fsum(weights)
    if abs(total) <= CANCELLED * math.fsum(abs(weight) for weight in weights):
        raise RecipeError(
            f"the weights {_shown(weights)} sum to 0{_at(name)}, and cannot be normalised",
            hint="weights whose sum is not 0, or base + k*v for a vector that is to be subtracted",
        )
    return tuple(weight / total for weight in weights)


def linear(field: Field, *, weights: Sequence[float], normalize: bool) -> Mixed:
    """Return the weighted mean of the operands, `Σ wᵢ·xᵢ / Σ wᵢ`.

    Raises:
        RecipeError: the weights sum to 0, or, where they are not normalised, to anything but 1.
    """
    if normalize:
        return Mixed(normalised(weights, field.name))
    total = math.fsum(weights)
    if abs(total - 1) > CANCELLED:
        raise RecipeError(
            f"the weights {_shown(weights)} of a mean sum to {total:.12g}{_at(field.name)}, expected 1",
            hint="normalize=true divides by the sum; a difference of models is written a - b, "
            "and task_arithmetic takes vectors with any weights",
        )
    return Mixed(tuple(weights))


def task_arithmetic(field: Field, *, weights: Sequence[float], normalize: bool, scale: float) -> Mixed:
    """Return the scaled sum of task vectors, `scale · Σ wᵢ·vᵢ`, divided by `Σ wᵢ` on request.

    Raises:
        RecipeError: the weights are to be normalised and sum to 0.
    """
    shares = normalised(weights, field.name) if normalize else weights
    return Mixed(tuple(scale * share for share in shares))


def _at(name: str) -> str:
    return f" at {quoted(name)}" if name else ""


def _shown(weights: Sequence[float]) -> str:
    return ", ".join(f"{weight:.12g}" for weight in weights)


LINEAR = Operator(
    name="linear",
    run=linear,
    source="Wortsman et al. (2022), section 2, https://arxiv.org/abs/2203.05482",
    takes="either",
    options=(WEIGHTS, Option("normalize", "flag", True, help="divide by the sum of the weights")),
)
TASK_ARITHMETIC = Operator(
    name="task_arithmetic",
    run=task_arithmetic,
    rank=ranks_added,
    source="Ilharco et al. (2022), section 2, https://arxiv.org/abs/2212.04089",
    options=(
        WEIGHTS,
        Option("normalize", "flag", False, help="divide by the sum of the weights"),
        Option("scale", default=1.0, help="what the sum is multiplied by"),
    ),
)
