"""A model as it is, each tensor multiplied by a number: what layer stacks are made of.

A scaled tensor is no longer a weight of the model: it is asked for by name, since `0.5*model` is refused.
With 0 at what a layer writes to the residual stream the layer does nothing at all.
"""

from __future__ import annotations

from weightarith.operators.field import Field, Mixed
from weightarith.operators.operator import Operator, Option


def passthrough(field: Field, *, scale: float) -> Mixed:
    """Take a model as it is, each tensor times a number."""
    del field
    return Mixed((scale,))


PASSTHROUGH = Operator(
    name="passthrough",
    run=passthrough,
    source="mergekit's method of this name, https://github.com/arcee-ai/mergekit",
    takes="checkpoint",
    most=1,
    options=(Option("scale", default=1.0, help="what every element is multiplied by"),),
)
