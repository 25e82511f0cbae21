"""Interpolation along the arc between two operands, found from three inner products.

The arc is that between their directions, while the operands keep their lengths: coefficients that depend on
the angle alone multiply them as they are. Two copies of nearly the same model are no special case.
"""

from __future__ import annotations

from array_api_compat import array_namespace

from weightarith.operators.angles import cosine, norms, tensor_products
from weightarith.operators.field import Array, Field, Mixed
from weightarith.operators.operator import COMPAT, Operator, Option
from weightarith.operators.statistics import Doubles

ANTIPODAL = 1e-12
"""Directions whose cosine is this near to −1 are opposite: which arc joins them is a matter of rounding."""

MERGEKIT_STRAIGHT, MERGEKIT_LEAST = 0.9995, 1e-8


def slerp(field: Field, *, t: float, compat: str = "") -> Mixed:
    """Return the point at `t` on the arc from the first operand to the second, 0 and 1 being the operands.

    `(sin((1−t)θ)·a + sin(tθ)·b) / sin θ`, θ the angle between a and b over the whole tensor. Where there is
    no arc, a and b being opposite or one of them zero, the straight line is taken: `(1−t)·a + t·b`.

    Args:
        field: two operands.
        t: any number; outside [0, 1] the arc is followed beyond its ends.
        compat: `mergekit` takes the straight line wherever the cosine is above 0.9995 or below −0.9995, and
            does not divide a norm of 1e-8 or less out of the cosine.
    """
    products = tensor_products(field)
    if compat == "mergekit":
        return _mergekit(products, t)
    first, second = arc(cosine(products, 0, 1, undirected=1.0), t)
    return Mixed((float(first), float(second)))


def arc(cosines: Array, t: float) -> tuple[Array, Array]:
    """Return what the two ends of an arc are multiplied by, arrays of the shape of `cosines`.

    At an angle of 0 they are what they tend to, `1 − t` and `t`. So are they, though there they tend to
    nothing, where the ends are opposite.
    """
    xp = array_namespace(cosines)
    apart, together = 1 - cosines, 1 + cosines
    angle = 2 * xp.atan2(xp.sqrt(apart), xp.sqrt(together))
    straight = (apart <= 0) | (together <= ANTIPODAL)
    sine = xp.where(straight, 1.0, xp.sin(angle))
    first, second = (xp.where(straight, share, xp.sin(share * angle) / sine) for share in (1 - t, t))
    return first, second


def _mergekit(products: Doubles, t: float) -> Mixed:
    one, other = (float(norm) if norm > MERGEKIT_LEAST else 1.0 for norm in norms(products))
    cosines = products[0, 1] / (one * other)
    if abs(cosines) > MERGEKIT_STRAIGHT:
        return Mixed((1 - t, t))
    first, second = arc(cosines, t)
    return Mixed((float(first), float(second)))


SLERP = Operator(
    name="slerp",
    run=slerp,
    source="Shoemake (1985), great arc in-betweening, https://doi.org/10.1145/325334.325242",
    takes="either",
    fewest=2,
    most=2,
    options=(Option("t", help="0 is the first operand, 1 the second"), COMPAT),
)
