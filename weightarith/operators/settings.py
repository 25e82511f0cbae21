"""What the options of an operator were given: checked, exact, and in words.

A number may vary from tensor to tensor; it is checked where it is known, at the call or at the tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from numbers import Real
from typing import Any

from weightarith.algebra import exact
from weightarith.errors import RecipeError, quoted
from weightarith.operators.direction import Direction, direction_of
from weightarith.operators.operator import REQUIRED, Operator, Option
from weightarith.weighting import Varying, value_at
from weightarith.wording import shown

Number = Fraction | Varying
Setting = Number | int | str | bool | tuple[Number, ...] | Direction
"""What an option was given; a number may vary from tensor to tensor."""


def setting(operator: Operator, option: Option, value: Any, operands: int) -> Setting:
    """Return what an option of a call on so many operands was given, its default for None.

    Raises:
        RecipeError: it is missing, of another kind or out of range.
    """
    if value is None:
        if option.default is REQUIRED:
            raise RecipeError(f"{operator.name}() needs {option.name}=", hint=option.help)
        value = option.default
    if option.kind == "number":
        return _numbers(operator, option, value, operands)
    if option.kind == "direction":
        return direction_of(value)
    what = f"{operator.name}({option.name}=…)"
    if option.kind == "flag":
        if not isinstance(value, bool) and value not in ("true", "false"):
            raise RecipeError(f"{what} is true or false, not {text(value)}")
        return value if isinstance(value, bool) else bool(value == "true")
    if option.kind == "choice":
        if value not in option.choices:
            words = ", ".join(quoted(word) for word in option.choices if word)
            raise RecipeError(f"{what} is one of {words}, not {text(value)}")
        return str(value)
    number = _exact(value)
    if number is None or number.denominator != 1:
        raise RecipeError(f"{what} is a whole number, not {text(value)}")
    check_range(operator, option, number, "")
    return int(number)


def _numbers(operator: Operator, option: Option, value: Any, operands: int) -> Setting:
    what = f"{operator.name}({option.name}=…)"
    many = isinstance(value, list | tuple)
    if many and not option.each:
        raise RecipeError(f"{what} takes one number, not a list")
    given = list(value) if many else [value] * (operands if option.each else 1)
    if option.each and len(given) != operands:
        raise RecipeError(f"{what} lists {len(given)} numbers, and there are {operands} operands")
    found = tuple(_number(operator, option, one) for one in given)
    return found if option.each else found[0]


def _number(operator: Operator, option: Option, value: Any) -> Number:
    if isinstance(value, Varying):
        return value
    number = _exact(value)
    if number is None:
        raise RecipeError(f"{operator.name}({option.name}=…) takes a number, not {text(value)}")
    check_range(operator, option, number, "")
    return number


def _exact(value: Any) -> Fraction | None:
    """Return a number of whatever library as a fraction, None for what is none."""
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        return None
    return exact(value if isinstance(value, int | float | Fraction | Decimal) else float(value))


def check_range(operator: Operator, option: Option, number: Fraction, where: str) -> None:
    """Refuse a number out of the range of its option; `where` says at which tensor.

    Raises:
        RecipeError: it is.
    """
    if not option.low <= number <= option.high:
        bounds = (
            f"at least {shown(exact(option.low))}" if option.high == float("inf")
            else f"between {option.low:g} and {option.high:g}"
        )  # fmt: skip
        raise RecipeError(f"{operator.name}({option.name}={shown(number)}){where} is out of range: {bounds}")


def fixed(value: Setting, tensor: str, depth: int) -> Setting:
    """Return a setting as it is at a tensor."""
    if isinstance(value, tuple):
        return tuple(value_at(one, tensor, depth) for one in value)
    return value.factor(tensor, depth) if isinstance(value, Varying) else value


def listed(texts: Sequence[str]) -> str:
    """Return texts as a list of a recipe."""
    return f"[{', '.join(texts)}]"


def text(value: Any) -> str:
    """Return a setting, or what somebody gave for one, as it is written in a recipe."""
    match value:
        case Fraction():
            return shown(value)
        case tuple() if value and all(one == value[0] for one in value):
            return text(value[0])
        case tuple() | list():
            return listed([text(one) for one in value])
        case bool():
            return str(value).lower()
        case str():
            return quoted(value)
        case Direction():
            return value.label
        case _:
            return "varying" if isinstance(value, Varying) else str(value)
