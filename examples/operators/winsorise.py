"""An operator of one's own: the largest elements of a vector are pulled in to the largest of the others.

A recipe may call it once it is named on the command line: weightarith merge winsorise.yaml --operators FILE.
"""

from __future__ import annotations

from math import floor

from array_api_compat import array_namespace

from weightarith import Blockwise, Field, Operator, Option
from weightarith.operators.statistics import kth_largest, magnitudes


def winsorise(field: Field, *, share: float) -> Blockwise:
    """Pull the largest elements of a vector in to the magnitude of the largest of the others.

    Args:
        field: one vector.
        share: how many of its elements are pulled in, 0 to 1; one always stays as it is.
    """
    rank = min(floor(share * field.count) + 1, field.count)
    (limit,) = kth_largest(field, magnitudes, [rank])
    return Blockwise(lambda values, _: array_namespace(values).clip(values[0], -limit, limit))


WINSORISE = Operator(
    name="winsorise",
    run=winsorise,
    source="Dixon (1960), estimation from censored samples, https://doi.org/10.1214/aoms/1177705900",
    most=1,
    options=(Option("share", low=0, high=1, help="of the elements, the largest, that are pulled in"),),
)
