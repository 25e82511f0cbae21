"""Tokens of an expression: names, numbers, texts and marks, each with its place.

A name may end in + or −, so the names that are declared decide how a text is cut: the longest declared name
is taken, but not where an operand follows its sign. With `a`, `a+` and `b` declared, `a+b` is a plus b and
`a+ − b` is a+ minus b.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from weightarith.numbers import NUMBER
from weightarith.recipe.caret import Passage

LONGEST = 1 << 16

MOST_SIGNS = 8
NAME = re.compile(rf"[^\W\d]\w*[+-]{{0,{MOST_SIGNS}}}")
NAMING = "a name is letters, digits and _, not a digit first, and may end in + or -"
_WORD = re.compile(r"[^\W\d]\w*")
_SIGNS = re.compile(r"[+\-−]*")
_SPACE = re.compile(r"\s*")
_RUN = re.compile(r"[\w.]*")
_MARKS = {mark: mark for mark in "+-*/()[],="} | {"−": "-", "÷": "/", "·": "*", "×": "*"}
_MARKS |= {"\N{DOT OPERATOR}": "*", "\N{ASTERISK OPERATOR}": "*", "\N{DIVISION SLASH}": "/"}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of an expression, from `at` up to `stop`; marks and signs are spelled in ASCII."""

    kind: Literal["name", "number", "text", "mark", "end"]
    text: str
    at: int
    stop: int


def canonical(name: str) -> str:
    """Return `name` with its trailing minus signs (U+2212) spelled as `-`."""
    return name.replace("−", "-")


def tokenize(passage: Passage, declared: Collection[str]) -> list[Token]:
    """Return the tokens of an expression, the last of kind `end`.

    Raises:
        RecipeError: the text is over 64 KiB, or holds a character that has no meaning here.
    """
    text = passage.text
    if len(text) > LONGEST:
        raise passage.error(LONGEST, f"an expression of {len(text)} characters; at most {LONGEST} are read")
    tokens: list[Token] = []
    at = _after_space(text, 0)
    while at < len(text):
        token = _next(passage, at, declared)
        tokens.append(token)
        at = _after_space(text, token.stop)
    end = len(text.rstrip())
    return [*tokens, Token("end", "", end, end)]


def _next(passage: Passage, at: int, declared: Collection[str]) -> Token:
    text = passage.text
    character = text[at]
    if word := _WORD.match(text, at):
        return _name(text, word[0], at, declared)
    if NUMBER.match(text, at):
        return _number(passage, at)
    if character in "\"'":
        stop = text.find(character, at + 1)
        if stop < 0 or "\n" in text[at:stop]:
            raise passage.error(at, f"the text that starts here has no closing {character}")
        return Token("text", text[at + 1 : stop], at, stop + 1)
    if character in _MARKS:
        return Token("mark", _MARKS[character], at, at + 1)
    shown = f"'{character}'" if character.isprintable() else f"U+{ord(character):04X}"
    called = unicodedata.name(character, "")
    raise passage.error(at, f"unexpected character {shown}{f' ({called})' if called else ''}")


def _name(text: str, word: str, at: int, declared: Collection[str]) -> Token:
    stop = at + len(word)
    found = _SIGNS.match(text, stop)
    signs = canonical(found[0]) if found else ""
    for count in range(min(len(signs), MOST_SIGNS), -1, -1):
        name = word + signs[:count]
        if name in declared and not (count and _operand_follows(text, stop + count)):
            return Token("name", name, at, stop + count)
    # an undeclared name takes the signs that can be no operator, so that an error shows it as it was meant
    if signs and not _operand_follows(text, stop + len(signs)):
        return Token("name", word + signs, at, stop + len(signs))
    return Token("name", word, at, stop)


def _number(passage: Passage, at: int) -> Token:
    text = passage.text
    found = NUMBER.match(text, at)
    stop = found.end() if found else at
    rest = _RUN.match(text, stop)
    if rest and rest[0]:
        word = text[at : rest.end()]
        if _WORD.match(rest[0]) and rest[0][0] not in "_eE":
            hint = f"write * to multiply: {text[at:stop]}*{rest[0]}"
            raise passage.error(stop, "two values with nothing between them", hint=hint)
        hint = f"write {word.replace('_', '')}; digits are not grouped" if "_" in word else ""
        raise passage.error(at, f"'{word[:40]}' is not a number", hint=hint)
    return Token("number", text[at:stop], at, stop)


def _operand_follows(text: str, at: int) -> bool:
    at = _after_space(text, at)
    return text[at : at + 1] in set("([\"'") or bool(_WORD.match(text, at) or NUMBER.match(text, at))


def _after_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at
