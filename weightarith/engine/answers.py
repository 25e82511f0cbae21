"""What operators answer, held to what they promised: a wrong shape would else be stretched to fit, unseen."""

from __future__ import annotations

from math import prod

from weightarith.errors import RecipeError, quoted
from weightarith.operators.field import Array, Mixed, Product, Result, Whole


def checked(result: Result, operator: str, tensor: str, shape: tuple[int, ...], operands: int) -> Result:
    """Return what an operator answers at a tensor of `shape`; what rules make is checked piece by piece.

    Raises:
        RecipeError: it has another shape, or other coefficients than there are operands.
    """
    match result:
        case Mixed(coefficients) if len(coefficients) != operands:
            raise _wrong(operator, tensor, f"{len(coefficients)} coefficients", f"{operands}, one an operand")
        case Whole(made) if tuple(made.shape) != shape:
            raise _wrong(operator, tensor, f"a tensor of shape {list(made.shape)}", f"{list(shape)}")
        case Product(left, right) if left.shape[0] * right.shape[1] != prod(shape):
            made = f"a product of {list(left.shape)} and {list(right.shape)}"
            raise _wrong(operator, tensor, made, f"one of shape {list(shape)}")
    return result


def expect_shape(made: Array, shape: tuple[int, ...], operator: str, tensor: str) -> None:
    """Refuse what a rule made of a block or of rows if it has another shape than they have.

    Raises:
        RecipeError: it has.
    """
    if tuple(made.shape) != shape:
        raise _wrong(operator, tensor, f"a piece of shape {list(made.shape)}", f"{list(shape)}")


def _wrong(operator: str, tensor: str, made: str, expected: str) -> RecipeError:
    return RecipeError(
        f"{operator}() makes {made} at {quoted(tensor)}, expected {expected}",
        hint="what an operator may answer with is in weightarith.operators.field",
    )
