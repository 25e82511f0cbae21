"""LiNeS: a task vector scaled by depth, little in the first layers and more in the last."""

from __future__ import annotations

from weightarith.names import layer_of
from weightarith.operators.field import Field, Mixed
from weightarith.operators.operator import Operator, Option, ranks_added


def lines(field: Field, *, alpha: float, beta: float) -> Mixed:
    """Return the vector times `alpha + beta·l/(L−1)` in layer l of L, counted from 0.

    What belongs to no layer (embeddings, the last norm, the head) is multiplied by `alpha`, and so is the
    layer of a model that has one.

    Args:
        field: a vector.
        alpha: the factor in the first layer.
        beta: what the factor grows by up to the last layer.
    """
    layer = layer_of(field.name) or 0
    return Mixed((alpha + beta * layer / max(field.depth - 1, 1),))


LINES = Operator(
    name="lines",
    run=lines,
    source="Wang et al. (2024), the scaling of layers, https://arxiv.org/abs/2410.17146",
    most=1,
    rank=ranks_added,
    options=(
        Option("alpha", help="the factor in the first layer"),
        Option("beta", help="what the factor grows by up to the last layer"),
    ),
)
