"""Operators as functions of an expression: what stands in the brackets becomes operands and options."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import partial
from typing import Any

from weightarith.algebra import Sum, collect
from weightarith.errors import RecipeError, quoted
from weightarith.operators.made import make
from weightarith.operators.operator import Operator
from weightarith.operators.table import OPERATORS
from weightarith.recipe.functions import Argument, Arguments, described, mean, restrict
from weightarith.recipe.layers import stack, take
from weightarith.recipe.varying import gradient, where
from weightarith.weighting import Varying

Function = Callable[[Arguments], Fraction | Sum | Varying]


def call(operator: Operator, given: Arguments) -> Sum:
    """Return what an operator makes of what it was given: `ties([v, w], density=0.2)`.

    Raises:
        RecipeError: something in the brackets is not what the operator takes.
    """
    options = [option.name for option in operator.options]
    given.known(*options, *([operator.beside] if operator.beside else []))
    operands = [one for argument in given.values for one in _sums(given, argument)]
    beside: list[Sum] = []
    found: dict[str, Any] = {}
    for name, (_, argument) in given.options.items():
        if name == operator.beside:
            beside = _sums(given, argument)
        else:
            found[name] = _setting(given, argument)
    try:
        return collect(make(operator, operands, beside, **found).terms)
    except RecipeError as error:
        raise given.passage.error(given.at, error.message, hint=error.hint) from None


def _sums(given: Arguments, argument: Argument) -> list[Sum]:
    """Return the sums of an argument: itself, or those of a list."""
    if isinstance(argument.value, tuple):
        return [one for item in argument.value for one in _sums(given, item)]
    if not isinstance(argument.value, Sum):
        message = f"this is {described(argument.value)}, expected a model or a vector"
        raise given.passage.error(argument.at, message, hint="options are given by name: density=0.2")
    return [argument.value]


def _setting(given: Arguments, argument: Argument) -> Any:
    if isinstance(argument.value, tuple):
        return [_setting(given, item) for item in argument.value]
    if isinstance(argument.value, Sum):
        raise given.passage.error(argument.at, f"this is {described(argument.value)}, expected a number")
    return argument.value


def functions_with(operators: Iterable[Operator]) -> Mapping[str, Function]:
    """Return the functions of an expression, `operators` among them.

    Raises:
        RecipeError: an operator is called as another function is, or what no function can be called.
    """
    found = dict(FUNCTIONS)
    for operator in operators:
        if not operator.name.isidentifier():
            naming = "a name is letters, digits and _, not a digit first"
            raise RecipeError(f"an operator cannot be called {quoted(operator.name)}: {naming}")
        if operator.name in found:
            raise RecipeError(f"an operator cannot be called {operator.name}: there is such a function")
        found[operator.name] = partial(call, operator)
    return found


FUNCTIONS: Mapping[str, Function] = {
    "gradient": gradient,
    "mean": mean,
    "restrict": restrict,
    "stack": stack,
    "take": take,
    "where": where,
    **{name: partial(call, operator) for name, operator in OPERATORS.items()},
}
"""Every function of an expression, by its name."""
