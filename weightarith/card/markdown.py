"""Markdown whose text cannot become markup: names come from strangers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~&])")


def plain(text: str) -> str:
    """Return text on one line that no reader of Markdown takes for markup."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return _SPECIAL.sub(r"\\\1", line)


def code(text: str) -> str:
    """Return text on one line as code, also within a table."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    ticks = "`" * (_longest(line, "`") + 1)
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{space}{line}{space}{ticks}".replace("|", r"\|") if line else ""


def block(text: str, language: str = "") -> str:
    """Return text as a fenced block."""
    fence = "`" * max(3, _longest(text, "`") + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> str:
    """Return a table of cells that are Markdown already; the last `numbers` columns are set to the right."""
    rules = ["---"] * (len(head) - numbers) + ["---:"] * numbers
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rules, *rows))


def _longest(text: str, mark: str) -> int:
    return max((len(run) for run in re.findall(f"{re.escape(mark)}+", text)), default=0)
