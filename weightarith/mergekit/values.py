"""A parameter's value at one place of the result: what is nearest holds, in the numbering of our layers.

mergekit looks for a filter in the names of the model that a layer comes from where every model has its own
value, and in the names of the result where there is one for all. Our names count from 0 in every slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from weightarith.errors import UnsupportedError, quoted
from weightarith.mergekit.layout import Call, Expression, Word
from weightarith.mergekit.methods import Parameter
from weightarith.mergekit.parameters import Curve, Rule, Settings, covers
from weightarith.recipe.strictyaml import Place

STACKS = ("layers", "layer", "blocks", "block", "h")


@dataclass(frozen=True)
class Span:
    """Layers that count from 0 here and from `start` in filters."""

    start: int
    count: int


@dataclass(frozen=True)
class Where:
    """A value for names that hold a part, and another one for the rest."""

    part: str
    inside: Value
    otherwise: Value


@dataclass(frozen=True)
class Gradient:
    """Numbers from the first layer to the last, and one for what lies outside the layers."""

    values: tuple[str, ...]
    elsewhere: str


Value = str | Gradient | Where


@dataclass(frozen=True)
class Numbered:
    """A filter that names a layer: what stands before the number, the number, and what follows."""

    before: str
    number: str
    after: str | None  # None where the filter ends in the number, which may go on in a name

    def layers(self, span: Span) -> list[int]:
        """Return the layers that it means, counted from 0."""
        if self.after is None:
            return [i for i in range(span.count) if str(span.start + i).startswith(self.number)]
        here = int(self.number) - span.start
        return [here] if 0 <= here < span.count else []


def rules_of(parameter: Parameter, levels: Sequence[Settings], place: Place, what: str) -> tuple[Rule, ...]:
    """Return the rules that hold, the nearest level first, the last of them for every name.

    Raises:
        RecipeError: a parameter that is needed is not given, or not for every name.
    """
    rules: list[Rule] = []
    for level in levels:
        for rule in level[parameter.name].rules if parameter.name in level else ():
            if not any(covers(before.part, rule.part) for before in rules):
                rules.append(rule)
    if rules and not rules[-1].part:
        return tuple(rules)
    if parameter.default is None:
        if rules:
            raise rules[-1].place.error(
                f"{parameter.name} of {what} is given for some tensors only",
                hint=f"end its rules with one for the rest: {{value: …}} or {parameter.name}: at the top",
            )
        raise place.error(f"{what} has no {parameter.name}", hint=f"parameters: {{{parameter.name}: …}}")
    return (*rules, Rule("", Curve((parameter.default,)), place))


def value_of(rules: Sequence[Rule], span: Span | None) -> Value:
    """Return what rules come to in some layers; in a whole model where `span` is None.

    Raises:
        UnsupportedError: a filter may or may not name a layer, and layers are renumbered.
    """
    rule = rules[0]
    value = _local(rule.value, span)
    if not rule.part:
        return value
    rest = value_of(rules[1:], span)
    for part in reversed(_local_parts(rule, span)):
        rest = Where(part, value, rest)
    return rest


def expression_of(value: Value) -> Expression:
    """Return a value as it is written in an expression."""
    match value:
        case str():
            return Word(value)
        case Gradient(values, elsewhere):
            return Call("gradient", tuple(map(Word, values)), (("elsewhere", Word(elsewhere)),))
        case Where(part, inside, otherwise):
            pattern = Word(f'"*{part}*"')
            return Call("where", (pattern, expression_of(inside), expression_of(otherwise)))


def numbered(part: str) -> Numbered | None:
    """Return the layer that a filter names, or None where it names none.

    Raises:
        ValueError: it holds a number that may or may not be that of a layer.
    """
    words = part.split(".")
    for place, word in enumerate(words):
        if not (word.isascii() and word.isdecimal()):
            continue
        stack = words[place - 1] if place else ""
        if place < 2 and stack not in STACKS and any(name.endswith(stack) for name in STACKS):
            raise ValueError
        if stack in STACKS:
            after = ".".join(words[place + 1 :]) if place + 1 < len(words) else None
            return Numbered(".".join(words[:place]), word, after)
    return None


def names_layer(rules: Sequence[Rule]) -> bool:
    """Return whether a filter among the rules names a layer, or may."""
    try:
        return any(numbered(rule.part) for rule in rules)
    except ValueError:
        return True


def _local(curve: Curve, span: Span | None) -> Value:
    """Return a curve as it runs over the layers; over a single one mergekit takes its last value."""
    if curve.constant:
        return curve.values[0]
    if span is not None and span.count == 1:
        return Gradient(curve.values[-1:], curve.values[0])
    return Gradient(curve.values, curve.values[0])


def _local_parts(rule: Rule, span: Span | None) -> list[str]:
    """Return what stands in our names where `rule.part` stands in theirs: nothing if no layer has it."""
    if span is None:
        return [rule.part]
    try:
        layer = numbered(rule.part)
    except ValueError:
        if not span.start:
            return [rule.part]
        raise UnsupportedError(
            f"{rule.place}: filter {quoted(rule.part)} may name a layer, and slices count layers anew",
            hint="write the word in front of the number too: layers.3.",
        ) from None
    if layer is None:
        return [rule.part]
    found = layer.layers(span)
    if found and not span.start:
        return [rule.part]
    after = layer.after or ""
    return [f"{layer.before}.{number}.{after}" for number in found]


def unmet(rule: Rule, spans: Sequence[Span]) -> bool:
    """Return whether a filter names a layer that none of the spans has."""
    try:
        layer = numbered(rule.part)
    except ValueError:
        return False
    return layer is not None and not any(layer.layers(span) for span in spans)
