"""Parameters as they are written: a number, a gradient over depth, or rules by a part of the tensor's name.

mergekit ignores a parameter that the method, or the place it stands in, has no use for. Here it is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from weightarith.errors import RecipeError, quoted
from weightarith.mergekit.methods import ALL_PARAMETERS, INERT, Method, Parameter, takers
from weightarith.mergekit.refusals import unsupported
from weightarith.numbers import NUMBER, decimal
from weightarith.recipe.caret import listed, nearest
from weightarith.recipe.fields import found, is_nothing, mapping, scalar, table, text
from weightarith.recipe.strictyaml import Entry, Listing, Node, Place, Scalar, Table

TRUE = frozenset({"true", "yes", "on", "y", "1", "1.0"})
FALSE = frozenset({"false", "no", "off", "n", "0", "0.0"})
EVERYTHING = "*"

_IN_A_NAME = re.compile(r"[\w./:-]+")


@dataclass(frozen=True)
class Curve:
    """Numbers as text, evenly spaced over the layers; a single one is the same everywhere."""

    values: tuple[str, ...]

    @property
    def constant(self) -> bool:
        """Whether it is the same everywhere."""
        return len(self.values) == 1


@dataclass(frozen=True)
class Rule:
    """A value, and the part that a tensor's name must hold for it; empty for every name."""

    part: str
    value: Curve
    place: Place


@dataclass(frozen=True)
class Setting:
    """What a parameter was given at one place: rules, of which the first that matches a name holds."""

    rules: tuple[Rule, ...]
    place: Place


Settings = Mapping[str, Setting]


def read_settings(entry: Entry | None, method: Method, *, of_model: bool) -> Settings:
    """Return the parameters of a mapping by name, those without any effect left out.

    Args:
        entry: the value of `parameters:`, or None.
        method: what they are for.
        of_model: whether they stand with one model, where what belongs to the whole merge means nothing.

    Raises:
        RecipeError: a parameter is unknown, means nothing here, or has a value that is none.
        UnsupportedError: a value is recognised, and not supported.
    """
    if entry is None or is_nothing(entry.value):
        return {}
    settings: dict[str, Setting] = {}
    for name, each in mapping(entry.value, "parameters").items():
        if name == INERT:
            _flag(each.value, name)
            continue
        parameter = method.parameter(name)
        if parameter is None:
            raise _unknown(name, each.place, method)
        if of_model and not parameter.each:
            raise each.place.error(
                f"{name} belongs to the whole merge; with a model it would be ignored",
                hint=f"parameters: {{{name}: …}} at the top of the document",
            )
        settings[name] = _setting(each.value, parameter)
    return settings


def fraction(number: str) -> Fraction:
    """Return the number that a text of a `Curve` stands for."""
    value = decimal(number.removeprefix("-")) or Fraction(0)
    return -value if number.startswith("-") else value


def numbers_of(rules: Iterable[Rule]) -> list[Fraction]:
    """Return every number that occurs in some rules."""
    return [fraction(number) for rule in rules for number in rule.value.values]


def _unknown(name: str, place: Place, method: Method) -> RecipeError:
    others = takers(name)
    if others:
        return place.error(
            f"{method.name} makes nothing of {name}: it would be ignored",
            hint=f"leave it out; {listed(others, 6)} would use it",
        )
    known = [each.name for each in method.parameters]
    has = f"{method.name} has {listed(known)}" if known else f"{method.name} has none"
    hint = nearest(name, known) or nearest(name, ALL_PARAMETERS)
    return place.error(f"unknown parameter {quoted(name)}; {has}", hint=hint)


def _setting(node: Node, parameter: Parameter) -> Setting:
    if parameter.kind == "number":
        rules = _rules(node, parameter.name)
        if parameter.only and any(number != fraction(parameter.only) for number in numbers_of(rules)):
            raise unsupported(node.place, f"{parameter.name} other than {parameter.only}", "leave it out")
        return Setting(rules, node.place)
    if not isinstance(node, Scalar):
        what = f"{parameter.name} that varies from tensor to tensor"
        raise unsupported(node.place, what, f"one {parameter.name} for all")
    value = _flag(node, parameter.name) if parameter.kind == "flag" else _whole(node, parameter.name)
    return Setting((Rule("", Curve((value,)), node.place),), node.place)


def _rules(node: Node, name: str) -> tuple[Rule, ...]:
    entries = node.items if isinstance(node, Listing) else (node,)
    if not any(isinstance(each, Table) for each in entries):
        return (Rule("", _curve(node, name), node.place),)
    rules: list[Rule] = []
    for each in entries:
        rule = _rule(each, name)
        before = next((one for one in rules if covers(one.part, rule.part)), None)
        if before is not None:
            shown = quoted(before.part) if before.part else "every name"
            raise rule.place.error(
                f"this rule is never reached: line {before.place.line} takes {shown} first",
                hint="put the narrower filter first",
            )
        rules.append(rule)
    return tuple(rules)


def covers(part: str, other: str) -> bool:
    """Return whether every name that holds `other` holds `part` too."""
    return part in other


def _rule(node: Node, name: str) -> Rule:
    entry = table(node, f"a rule of {name}", ("filter", "value"), required=("value",))
    value = entry["value"].value
    part = ""
    if "filter" in entry and not is_nothing(entry["filter"].value):
        part = _filter(entry["filter"].value)
    if not isinstance(value, Scalar | Listing):
        raise value.place.error(f"expected a number for {name}, found {found(value)}")
    return Rule(part, _curve(value, name), node.place)


def _filter(node: Node) -> str:
    part = text(node, "a part of a tensor's name for filter")
    if part == EVERYTHING:
        return ""
    if not _IN_A_NAME.fullmatch(part):
        raise node.place.error(
            f"filter {quoted(part)} matches nothing: it is looked for in names as it stands, no pattern",
            hint="a part of a name, such as self_attn; a rule for each",
        )
    return part


def _curve(node: Node, name: str) -> Curve:
    if not isinstance(node, Listing):
        return Curve((_number(node, name),))
    if not node.items:
        raise node.place.error(f"expected a number for {name}, found an empty list")
    values = tuple(_number(item, name) for item in node.items)
    return Curve(values[:1] if len({fraction(value) for value in values}) == 1 else values)


def _number(node: Node, name: str) -> str:
    if not isinstance(node, Scalar):
        raise node.place.error(f"expected a number for {name}, found {found(node)}")
    written = scalar(node, f"a number for {name}").text.strip()
    digits = written.removeprefix("-") if written.startswith("-") else written.removeprefix("+")
    if not NUMBER.fullmatch(digits) or decimal(digits) is None:
        raise node.place.error(f"expected a number for {name}, found {found(node)}")
    return f"-{digits}" if written.startswith("-") and decimal(digits) else digits


def _whole(node: Node, name: str) -> str:
    number = _number(node, name)
    if fraction(number).denominator != 1:
        raise node.place.error(f"expected a whole number for {name}, found {quoted(number)}")
    return str(fraction(number))


def _flag(node: Node, name: str) -> str:
    word = text(node, f"true or false for {name}").lower()
    if word not in TRUE | FALSE:
        raise node.place.error(f"expected true or false for {name}, found {found(node)}")
    return "true" if word in TRUE else "false"
