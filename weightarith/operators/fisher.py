"""The mean of models in which every element counts by how much it matters to its model."""

from __future__ import annotations

from collections.abc import Sequence

from array_api_compat import array_namespace

from weightarith.errors import InvalidFileError, RecipeError, quoted
from weightarith.operators.field import Array, Blockwise, Field
from weightarith.operators.linear import WEIGHTS, normalised
from weightarith.operators.operator import Operator, Option


def fisher(field: Field, *, operands: int, weights: Sequence[float], floor: float) -> Blockwise:
    """Return the mean weighted by importance, `Σ wᵢ·Fᵢ·xᵢ / Σ wᵢ·Fᵢ`, element by element.

    Where the weighted importances sum to `floor` or less the mean is that of the weights alone.

    Args:
        field: the operands, then an importance map for each: the diagonal of its Fisher information.
        operands: how many there are before the maps.
        weights: of the operands, not negative.
        floor: the sum of importances below which they say nothing.

    Raises:
        RecipeError: there are more or fewer maps than operands, a weight is negative, or all of them are 0.
        InvalidFileError: a map holds a negative number; raised when the block is made.
    """
    maps = len(field.keys) - operands
    if maps != operands:
        raise RecipeError(
            f"fisher takes an importance map for each operand: {operands} operands, {maps} maps",
            hint="name as many maps as operands, in the same order: importance=[f, g]",
        )
    if min(weights) < 0:
        raise RecipeError(
            f"a mean by importance has weights of 0 or more, not {min(weights):.12g}",
            hint="base + k*v subtracts a vector",
        )
    plain = normalised(weights, field.name)

    def at(values: Array, start: int) -> Array:
        xp = array_namespace(values)
        _check(values[operands:], field.name, start)
        parts = [weight * values[operands + number] for number, weight in enumerate(weights)]
        total = sum(parts[1:], parts[0])
        known = total > floor
        divisor = xp.where(known, total, 1.0)
        shares = [xp.where(known, part / divisor, one) for part, one in zip(parts, plain, strict=True)]
        made = [share * value for share, value in zip(shares, values[:operands], strict=True)]
        return sum(made[1:], made[0])

    return Blockwise(at)


def _check(maps: Array, name: str, start: int) -> None:
    """Raise InvalidFileError if an importance is negative, and say which."""
    xp = array_namespace(maps)
    wrong = maps < 0
    if not bool(xp.any(wrong)):
        return
    places = xp.reshape(xp.astype(wrong, xp.int64), (-1,))
    number, element = divmod(int(xp.argmax(places)), maps.shape[1])
    raise InvalidFileError(
        f"importance map {number + 1} is negative at element {start + element} of {quoted(name)}: "
        f"{float(maps[number, element]):.6g}, expected 0 or more",
        hint="a map of importance holds squared gradients",
    )


FISHER = Operator(
    name="fisher",
    run=fisher,
    source="Matena and Raffel (2021), section 2, https://arxiv.org/abs/2111.09832",
    takes="either",
    fewest=2,
    beside="importance",
    options=(
        WEIGHTS,
        Option(
            "floor", default=0.0, low=0.0, help="the sum of importances up to which the plain mean is taken"
        ),
    ),
)
