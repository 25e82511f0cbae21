"""Numbers in an answer: which one is meant by it, read exactly.

A sign belongs to a number unless a letter, a digit, a point or a closing bracket stands right before it;
commas group digits in threes; a point is followed by digits. The number meant is the first one behind the
last "answer is", "answer:" or "####" (of an equation there, behind its last "="), else the last one of the
answer.
"""

from __future__ import annotations

import re
from decimal import Decimal

_NUMERAL = re.compile(r"(?:(?<![\w.)\]])[-−+])?(?<![\d.])(?:\d{1,3}(?:,\d{3})+(?![\d,]*\d)|\d+)(?:\.\d+)?")
_ANNOUNCED = re.compile(r"(?:\banswer(?:\s+is)?\b(?:\s+is)?\s*:?|####)", re.IGNORECASE)
_SENTENCE = re.compile(r"\n|[.!?](?:\s|$)")


def number_meant(answer: str) -> Decimal | None:
    """Return the number that an answer gives, None where it names none."""
    for found in reversed(list(_ANNOUNCED.finditer(answer))):
        said = _SENTENCE.split(answer[found.end() :].lstrip(), maxsplit=1)[0]
        numbers = numbers_in(said.rpartition("=")[2])
        if numbers:
            return numbers[0]
    numbers = numbers_in(answer)
    return numbers[-1] if numbers else None


def numbers_in(text: str) -> list[Decimal]:
    """Return every number of a text, in its order."""
    return [_decimal(found[0]) for found in _NUMERAL.finditer(text.replace("$", "").replace("*", ""))]


def _decimal(numeral: str) -> Decimal:
    return Decimal(numeral.replace(",", "").replace("−", "-"))
