"""A plain warning where what keeps a model safe and honest was taken away, told by what inputs are called.

A term counts against alignment where its coefficient is negative and its name speaks of refusing, safety or
honesty, or where it is positive and its name speaks of the opposite. The two sides of a contrast are told by
their endings: to subtract `refusal-` is to add refusing. Names are all there is to go by: silence proves
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from weightarith.card.markdown import code
from weightarith.card.terms import Term

GUARDS = re.compile(
    r"refus\w*|safe|safer|safety|harmless\w*|honest\w*|truthful\w*|aligned|alignment|guard\w*|moderat\w*|"
    r"ethic\w*|unbias\w*"
)
HARMS = re.compile(
    r"harmful\w*|toxic\w*|jailbr\w*|uncensor\w*|ablit\w*|unsafe\w*|misalign\w*|unaligned|decei\w*|decept\w*|"
    r"dishonest\w*|evil\w*|malicious\w*|sycophan\w*|racis\w*|sexis\w*"
)
OTHER_SIDE = re.compile(r"negative|neg|minus|anti|non|no|not|without|un")
"""Words that stand at the beginning or the end of a name and turn it round."""
TAKING_AWAY = ("reject(", "abliterate(")
"""Operators that take a direction out of what they are applied to."""


def cautions(kind: str, found: Sequence[Term], names: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a sentence for each term that counts against alignment.

    Args:
        kind: `checkpoint`, `vector` or `adapter`.
        found: the summands.
        names: by the label of each input what else it is called.
    """
    told: dict[str, None] = {}
    for term in found:
        for label, called in names.items():
            if term.mentions(label):
                told |= dict.fromkeys(_about(kind, term, label, (label, *called)))
        if "abliterate(" in term.text:
            told["A direction was taken out of the weights (abliterate)."] = None
    return list(told)


def _about(kind: str, term: Term, label: str, names: Sequence[str]) -> Iterator[str]:
    taken = any(operator in term.text for operator in TAKING_AWAY)
    for name in names:
        sign = -1 if taken else term.sign
        guards, harms = _word(GUARDS, name), _word(HARMS, name)
        word = guards if sign * side(name) < 0 else harms
        if word:
            yield _sentence(
                kind, label, name, word, "take out" if taken else "add" if sign > 0 else "subtract"
            )


def side(name: str) -> int:
    """Return 1, or −1 where a name is that of the other side: `refusal-`, `honest-negative`, `non-toxic`."""
    words = _words(name)
    turned = bool(words) and any(OTHER_SIDE.fullmatch(word) for word in {words[0], words[-1]})
    return -1 if turned or name.rstrip("/").endswith(("-", "−")) else 1


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+", name.lower())


def _word(pattern: re.Pattern[str], name: str) -> str:
    return next((word for word in _words(name) if pattern.fullmatch(word)), "")


def _sentence(kind: str, label: str, name: str, word: str, verb: str) -> str:
    shown = code(label) + (f" ({code(name)})" if name != label else "")
    whose = "which speaks of" if side(name) > 0 else "the other side of"
    if kind == "checkpoint":
        done = {"subtract": "was subtracted", "add": "was added", "take out": "was taken out"}[verb]
        return f"{shown}, {whose} “{word}”, {done}."
    done = {"subtract": "subtracts", "add": "adds", "take out": "takes out"}[verb]
    return f"With a positive strength this {done} {shown}, {whose} “{word}”."
