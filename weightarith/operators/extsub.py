"""Ext-Sub: of an anti-expert only the deficiency is subtracted, what it has in common with an expert stays.

What two rows have in common is their bisector. What is left of the anti-expert's row without it is half the
difference of the two directions, at the length of that row: no bisector need be formed, nor does it matter
that opposite rows have none.
"""

from __future__ import annotations

from array_api_compat import array_namespace

from weightarith.operators.field import Array, Field, Rowwise
from weightarith.operators.operator import Operator, Option


def ext_sub(field: Field, *, alpha: float) -> Rowwise:  # noqa: ARG001  (each row is enough)
    """Return the expert less the deficiency of the anti-expert, `v⁺ − alpha·Ext(v⁻)`, row by row.

    `Ext(v⁻) = v⁻ − ⟨v⁻, e⟩·e`, e the unit vector along `v⁺/‖v⁺‖ + v⁻/‖v⁻‖`, which is
    `‖v⁻‖/2 · (v⁻/‖v⁻‖ − v⁺/‖v⁺‖)`. Where the expert's row is zero nothing is in common: the anti-expert's is
    taken whole.

    Args:
        field: the task vectors of the expert and of the anti-expert.
        alpha: how much of the deficiency to subtract.
    """

    def at(values: Array, first: int) -> Array:  # noqa: ARG001  (the signature of a rule for rows)
        xp = array_namespace(values)
        expert, anti = (xp.sqrt(xp.vecdot(rows, rows, axis=-1)) for rows in (values[0], values[1]))
        known = expert > 0
        kept = 1 + alpha / 2 * xp.where(known, anti / xp.where(known, expert, 1.0), 0.0)
        taken = alpha - alpha / 2 * xp.astype(known, values.dtype)
        return kept[:, None] * values[0] - taken[:, None] * values[1]

    return Rowwise(at)


EXT_SUB = Operator(
    name="ext_sub",
    run=ext_sub,
    source="Hu et al. (2023), extraction before subtraction, https://arxiv.org/abs/2308.08090",
    fewest=2,
    most=2,
    options=(Option("alpha", default=1.0, help="how much of the deficiency to subtract"),),
)
