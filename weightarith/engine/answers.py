"""What operators answer, held to what they promised: a wrong shape would else be stretched to fit, unseen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING, Any

from weightarith.errors import NonFiniteError, RecipeError, quoted
from weightarith.operators.field import Array, Mixed, Product, Result, Whole

if TYPE_CHECKING:
    from weightarith.engine.form import Node
    from weightarith.engine.settle import NodeField


def answer(node: Node, field: NodeField, states: Mapping[str, Any]) -> Result:
    """Return what the operator of a node answers; what rules make is checked piece by piece.

    Raises:
        WeightArithError: it refuses its operands, cannot decompose them, or answers with something of
            another shape.
    """
    options = dict(node.options)
    if node.operator.prepare is not None:
        options["state"] = states.get(node.call)
    with decomposing(field.operator, f" at {quoted(field.name)}"):
        result = node.operator.run(field, **options)
    match result:
        case Mixed(coefficients) if len(coefficients) != len(field.operands):
            made, expected = f"{len(coefficients)} coefficients", f"{len(field.operands)}, one an operand"
        case Whole(tensor) if tuple(tensor.shape) != field.shape:
            made, expected = f"a tensor of shape {list(tensor.shape)}", str(list(field.shape))
        case Product(left, right) if not _fits(tuple(left.shape), tuple(right.shape), field.shape):
            made = f"a product of shapes {list(left.shape)} and {list(right.shape)}"
            expected = str(list(field.shape))
        case _:
            return result
    raise _wrong(field, made, expected)


def expect_shape(made: Array, shape: tuple[int, ...], field: NodeField) -> None:
    """Refuse what a rule made of a block or of rows if it has another shape than they have.

    Raises:
        RecipeError: it has.
    """
    if tuple(made.shape) != shape:
        raise _wrong(field, f"a piece of shape {list(made.shape)}", str(list(shape)))


@contextmanager
def decomposing(operator: str, where: str = "") -> Iterator[None]:
    """Have a decomposition that fails end in an error of ours, whichever library it is from.

    Raises:
        NonFiniteError: one failed inside.
    """
    try:
        yield
    except Exception as error:
        if not type(error).__name__.endswith("LinAlgError"):
            raise
        raise NonFiniteError(
            f"{operator}() cannot decompose what it is given{where}: NaN, infinity, or numbers near the "
            "largest there are",
            hint="policy: {nonfinite: refuse} names a damaged input",
        ) from error


def _fits(left: tuple[int, ...], right: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Return whether two matrices can be multiplied, and make as many elements as a tensor has."""
    return len(left) == len(right) == 2 and left[1] == right[0] and left[0] * right[1] == prod(shape)


def _wrong(field: NodeField, made: str, expected: str) -> RecipeError:
    return RecipeError(
        f"{field.operator}() makes {made} at {quoted(field.name)}, expected {expected}",
        hint="what an operator may answer with is in weightarith.operators.field",
    )
