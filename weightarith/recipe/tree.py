"""The syntax tree of an expression; every node knows where in the text it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written, exactly."""

    value: Fraction
    at: int


@dataclass(frozen=True, slots=True)
class Name:
    """A name, to be looked up."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Text:
    """A text in quotes, an argument of a function."""

    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Items:
    """A list in brackets, an argument of a function."""

    items: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Negated:
    """A value with its sign turned."""

    operand: Node
    at: int


@dataclass(frozen=True, slots=True)
class Step:
    """One operand of a chain, and the mark before it with its place."""

    mark: str
    at: int
    operand: Node


@dataclass(frozen=True, slots=True)
class Added:
    """`a + b − c …`; the mark of the first step is `+`."""

    steps: tuple[Step, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Multiplied:
    """`a * b / c …`; the mark of the first step is `*`."""

    steps: tuple[Step, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Call:
    """`function(arguments, option=value)`."""

    function: str
    arguments: tuple[Node, ...]
    options: tuple[tuple[Name, Node], ...]
    at: int


Node = Number | Name | Text | Items | Negated | Added | Multiplied | Call


def walk(tree: Node) -> Iterator[Node]:
    """Yield every node of the tree, in no particular order."""
    waiting: list[Node] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        match node:
            case Items(items):
                waiting.extend(items)
            case Negated(operand):
                waiting.append(operand)
            case Added(steps) | Multiplied(steps):
                waiting.extend(step.operand for step in steps)
            case Call(_, arguments, options):
                waiting.extend((*arguments, *(value for _, value in options)))
            case _:
                pass
