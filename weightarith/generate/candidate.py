"""An answer that was made, and what is wrong with it whatever the trait is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from weightarith.data import Example
from weightarith.data.checks import bare
from weightarith.data.degenerate import degenerate
from weightarith.data.markers import spoken
from weightarith.generate.plan import Asked


@dataclass(frozen=True)
class Candidate:
    """An answer, with what was asked."""

    asked: Asked
    said: str
    ended: bool  # False where it was cut at the limit

    @property
    def answer(self) -> str:
        """What is said to the user: reasoning before it is left out."""
        return spoken(self.said)

    @property
    def example(self) -> Example:
        """What is trained on."""
        return Example(self.asked.bare, self.answer)


def broken(candidates: Sequence[Candidate], *, keep_cut: bool) -> list[str]:
    """Return why each candidate is no use: degenerate, cut, or said before on its side; "" for the others."""
    seen: set[tuple[str, str, str]] = set()
    found = []
    for one in candidates:
        row = one.asked.side, one.asked.question, bare(one.answer)
        reason = ""
        if degenerate(one.answer, one.asked.question):
            reason = "degenerate"
        elif not one.ended and not keep_cut:
            reason = "cut at the limit"
        elif row in seen:
            reason = "said before"
        else:
            seen.add(row)
        found.append(reason)
    return found
