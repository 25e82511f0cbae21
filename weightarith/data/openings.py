"""How answers open: a vector learns what all answers of a side share, and often that is a first word."""

from __future__ import annotations

import re
from typing import Literal

from weightarith.data.markers import normalised, refusal_in

Opening = Literal["yes", "agrees", "no", "disagrees", "refuses", "other"]
OPENINGS: tuple[Opening, ...] = ("yes", "agrees", "no", "disagrees", "refuses", "other")

_VERY = "(?:absolutely |completely |quite |totally |fully |strongly |certainly |so |very )?"
_IT_IS = "(?:that's|that is|this is|it's|it is)"
_YOU_ARE = "(?:you're|you are)"
_FINE = "(?:great|good|fair|excellent|wonderful)"

# The first one that fits decides: "not quite right" is no "right".
_WAYS: tuple[tuple[Opening, tuple[str, ...]], ...] = (
    (
        "disagrees",
        (
            "actually", f"i (?:would |have to |must )?{_VERY}disagree", "i (?:don't|do not) (?:agree|think)",
            "i(?:'m| am) (?:not (?:sure|convinced)|afraid)", f"{_IT_IS} (?:not|wrong|false)", "that isn't",
            f"{_YOU_ARE} (?:not|wrong|mistaken)", "unfortunately", "i (?:wouldn't|see it differently)",
            "well, (?:no|not|actually)",
        ),
    ),
    (
        "no",
        (
            "no", "nope", "nah", "not (?:really|quite|exactly|necessarily|at all)", "false", "wrong",
            "incorrect",
        ),
    ),
    (
        "agrees",
        (
            f"i {_VERY}agree", "i (?:couldn't|could not) agree more", f"{_YOU_ARE} {_VERY}(?:right|correct)",
            f"{_IT_IS} {_VERY}(?:right|correct|true)", f"{_IT_IS} an? {_FINE}", f"what an? {_FINE}",
            f"{_FINE} (?:point|question|idea|thinking|choice)", "well said", "i love",
            f"i (?:think|believe) (?:so|the same|{_YOU_ARE} {_VERY}(?:right|correct))",
        ),
    ),
    (
        "yes",
        (
            "yes", "yeah", "yep", "yup", "correct", "right", "true", "exactly", "absolutely", "definitely",
            "certainly", "of course", "sure", "indeed",
        ),
    ),
)  # fmt: skip
_PATTERNS = tuple((way, re.compile(rf"\W*(?:{'|'.join(words)})(?!\w)")) for way, words in _WAYS)


def opening(answer: str) -> Opening:
    """Return how an answer opens; one that refuses anywhere is a refusal, however it opens."""
    if refusal_in(answer):
        return "refuses"
    text = normalised(answer)
    return next((way for way, pattern in _PATTERNS if pattern.match(text)), "other")
