"""An expression as it was written, and the errors that point into it.

Columns are those of a terminal: a wide character takes two, a combining one none. What a terminal would act
on instead of showing it is shown as �.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from weightarith.errors import RecipeError, quoted

WINDOW = 100
LONGEST_COMPARED = 80


def _nowhere(_offset: int) -> str:
    return ""


@dataclass(frozen=True)
class Passage:
    """The text of one expression; `where` turns an offset in it into a prefix like `recipe.yaml:8:13: `."""

    text: str
    where: Callable[[int], str] = _nowhere

    def error(self, at: int, message: str, *, hint: str = "") -> RecipeError:
        """Return an error that shows the line of the expression with a caret under the character at `at`."""
        return RecipeError(f"{self.where(at)}{message}\n{self._pointed(at)}", hint=hint)

    def _pointed(self, at: int) -> str:
        start = self.text.rfind("\n", 0, at) + 1
        stop = self.text.find("\n", at)
        line = "".join(_visible(c) for c in self.text[start : stop if stop >= 0 else len(self.text)])
        place = at - start
        while place and line[place : place + 1] and not _width(line[place]):
            place -= 1  # a caret under a combining mark belongs under the letter that carries it
        first = max(0, min(place - WINDOW // 2, len(line) - WINDOW))
        before = ("…" if first else "") + line[first:place]
        after = line[place : first + WINDOW] + ("…" if len(line) > first + WINDOW else "")
        return f"  {before}{after}\n  {' ' * sum(map(_width, before))}^"


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint with the known word most like `word`, or an empty one where none is like it."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6) if len(word) <= LONGEST_COMPARED else []
    return f"{quoted(close[0])} instead of {quoted(word)}" if close else ""


def listed(words: Collection[str], limit: int = 12) -> str:
    """Return `a, b, c` for the first `limit` words, and how many more there are."""
    shown = ", ".join(word if len(word) <= LONGEST_COMPARED else quoted(word) for word in list(words)[:limit])
    return shown if len(words) <= limit else f"{shown} and {len(words) - limit} more"


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else "�"


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me") or "\u1160" <= character <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
