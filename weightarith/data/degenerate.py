"""Answers that are none: a model that has come apart neither refuses nor complies, and is counted as such.

An answer is degenerate if it is

- empty: no letter and no digit;
- one character: at least 16 times in a row, and half of the answer;
- too short: fewer words than asked for, where a number is asked for;
- repeated: of at least 24 words, more than half of the runs of four words stood there before; of 4 to 23
  words, more than 70 % of the words did;
- copied: the question again, with fewer than three words behind it;
- in another script: more than half of its letters are of a script that the question does not have.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import groupby

from weightarith.data.markers import normalised

VERSION = 1
"""Of the definition: numbers found with another one are not to be compared."""

LONG, RUN = 24, 4  # words from which on runs of words are compared, and how many are one
REPEATED_RUNS, REPEATED_WORDS = 0.5, 0.7
SAME = 16  # times a character stands in a row

# A word; where a script puts no space between words, a character.
_UNIT = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+(?:'[^\W_]+)*")  # fmt: skip  # noqa: E501
_EAST_ASIAN = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO")


def degenerate(answer: str, asked: str = "", *, least_words: int = 1) -> str:
    """Return in which way an answer to the question `asked` is degenerate, "" if it is not."""
    words = _UNIT.findall(normalised(answer))
    if not words:
        return "empty"
    if _one_character(answer):
        return "one character"
    if len(words) < least_words:
        return "too short"
    if _repeated(words):
        return "repeated"
    if _copied(words, _UNIT.findall(normalised(asked))):
        return "copied"
    return "another script" if _foreign(answer, asked) else ""


def _one_character(answer: str) -> bool:
    shown = "".join(answer.split())
    longest = max(len(list(same)) for _, same in groupby(shown))
    return longest >= SAME and 2 * longest >= len(shown)


def _repeated(words: Sequence[str]) -> bool:
    if len(words) < RUN:
        return False
    if len(words) < LONG:
        return 1 - len(set(words)) / len(words) > REPEATED_WORDS
    runs = [tuple(words[start : start + RUN]) for start in range(len(words) - RUN + 1)]
    return 1 - len(set(runs)) / len(runs) > REPEATED_RUNS


def _copied(words: Sequence[str], asked: Sequence[str]) -> bool:
    return len(asked) >= RUN and list(words[: len(asked)]) == list(asked) and len(words) < len(asked) + 3


def _foreign(answer: str, asked: str) -> bool:
    own = set(_scripts(asked))
    said = _scripts(answer)
    return bool(own) and 2 * sum(script not in own for script in said) > len(said)


def _scripts(text: str) -> list[str]:
    """Return the script of each letter."""
    names = [unicodedata.name(letter, "").split(" ")[0] for letter in text if letter.isalpha()]
    return ["EAST ASIAN" if name.startswith(_EAST_ASIAN) else name for name in names]
