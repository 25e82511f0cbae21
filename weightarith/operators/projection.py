"""The part of a vector that lies along others, and the part that does not.

The two parts add up to the vector. The others may be any bank: the part along them is that in the space they
span, whatever their lengths, angles and order, and however many of them are copies.
"""

from __future__ import annotations

import numpy as np

from weightarith.errors import IncompatibleError, RecipeError
from weightarith.operators.angles import tensor_products
from weightarith.operators.field import Field, Mixed
from weightarith.operators.operator import OVER, Operator, ranks_added
from weightarith.operators.statistics import Blocks, Doubles, gram

DEPENDENT = 1e-12
"""A direction of the bank this small, as a squared length beside unit vectors, is the rounding of a copy."""


def project(
    field: Field, *, operands: int = 1, over: str = "tensor", state: tuple[float, ...] | None = None
) -> Mixed:
    """Return the part of a vector that lies in the span of others, `Σ cⱼ·uⱼ` nearest to it.

    Args:
        field: the vector, then the bank.
        operands: how many come before the bank: one.
        over: `tensor`, coefficients for each tensor; or `model`, the same coefficients for all.
        state: what `model_coefficients` found, for `model`.

    Raises:
        RecipeError: the bank is empty.
    """
    return Mixed((0.0,) * operands + _coefficients(field, operands, over, state))


def reject(
    field: Field, *, operands: int = 1, over: str = "tensor", state: tuple[float, ...] | None = None
) -> Mixed:
    """Return what is left of a vector without its part in the span of others, at right angles to each.

    Over the model, the tensors of the result are at right angles to those of the bank taken all together, and
    not one by one. Arguments and errors are those of `project`.
    """
    found = _coefficients(field, operands, over, state)
    return Mixed((1.0,) * operands + tuple(-one for one in found))


def model_coefficients(model: Blocks, *, operands: int = 1, over: str = "model") -> tuple[float, ...]:  # noqa: ARG001
    """Return the coefficients on the bank over a whole model.

    Raises:
        IncompatibleError: a vector of the bank is zero in every tensor.
    """
    products = gram(model)
    if products.size == 0:
        return ()
    for number in range(operands, len(products)):
        if products[number, number] == 0:
            raise IncompatibleError(
                f"vector {number - operands + 1} of onto is zero in every tensor, and has no direction",
                hint="leave it out, or check that it is the vector that was meant",
            )
    return nearest(products)


def nearest(products: Doubles) -> tuple[float, ...]:
    """Return `c` for which `Σ cⱼ·uⱼ` is nearest to the first operand, the `uⱼ` being the others.

    Where several are, that is the shortest for unit vectors; a vector that is zero has 0. What is left is at
    a right angle to each vector of the bank to about 1e-15 divided by the distance between them: to 1e-12
    where they differ by a thousandth.

    Args:
        products: inner products, (1 + bank, 1 + bank).
    """
    sizes = np.sqrt(np.diag(products)[1:])
    inverse = np.divide(1, sizes, out=np.zeros_like(sizes), where=sizes > 0)
    lengths, axes = np.linalg.eigh(products[1:, 1:] * np.outer(inverse, inverse))
    kept = lengths > DEPENDENT
    along = axes[:, kept].T @ (inverse * products[1:, 0])
    return tuple(float(one) for one in inverse * (axes[:, kept] @ (along / lengths[kept])))


def _coefficients(
    field: Field, operands: int, over: str, state: tuple[float, ...] | None
) -> tuple[float, ...]:
    if len(field.keys) == operands:
        raise RecipeError("there is no vector to project onto", hint="name one or more: onto=[u, w]")
    if over == "model" and state is not None:
        return state
    return nearest(tensor_products(field))


PROJECT = Operator(
    name="project",
    run=project,
    source="Golub and Van Loan (2013), Matrix Computations, 4th edition, sections 5.3 and 5.5",
    most=1,
    beside="onto",
    options=(OVER,),
    prepare=model_coefficients,
    rank=ranks_added,
)
REJECT = Operator(
    name="reject",
    run=reject,
    source="Golub and Van Loan (2013), Matrix Computations, 4th edition, sections 5.3 and 5.5",
    most=1,
    beside="onto",
    options=(OVER,),
    prepare=model_coefficients,
    rank=ranks_added,
)
