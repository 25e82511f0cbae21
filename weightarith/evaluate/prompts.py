"""The data of metrics that ask: JSON Lines, each a prompt and what else the metric wants to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from weightarith.data import Conversation
from weightarith.data.lines import Line, read_lines
from weightarith.data.read import conversation_of
from weightarith.errors import quoted

KEYS = ("prompt", "system", "id", "topic")

Extra = TypeVar("Extra")


@dataclass(frozen=True)
class Prompt:
    """What is asked, under an identifier that no other prompt of the file has."""

    item: str  # its "id", or the number of its line
    conversation: Conversation


def read_prompts(path: Path) -> list[Prompt]:
    """Return the prompts of a file.

    Raises:
        InvalidFileError: names the line and what is wrong with it.
    """
    return [prompt for prompt, _ in read_prompts_with(path, (), lambda _line: None)]


def read_prompts_with(
    path: Path, keys: tuple[str, ...], read: Callable[[Line], Extra]
) -> list[tuple[Prompt, Extra]]:
    """Return the prompts of a file, each with what `read` finds in its line under other `keys`.

    Raises:
        InvalidFileError: names the line and what is wrong with it.
    """
    seen: dict[str, int] = {}

    def row(line: Line) -> tuple[Prompt, Extra]:
        line.only(*KEYS, *keys)
        line.text("topic", "")
        item = line.text("id", str(line.number))
        if item in seen:
            line.refuse(f"the id {quoted(item)} stands in line {seen[item]} already")
        seen[item] = line.number
        return Prompt(item, conversation_of(line)), read(line)

    return read_lines(path, row)
