"""Expression text to a syntax tree in which every name and every function is known."""

from __future__ import annotations

from collections.abc import Collection

from weightarith.errors import RecipeError, quoted
from weightarith.recipe.calls import FUNCTIONS
from weightarith.recipe.caret import Passage, listed, nearest
from weightarith.recipe.expression import parse
from weightarith.recipe.tree import Call, Name, Node, walk

WORDS = ("true", "false")
"""Names that stand for themselves, unless a recipe declares them."""


def read_expression(
    passage: Passage,
    known: Collection[str],
    whose: str = "this expression has",
    functions: Collection[str] = FUNCTIONS.keys(),
) -> Node:
    """Return the syntax tree of an expression in which the names `known` may occur.

    Args:
        passage: the text.
        known: the names that mean something.
        whose: what an error puts before the list of them.
        functions: the functions that mean something.

    Raises:
        RecipeError: the text is no expression, or the first name or function in it that nobody knows.
    """
    tree = parse(passage, known)
    strangers = [
        node
        for node in walk(tree)
        if (isinstance(node, Name) and node.name not in known and node.name not in WORDS)
        or (isinstance(node, Call) and node.function not in functions)
    ]
    if not strangers:
        return tree
    first = min(strangers, key=lambda node: node.at)
    if isinstance(first, Call):
        raise _unknown_function(first, passage, known, functions)
    raise _unknown_name(first.name, first.at, passage, known, whose)


def names_in(tree: Node) -> frozenset[str]:
    """Return every name that the tree looks up."""
    return frozenset(node.name for node in walk(tree) if isinstance(node, Name))


def _unknown_name(name: str, at: int, passage: Passage, known: Collection[str], whose: str) -> RecipeError:
    has = f"{whose} {listed(known) if known else 'none'}"
    if name in FUNCTIONS:
        return passage.error(at, f"{name} is a function, not a name; {has}", hint=f"{name}(…)")
    return passage.error(at, f"unknown name {quoted(name)}; {has}", hint=nearest(name, known))


def _unknown_function(
    call: Call, passage: Passage, known: Collection[str], functions: Collection[str]
) -> RecipeError:
    if call.function in known:
        hint = f"write * to multiply: {call.function} * (…)"
        return passage.error(call.at, f"{quoted(call.function)} is a name, not a function", hint=hint)
    listing = "weightarith operators lists them; one of your own comes with --operators FILE"
    hint = nearest(call.function, functions) or listing
    return passage.error(call.at, f"unknown function {quoted(call.function)}", hint=hint)
