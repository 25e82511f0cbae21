"""Numbers that vary from tensor to tensor, written as functions of an expression."""

from __future__ import annotations

from fractions import Fraction

from weightarith.recipe.functions import Argument, Arguments, described
from weightarith.weighting import Schedule, Varying, Where


def gradient(given: Arguments) -> Varying:
    """Return a number that varies over depth: `gradient(0, 0.5, 1, elsewhere=0)`.

    The numbers are spaced evenly from the first layer to the last, with straight lines between them; tensors
    outside the layers get `elsewhere`, 1 by default.
    """
    given.known("elsewhere")
    numbers = [_plain(given, each, "gradient()") for each in given.values]
    if not numbers:
        raise given.passage.error(given.at, "gradient() of nothing", hint="gradient(0, 0.5, 1)")
    elsewhere = given.options.get("elsewhere")
    outside = _plain(given, elsewhere[1], "elsewhere=") if elsewhere else Fraction(1)
    return Schedule(tuple(numbers), outside)


def where(given: Arguments) -> Varying:
    """Return a number that depends on the tensor's name: `where("*mlp*", 0.3, 0.5)`.

    It is the first number where the name is like the pattern, the second elsewhere; either may vary itself.
    """
    given.known()
    if len(given.values) != 3:
        message = f"where() takes a pattern and two numbers, not {len(given.values)} values"
        raise given.passage.error(given.at, message, hint='where("*mlp*", 0.3, 0.5)')
    pattern, inside, otherwise = given.values
    if not isinstance(pattern.value, str) or not pattern.value:
        message = f"where() takes a pattern in quotes first, and this is {described(pattern.value)}"
        raise given.passage.error(pattern.at, message, hint='where("*mlp*", 0.3, 0.5)')
    return Where(pattern.value, _number(given, inside, "where()"), _number(given, otherwise, "where()"))


def _plain(given: Arguments, argument: Argument, whose: str) -> Fraction:
    number = _number(given, argument, whose)
    if not isinstance(number, Fraction):
        raise given.passage.error(
            argument.at, f"{whose} takes plain numbers, and this is {described(number)}"
        )
    return number


def _number(given: Arguments, argument: Argument, whose: str) -> Fraction | Varying:
    if not isinstance(argument.value, Fraction | Varying):
        raise given.passage.error(
            argument.at, f"{whose} takes numbers, and this is {described(argument.value)}"
        )
    return argument.value
