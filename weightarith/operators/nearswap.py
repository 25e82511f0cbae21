"""nearswap: move towards another model, but no element by more than a step.

The result is the vector with each element limited to the step: near elements arrive, far ones move by it.
"""

from __future__ import annotations

from array_api_compat import array_namespace

from weightarith.operators.field import Array, Blockwise, Field
from weightarith.operators.operator import COMPAT, Operator, Option

NEGLIGIBLE = 1e-6
"""The distance that mergekit takes a smaller one for."""


def nearswap(field: Field, *, t: float, compat: str) -> Blockwise:
    """Limit each element of a vector to at most `t` in magnitude.

    That is `q·δ` with `q = min(1, t/|δ|)`. mergekit takes |δ| for 10⁻⁶ at least, which differs where `t` is
    smaller.
    """
    del field

    def at(values: Array, start: int) -> Array:
        del start
        value = values[0, ...]
        size = abs(value)
        xp = array_namespace(value)
        far = size > t
        moved = xp.sign(value) * t
        if compat == "mergekit" and t < NEGLIGIBLE:
            moved = xp.where(size < NEGLIGIBLE, value * (t / NEGLIGIBLE), moved)
            far = xp.ones_like(far)
        return xp.where(far, moved, value)

    return Blockwise(at)


NEARSWAP = Operator(
    name="nearswap",
    run=nearswap,
    source="https://huggingface.co/alchemonaut/QuartetAnemoi-70B-t0.0001, model card",
    most=1,
    options=(Option("t", low=0, help="the step, in the units of the weights"), COMPAT),
)
