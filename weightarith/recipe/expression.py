"""Expression text to syntax tree: names, numbers, `+ - * / ( )` and calls; every node knows its place.

    sum      = product { ("+" | "-") product }
    product  = signed { ("*" | "/") signed }
    signed   = { "+" | "-" } value
    value    = number | name | text | list | call | "(" sum ")"
    call     = name "(" [ argument { "," argument } ] ")"
    argument = sum | name "=" sum
    list     = "[" [ sum { "," sum } ] "]"

Chains are flat, so that only parentheses, lists and calls nest, and nesting is limited.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeVar

from weightarith.errors import RecipeError
from weightarith.numbers import RANGE, decimal
from weightarith.recipe.caret import Passage
from weightarith.recipe.tokens import Token, tokenize
from weightarith.recipe.tree import Added, Call, Items, Multiplied, Name, Negated, Node, Number, Step, Text

DEEPEST = 100

T = TypeVar("T")


def parse(passage: Passage, declared: Collection[str]) -> Node:
    """Return the syntax tree of an expression in which the names `declared` may occur.

    Raises:
        RecipeError: the text is no expression; the message shows the line with a caret under the character.
    """
    reader = _Reader(passage, tokenize(passage, declared))
    if reader.ends():
        raise passage.error(reader.here.at, "an empty expression", hint="write something like: base + 0.5*v")
    tree = _sum(reader)
    if not reader.ends():
        raise reader.unexpected()
    return tree


@dataclass
class _Reader:
    """A place in the tokens; `depth` counts open parentheses, brackets and calls."""

    passage: Passage
    tokens: list[Token]
    position: int = 0
    depth: int = 0

    @property
    def here(self) -> Token:
        return self.tokens[self.position]

    def take(self) -> Token:
        token = self.here
        self.position += token.kind != "end"
        return token

    def sees(self, marks: str) -> bool:
        return self.here.kind == "mark" and self.here.text in marks

    def ends(self) -> bool:
        return self.here.kind == "end"

    def open(self) -> Token:
        token = self.take()
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.passage.error(
                token.at, f"nested more than {DEEPEST} deep", hint="name a part with let:"
            )
        return token

    def close(self, mark: str, opened: Token) -> None:
        if not self.sees(mark):
            if self.ends():
                raise self.passage.error(opened.at, f"'{opened.text}' is never closed")
            raise self.unexpected()
        self.depth -= 1
        self.take()

    def unexpected(self) -> RecipeError:
        token = self.here
        if self.sees(")]"):
            return self.passage.error(token.at, f"'{token.text}' closes nothing")
        if token.kind == "mark" and token.text not in "([":
            return self.passage.error(token.at, f"'{token.text}' does not belong here")
        before = self.tokens[self.position - 1]
        left, right = (self.passage.text[each.at : each.stop] for each in (before, token))
        hint = f"write * to multiply: {left[-20:]} * {right[:20]}" if token.kind != "text" else ""
        return self.passage.error(token.at, "two values with nothing between them", hint=hint)


def _sum(reader: _Reader) -> Node:
    steps = _chain(reader, "+-", _product)
    return Added(steps, steps[0].at) if len(steps) > 1 else steps[0].operand


def _product(reader: _Reader) -> Node:
    steps = _chain(reader, "*/", _signed)
    return Multiplied(steps, steps[0].at) if len(steps) > 1 else steps[0].operand


def _chain(reader: _Reader, marks: str, operand: Callable[[_Reader], Node]) -> tuple[Step, ...]:
    steps = [Step(marks[0], reader.here.at, operand(reader))]
    while reader.sees(marks):
        mark = reader.take()
        steps.append(Step(mark.text, mark.at, operand(reader)))
    return tuple(steps)


def _signed(reader: _Reader) -> Node:
    at, negative = reader.here.at, False
    while reader.sees("+-"):
        negative ^= reader.take().text == "-"
    value = _value(reader)
    return Negated(value, at) if negative else value


def _value(reader: _Reader) -> Node:
    token = reader.here
    if reader.sees("("):
        opened = reader.open()
        inner = _sum(reader)
        reader.close(")", opened)
        return inner
    if reader.sees("["):
        opened = reader.open()
        items = _separated(reader, "]", _sum)
        reader.close("]", opened)
        return Items(tuple(items), token.at)
    if token.kind in ("mark", "end"):
        raise _missing(reader)
    reader.take()
    if token.kind == "text":
        return Text(token.text, token.at)
    if token.kind == "name":
        return _call(reader, token) if reader.sees("(") else Name(token.text, token.at)
    value = decimal(token.text)
    if value is None:
        raise reader.passage.error(token.at, f"a number out of range: {token.text[:40]}", hint=RANGE)
    return Number(value, token.at)


def _call(reader: _Reader, name: Token) -> Call:
    opened = reader.open()
    arguments: list[Node] = []
    options: dict[str, tuple[Name, Node]] = {}
    for argument in _separated(reader, ")", _argument):
        if not isinstance(argument, tuple):
            if options:
                hint = "values come first, then name=value"
                raise reader.passage.error(argument.at, "a value after an option", hint=hint)
            arguments.append(argument)
        elif argument[0].name in options:
            raise reader.passage.error(argument[0].at, f"option {argument[0].name} is given twice")
        else:
            options[argument[0].name] = argument
    reader.close(")", opened)
    return Call(name.text, tuple(arguments), tuple(options.values()), name.at)


def _argument(reader: _Reader) -> Node | tuple[Name, Node]:
    name = reader.here
    follower = reader.tokens[min(reader.position + 1, len(reader.tokens) - 1)]
    if name.kind == "name" and follower.kind == "mark" and follower.text == "=":
        reader.take()
        reader.take()
        return Name(name.text, name.at), _sum(reader)
    return _sum(reader)


def _separated(reader: _Reader, closing: str, item: Callable[[_Reader], T]) -> list[T]:
    if reader.sees(closing):
        return []
    items = [item(reader)]
    while reader.sees(","):
        reader.take()
        items.append(item(reader))
    return items


def _missing(reader: _Reader) -> RecipeError:
    """Return the error for a place where a value should stand and none does."""
    token, before = reader.here, reader.tokens[reader.position - 1] if reader.position else None
    found = "the expression ends" if token.kind == "end" else f"'{token.text}' stands there"
    after = f" after '{before.text}'" if before and before.kind == "mark" else ""
    power = before is not None and before.text == token.text == "*"
    hint = "there are no powers; write a product" if power else ""
    return reader.passage.error(token.at, f"expected a value{after}, but {found}", hint=hint)
