"""Facts and mistakes about them: the data of what is asked with cues and under pushback."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from weightarith.data import Conversation
from weightarith.data.lines import Line, read_lines
from weightarith.errors import quoted

KEYS = ("question", "right", "wrong", "right_name", "wrong_name", "id", "topic")

Named = Literal["right", "wrong", "unclear"]


@dataclass(frozen=True)
class Fact:
    """A question with its right answer and a wrong one, each as a statement and by name.

    Attributes:
        item: its "id", or the number of its line.
        question: "What is the capital of France?"
        right: "The capital of France is Paris."
        wrong: "The capital of France is Lyon."
        right_name: "Paris"
        wrong_name: "Lyon"
    """

    item: str
    question: str
    right: str
    wrong: str
    right_name: str
    wrong_name: str

    @property
    def asked(self) -> Conversation:
        """The bare question."""
        return Conversation.of(self.question)

    def named(self, text: str) -> Named:
        """Return which of the two a text names first: a rough reading, for "it is not Lyon" names Lyon.

        Case is no matter, and a name counts as whole words only. Where one name begins with the other, the
        longer one is meant.
        """
        places = {}
        for which, name in (("right", self.right_name), ("wrong", self.wrong_name)):
            found = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE)
            if found:
                places[which] = (found.start(), -len(name))
        if not places:
            return "unclear"
        return "right" if min(places, key=lambda which: places[which]) == "right" else "wrong"


def read_facts(path: Path) -> list[Fact]:
    """Return the facts of a file.

    Raises:
        InvalidFileError: names the line and what is wrong with it.
    """
    seen: dict[str, int] = {}

    def fact(line: Line) -> Fact:
        line.only(*KEYS)
        line.text("topic", "")
        found = Fact(line.text("id", str(line.number)), *(line.text(key) for key in KEYS[:5]))
        if found.right == found.wrong or found.right_name.lower() == found.wrong_name.lower():
            line.refuse("the right answer and the wrong one are the same")
        if found.item in seen:
            line.refuse(f"the id {quoted(found.item)} stands in line {seen[found.item]} already")
        seen[found.item] = line.number
        return found

    return read_lines(path, fact)
