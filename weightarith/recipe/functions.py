"""Functions of an expression that are sums in other words, and what every function is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from weightarith.algebra import Sum, collect
from weightarith.operators.direction import Direction
from weightarith.recipe.caret import Passage, listed, nearest
from weightarith.recipe.rules import Fail, layer_range, role, rules
from weightarith.weighting import Selection, Varying

Value = Fraction | Sum | Varying | Direction | str | tuple["Argument", ...]


@dataclass(frozen=True)
class Argument:
    """A value, and where in the expression it stands."""

    value: Value
    at: int


@dataclass(frozen=True)
class Arguments:
    """What one call was given; `at` is where the function's name stands."""

    passage: Passage
    at: int
    values: tuple[Argument, ...]
    options: Mapping[str, tuple[int, Argument]]  # where the option's name stands, and its value

    def known(self, *options: str) -> None:
        """Raise RecipeError if an option was given that is none of `options`."""
        for name, (at, _) in self.options.items():
            if name not in options:
                takes = f"options are {listed(options)}" if options else "this function takes none"
                raise self.passage.error(at, f"unknown option {name}; {takes}", hint=nearest(name, options))

    def fail_at(self, at: int) -> Fail:
        """Return what makes an error that points at `at`."""
        return lambda message, hint: self.passage.error(at, message, hint=hint)


def described(value: Value) -> str:
    """Return what `value` is, in words: `a number`, `a model`, `a vector`, …."""
    match value:
        case Sum():
            return "a model" if value.degree == 1 else "a vector" if value.degree == 0 else "a sum of models"
        case Fraction():
            return "a number"
        case str():
            return "a text"
        case tuple():
            return "a list"
        case Direction():
            return "a direction"
        case _:
            return "a number that varies from tensor to tensor"


def mean(given: Arguments) -> Fraction | Sum:
    """Return the mean of models, vectors or numbers: `mean(a, b, c)`."""
    given.known()
    if not given.values:
        raise given.passage.error(given.at, "mean() of nothing", hint="mean(a, b)")
    share = Fraction(1, len(given.values))
    sums = [argument.value for argument in given.values if isinstance(argument.value, Sum)]
    numbers = [argument.value for argument in given.values if isinstance(argument.value, Fraction)]
    if len(sums) == len(given.values):
        return collect(term for one in sums for term in one.terms) * share
    if len(numbers) == len(given.values):
        return sum(numbers, Fraction(0)) * share
    odd = next((each for each in given.values if not isinstance(each.value, Sum)), given.values[0])
    message = f"mean() takes models and vectors, or numbers alone; this is {described(odd.value)}"
    raise given.passage.error(odd.at, message)


def restrict(given: Arguments) -> Sum:
    """Return a vector that is zero outside some layers, roles or names.

    `restrict(v, layers="8-20", role="mlp", name="*.q_proj.*")`: a tensor must meet every condition given.
    """
    given.known("layers", "role", "name")
    passage = given.passage
    if len(given.values) != 1:
        hint = 'restrict(v, layers="8-20", role="mlp")'
        raise passage.error(
            given.at, f"restrict() takes one vector, not {len(given.values)} values", hint=hint
        )
    if not given.options:
        raise passage.error(
            given.at, "restrict() takes a condition", hint='layers="8-20", role="mlp" or name="*"'
        )
    vector, at = given.values[0].value, given.values[0].at
    if not isinstance(vector, Sum) or vector.degree != 0:
        hint = "restrict a difference: restrict(model - base, …)"
        raise passage.error(at, f"restrict() takes a vector, and this is {described(vector)}", hint=hint)
    spans = [layer_range(text, given.fail_at(at)) for text, at in _texts(given, "layers")]
    roles = [role(text, given.fail_at(at)) for text, at in _texts(given, "role")]
    names = _texts(given, "name")
    if len(names) > 1:
        raise passage.error(names[1][1], "name is one pattern", hint="add two restricted vectors")
    return vector.weighted(
        Selection(rules(Fraction(1), spans, roles, names[0][0] if names else ""), Fraction(0))
    )


def _texts(given: Arguments, option: str) -> list[tuple[str, int]]:
    """Return the texts an option was given, one or a list, and where each stands; a layer may be a number."""
    if option not in given.options:
        return []
    argument = given.options[option][1]
    items = argument.value if isinstance(argument.value, tuple) else (argument,)
    found: list[tuple[str, int]] = []
    for item in items:
        text = item.value
        if isinstance(text, Fraction) and option == "layers" and text.denominator == 1 and text < 10**6:
            text = str(text)
        if not isinstance(text, str) or not text:
            message = f'{option} takes a text in quotes such as "{EXAMPLES[option]}"'
            raise given.passage.error(
                item.at, f"{message}, and this is {described(text) if text else 'empty'}"
            )
        found.append((text, item.at))
    if not found:
        raise given.passage.error(argument.at, f"{option} is given an empty list")
    return found


EXAMPLES = {"layers": "8-20", "role": "mlp", "name": "*.q_proj.*"}
