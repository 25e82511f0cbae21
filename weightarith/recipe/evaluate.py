"""Syntax tree to value: a number stays an exact fraction, everything else becomes a flattened sum.

Only numbers multiply and divide, only sums add to sums; whatever breaks this is an error that points at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from weightarith import algebra
from weightarith.algebra import Linear, Sum, collect
from weightarith.errors import RecipeError, quoted
from weightarith.numbers import RANGE, in_range
from weightarith.operators.direction import Direction
from weightarith.recipe.calls import FUNCTIONS, Function
from weightarith.recipe.caret import Passage
from weightarith.recipe.functions import Argument, Arguments, Value, described
from weightarith.recipe.lookup import WORDS, read_expression
from weightarith.recipe.tokens import NAME, NAMING, canonical
from weightarith.recipe.tree import (
    Added,
    Call,
    Items,
    Multiplied,
    Name,
    Negated,
    Node,
    Number,
    Text,
)  # fmt: skip
from weightarith.weighting import Scaled, Varying

ZERO, ONE = Fraction(0), Fraction(1)


Named = Linear | Fraction | Varying | Direction
"""What a name can stand for."""


@dataclass(frozen=True)
class Scope:
    """What the names of an expression stand for, and the passage that errors point into."""

    passage: Passage
    names: Mapping[str, Named]
    functions: Mapping[str, Function] = field(default_factory=lambda: FUNCTIONS)


def parse_expression(text: str, names: Mapping[str, Linear | algebra.Number]) -> Sum:
    """Return the flattened sum that `text` stands for; its degree is not judged yet.

    Args:
        text: such as `base + 1.5·(refusal+ − refusal−)`.
        names: what each name stands for: a checkpoint, a vector, a sum or a number. A name starts with a
            letter, and may end in + or −.

    Raises:
        RecipeError: with the line of the expression and a caret under the character it is about.
    """
    known: dict[str, Named] = {}
    for name, value in names.items():
        if not NAME.fullmatch(canonical(name)):
            raise RecipeError(f"{quoted(name)} can be no name in an expression: {NAMING}")
        known[canonical(name)] = value if isinstance(value, Linear) else algebra.exact(value)
    passage = Passage(text)
    return total(read_expression(passage, known), Scope(passage, known))


def total(tree: Node, scope: Scope) -> Sum:
    """Return the sum an expression stands for.

    Raises:
        RecipeError: it stands for a number, a text or a list, or has no meaning.
    """
    value = evaluate(tree, scope)
    if not isinstance(value, Sum):
        raise scope.passage.error(tree.at, f"this is {described(value)}, expected a model or a vector")
    return value


def number(tree: Node, scope: Scope) -> Fraction:
    """Return the number an expression stands for.

    Raises:
        RecipeError: it stands for something else, or has no meaning.
    """
    value = evaluate(tree, scope)
    if not isinstance(value, Fraction):
        raise scope.passage.error(tree.at, f"this is {described(value)}, expected a number")
    return value


def evaluate(tree: Node, scope: Scope) -> Value:
    """Return what `tree` stands for; every name and function in it is known.

    Raises:
        RecipeError: a sum, product or call has no meaning.
    """
    match tree:
        case Number(number):
            return number
        case Text(text):
            return text
        case Items(items):
            return tuple(Argument(evaluate(item, scope), item.at) for item in items)
        case Name(name) if name in WORDS and name not in scope.names:
            return name
        case Name(name):
            named = scope.names[name]
            return collect(named.terms) if isinstance(named, Linear) else named
        case Negated(operand, at):
            value = evaluate(operand, scope)
            if isinstance(value, Fraction | Sum):
                return -value
            if isinstance(value, Varying):
                return Scaled(value, Fraction(-1))
            raise scope.passage.error(at, f"cannot turn the sign of {described(value)}")
        case Added():
            return _added(tree, scope)
        case Multiplied():
            return _multiplied(tree, scope)
        case Call():
            return _called(tree, scope)


def _added(chain: Added, scope: Scope) -> Fraction | Sum:
    values = [evaluate(step.operand, scope) for step in chain.steps]
    signed = [-value if step.mark == "-" else value for step, value in zip(chain.steps, values, strict=True)
              if isinstance(value, Fraction | Sum)]  # fmt: skip
    sums = [value for value in signed if isinstance(value, Sum)]
    numbers = [value for value in signed if isinstance(value, Fraction)]
    if len(sums) == len(values):
        return _in_range(collect(term for each in sums for term in each.terms), chain.at, scope)
    if len(numbers) == len(values):
        running = ZERO
        for value in numbers:
            running = _bounded(running + value, chain.at, scope)
        return running
    raise _not_added(chain, values, scope)


def _not_added(chain: Added, values: list[Value], scope: Scope) -> RecipeError:
    """Return the error for the first step that is no number beside numbers, no sum beside sums."""
    for step, before, value in zip(chain.steps[1:], values, values[1:], strict=False):
        if type(before) is not type(value) or isinstance(value, str | tuple):
            verb = "add" if step.mark == "+" else "subtract"
            numbers = isinstance(before, Fraction) or isinstance(value, Fraction)
            hint = "a number scales a model or a vector: write * between them" if numbers else ""
            message = f"cannot {verb} {described(before)} and {described(value)}"
            return scope.passage.error(step.at, message, hint=hint)
    return scope.passage.error(chain.at, "cannot add these")


def _multiplied(chain: Multiplied, scope: Scope) -> Fraction | Sum | Varying:
    factor, weights, varying = ONE, list[Sum](), list[Varying]()
    for step in chain.steps:
        value = evaluate(step.operand, scope)
        if isinstance(value, Fraction):
            if step.mark == "/" and value == 0:
                raise scope.passage.error(step.operand.at, "division by zero")
            factor = _bounded(factor / value if step.mark == "/" else factor * value, step.at, scope)
        elif not isinstance(value, Sum | Varying):
            raise scope.passage.error(step.operand.at, f"cannot multiply {described(value)}")
        elif step.mark == "/":
            raise scope.passage.error(
                step.at, f"cannot divide by {described(value)}", hint="only numbers divide"
            )
        elif isinstance(value, Sum):
            if weights:
                pair = f"{described(weights[0])} by {described(value)}"
                raise scope.passage.error(
                    step.at, f"cannot multiply {pair}", hint="one side must be a number"
                )
            weights.append(value)
        else:
            varying.append(value)
    if weights:
        return _weighted(_in_range(weights[0] * factor, chain.at, scope), varying, chain.at, scope)
    if len(varying) > 1:
        raise scope.passage.error(chain.at, "cannot multiply two numbers that vary")
    return Scaled(varying[0], factor) if varying else factor


def _weighted(value: Sum, varying: list[Varying], at: int, scope: Scope) -> Sum:
    """Return a vector multiplied by numbers that vary from tensor to tensor."""
    if varying and value.degree != 0:
        message = f"cannot multiply {described(value)} by a number that varies from tensor to tensor"
        raise scope.passage.error(at, message, hint="scale a difference: base + gradient(…)*(model - base)")
    for each in varying:
        value = value.weighted(each)
    return value


def _called(call: Call, scope: Scope) -> Fraction | Sum | Varying:
    values = tuple(Argument(evaluate(each, scope), each.at) for each in call.arguments)
    options = {
        name.name: (name.at, Argument(evaluate(value, scope), value.at)) for name, value in call.options
    }
    result = scope.functions[call.function](Arguments(scope.passage, call.at, values, options))
    if isinstance(result, Varying):
        return result
    return _in_range(result, call.at, scope) if isinstance(result, Sum) else _bounded(result, call.at, scope)


def _in_range(value: Sum, at: int, scope: Scope) -> Sum:
    for term in value.terms:
        _bounded(term.coefficient, at, scope)
    return value


def _bounded(value: Fraction, at: int, scope: Scope) -> Fraction:
    if not in_range(value):
        raise scope.passage.error(at, "a coefficient out of range", hint=RANGE)
    return value
