"""Summands at one tensor as a plan holds them: grouped by the size of their coefficient. Pure.

Only here does an exact coefficient become a float64.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Literal

from weightarith.engine.form import Computed, Form, Group, LowRank, Node, Operand, Packed
from weightarith.engine.gather import Call, Coded, Dense, Gathered
from weightarith.errors import DegreeError, RecipeError, quoted
from weightarith.wording import shown

Summand = Dense | Coded | Call


def low_rank(name: str, found: Gathered) -> tuple[LowRank, ...]:
    """Return the factored summands that count at tensor `name`.

    Raises:
        RecipeError: a coefficient is too large for a float64.
    """
    return tuple(LowRank(factored, _double(name, number)) for _, factored, number in found.factors if number)


def groups(name: str, summands: Iterable[Summand], *, anchored: bool = True) -> tuple[Group, ...]:
    """Return the summands by the size of their coefficient, points measured from the anchor if there is one.

    The anchor's own coefficient follows from that: what the points weigh, it weighs less.

    Raises:
        RecipeError: a coefficient is too large for a float64.
        DegreeError: a selection leaves an operator with models that weigh something else than 0 or 1.
    """
    found: dict[Fraction, list[Summand]] = {}
    for one in summands:
        found.setdefault(abs(one.coefficient), []).append(one)
    return tuple(_group(name, size, members, anchored=anchored) for size, members in found.items())


def _group(name: str, size: Fraction, members: list[Summand], *, anchored: bool) -> Group:
    operands: list[Operand] = []
    packed: list[Packed] = []
    made: list[Computed] = []
    for one in members:
        match one:
            case Dense():
                operands.append(Operand(one.stored, _sign(one), "anchor" if one.point else "zero"))
            case Coded():
                packed.append(Packed(one.encoded, _sign(one)))
            case Call():
                made.append(Computed(_node(name, one), _sign(one)))
    origin = sum(_sign(one) for one in members if _point(one)) if anchored else 0
    return Group(_double(name, size), tuple(operands), origin, tuple(made), tuple(packed))


def _sign(one: Summand) -> Literal[1, -1]:
    return 1 if one.coefficient > 0 else -1


def _point(one: Summand) -> bool:
    match one:
        case Dense():
            return one.point
        case Call():
            return one.made.point
    return False


def _node(name: str, call: Call) -> Node:
    """Return the operator of a call at one tensor, its operands settled."""
    made = call.made
    for operand in call.operands[: len(made.operands)]:
        if operand.degree != (1 if made.point else 0):
            raise DegreeError(
                f"at {quoted(name)} the coefficients on checkpoints in an operand of {made.operator.name}() "
                f"sum to {shown(operand.degree)} and not to {1 if made.point else 0}",
                hint="apply a selection to a difference: name one under let",
            )
    forms = tuple(
        Form(groups(name, each.summands(), anchored=False), low_rank(name, each)) for each in call.operands
    )
    keys = tuple(made.mask_key(operand, call.name) for operand in range(len(forms)))
    options = made.at(call.name, call.depth)
    return Node(made.key, made.operator, call.name, forms, options, keys, call.depth)


def _double(name: str, coefficient: Fraction) -> float:
    try:
        return float(coefficient)
    except OverflowError:
        raise RecipeError(f"a coefficient at {quoted(name)} is too large for a float64") from None
