"""Values of a recipe, each read as what is wanted where it stands, or an error that tells what was found."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import TypeVar

from weightarith.errors import RecipeError, quoted
from weightarith.recipe.caret import Passage, listed, nearest
from weightarith.recipe.strictyaml import Entry, Listing, Node, Scalar, Table

T = TypeVar("T", bound=str)

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})


def found(node: Node) -> str:
    """Return what `node` is, in words."""
    match node:
        case Scalar(text):
            return "nothing" if is_nothing(node) else quoted(text)
        case Listing(items):
            return f"a list of {len(items)}"
        case Table():
            return "a mapping (key: value)"


def is_nothing(node: Node) -> bool:
    """Return whether a value was left out, or written as null."""
    return isinstance(node, Scalar) and node.plain and node.text in _NOTHING


def wrong(node: Node, what: str, *, hint: str = "") -> RecipeError:
    """Return the error for a value that is not `what` was expected."""
    return node.place.error(f"expected {what}, found {found(node)}", hint=hint)


def table(node: Node, what: str, known: Collection[str], required: Collection[str] = ()) -> dict[str, Entry]:
    """Return the entries of a mapping that has every required key and no unknown one.

    Raises:
        RecipeError: it is something else, or a key is unknown or missing.
    """
    entries = mapping(node, what)
    for key, entry in entries.items():
        if key not in known:
            keys = f"keys of {what} are {listed(known, len(known))}"
            raise entry.place.error(f"unknown key {quoted(key)}; {keys}", hint=nearest(key, known))
    for key in required:
        if key not in entries:
            raise node.place.error(f"{what} needs the key {key}")
    return entries


def mapping(node: Node, what: str) -> dict[str, Entry]:
    """Return the entries of a mapping with any keys.

    Raises:
        RecipeError: it is something else.
    """
    if not isinstance(node, Table):
        raise wrong(node, f"{what}, a mapping (key: value)")
    return node.entries


def listing(node: Node, what: str) -> Iterator[Node]:
    """Yield the items of a list of at least one.

    Raises:
        RecipeError: it is something else, or empty.
    """
    if not isinstance(node, Listing):
        raise wrong(node, f"{what}, a list")
    if not node.items:
        raise node.place.error(f"expected {what}, found an empty list", hint="leave the key out")
    return iter(node.items)


def one_or_more(node: Node, what: str) -> Iterator[Scalar]:
    """Yield the texts of a list, or the one text that stands there without a list around it.

    Raises:
        RecipeError: an item is no text.
    """
    for item in listing(node, what) if isinstance(node, Listing) else (node,):
        yield scalar(item, what)


def scalar(node: Node, what: str) -> Scalar:
    """Return a text that is not empty and holds no control character.

    Raises:
        RecipeError: it is something else.
    """
    if not isinstance(node, Scalar) or is_nothing(node) or not node.text.strip():
        raise wrong(node, what)
    return node


def text(node: Node, what: str) -> str:
    """Return a line of text without control characters.

    Raises:
        RecipeError: it is something else.
    """
    value = scalar(node, what).text
    if hidden := _UNPRINTABLE.search(value):
        raise node.place.error(f"{what} holds the control character U+{ord(hidden[0]):04X}")
    return value


def choice(node: Node, what: str, options: tuple[T, ...]) -> T:
    """Return the option that `node` names.

    Raises:
        RecipeError: it names none.
    """
    word = text(node, what)
    for option in options:
        if option == word:
            return option
    raise node.place.error(
        f"expected {what} to be {' or '.join(options)}, found {quoted(word)}", hint=nearest(word, options)
    )


def passage(node: Node, what: str) -> Passage:
    """Return the text of an expression, with its place in the file.

    Raises:
        RecipeError: the value is no text.
    """
    value = scalar(node, what)
    return Passage(value.text, lambda offset: f"{value.where(offset)}: ")
