"""The flattened sum of a receipt, `base + 1.5·v − w`, taken apart again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_COEFFICIENT = re.compile(r"(\d[\d.e+-]*(?:/\d+)?)·")
_SIGNS = {" + ": 1, " − ": -1}
_OPEN, _CLOSE = "([{", ")]}"


@dataclass(frozen=True)
class Term:
    """One summand.

    Attributes:
        sign: 1 or −1.
        size: the coefficient without its sign, as it is written; empty for 1.
        text: what is multiplied: a label, or an operator with what it is applied to.
    """

    sign: int
    size: str
    text: str

    @property
    def coefficient(self) -> str:
        """The coefficient as people write it."""
        return ("−" if self.sign < 0 else "") + (self.size or "1")

    def mentions(self, label: str) -> bool:
        """Return whether a label stands in it."""
        return re.search(rf"(?<![\w.+-]){re.escape(label)}(?![\w+−-]|\.\w)", self.text) is not None


def terms(expression: str) -> list[Term]:
    """Return the summands of a flattened sum; brackets are not looked into."""
    return [_term(sign, text) for sign, text in _split(expression.strip()) if text]


def _term(sign: int, text: str) -> Term:
    if text.startswith("−"):
        sign, text = -sign, text[1:]
    found = _COEFFICIENT.match(text)
    return Term(sign, found[1] if found else "", text[found.end() :] if found else text)


def _split(expression: str) -> Iterator[tuple[int, str]]:
    depth, begin, sign, at = 0, 0, 1, 0
    while at < len(expression):
        depth += (expression[at] in _OPEN) - (expression[at] in _CLOSE)
        next_sign = _SIGNS.get(expression[at : at + 3]) if not depth else None
        if next_sign is not None:
            yield sign, expression[begin:at]
            begin, sign = at + 3, next_sign
            at += 3
        else:
            at += 1
    yield sign, expression[begin:]


def coefficient_of(label: str, found: list[Term]) -> str:
    """Return what an input is multiplied by, in words where an operator stands around it, or it cancels."""
    own = [term for term in found if _is_label(term.text, label)]
    if own:
        return ", ".join(term.coefficient for term in own)
    return "inside an operator" if any(term.mentions(label) for term in found) else "cancels out"


def _is_label(text: str, label: str) -> bool:
    return text == label or text.startswith((f"{label} [", f"{label}["))
