"""What a file of data holds, whichever kind it is, and which prompts two files share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from weightarith.data.checks import asked_in, bare
from weightarith.data.conversation import Example, Pair
from weightarith.data.lines import Line, read_lines
from weightarith.data.read import conversation_of, read_examples, read_pairs
from weightarith.errors import quoted

Kind = Literal["pairs", "chats", "prompts"]
ASKING = ("prompt", "question", "statement", "text")
"""Keys under which files of other kinds keep what is asked, the first that there is."""


@dataclass(frozen=True)
class Holding:
    """A file and its rows.

    Attributes:
        path: the file.
        kind: "pairs" and "chats" are training data; "prompts" is any other JSON Lines that asks something.
        rows: pairs, examples, or nothing where the kind is "prompts".
        asked: what each row asks, in the order of the lines.
    """

    path: Path
    kind: Kind
    rows: tuple[Pair, ...] | tuple[Example, ...]
    asked: tuple[str, ...]


@dataclass(frozen=True)
class Shared:
    """A prompt that two files have, but for case, marks and spaces."""

    asked: str
    training: tuple[str, int]  # file and line
    evaluation: tuple[str, int]


def holding(path: Path) -> Holding:
    """Return what a file holds; its first line tells the kind, and the rest are of it.

    Raises:
        InvalidFileError: names the line and what is wrong with it.
    """
    first = read_lines(path, lambda line: line)[0].content
    if "messages" in first:
        examples = tuple(read_examples(path))
        return Holding(path, "chats", examples, tuple(map(asked_in, examples)))
    if "positive" in first or "negative" in first:
        pairs = tuple(read_pairs(path))
        return Holding(path, "pairs", pairs, tuple(asked_in(pair.sides[0]) for pair in pairs))
    return Holding(path, "prompts", (), tuple(read_lines(path, _asked)))


def shared(training: Sequence[Holding], evaluation: Sequence[Holding]) -> tuple[Shared, ...]:
    """Return every prompt of `evaluation` that is trained on: it says nothing about what was generalised."""
    known: dict[str, tuple[str, int]] = {}
    for one in training:
        for line, asked in enumerate(one.asked, 1):
            known.setdefault(asked, (str(one.path), line))
    return tuple(
        Shared(asked, known[asked], (str(one.path), line))
        for one in evaluation
        for line, asked in enumerate(one.asked, 1)
        if asked in known
    )


def _asked(line: Line) -> str:
    if isinstance(line.content.get("prompt"), list):
        return asked_in(Example(conversation_of(line), ""))
    for key in ASKING:
        found: Any = line.content.get(key)
        if isinstance(found, str) and found.strip():
            break
    else:
        line.refuse(
            f"nothing is asked in it: none of {', '.join(map(quoted, ASKING))} is a text",
            "a pair, a chat, or a row with a prompt is expected",
        )
    return bare(found)
