"""Two texts that grow beside each other, as lines: which of them can no longer change, and which still may.

Text is filled line by line, so that all lines but the last stand once the next one has begun. Widths are
those of a terminal: a Chinese character is two wide.
"""

from __future__ import annotations

from dataclasses import dataclass, field

GUTTER = " │ "
NARROWEST = 28
"""Cells of a column, at least; a narrower terminal shows one answer below the other."""


def width_of(terminal: int) -> int | None:
    """Return the width of each of two columns on a terminal, None where it is too narrow for two."""
    each = (terminal - len(GUTTER)) // 2
    return each if each >= NARROWEST else None


def wrapped(text: str, width: int) -> list[str]:
    """Return a text, without control characters but line breaks, as lines of at most `width` cells."""
    from rich.console import Console
    from rich.text import Text

    console = Console(width=width, file=None, quiet=True)
    lines = Text(text.expandtabs(4)).wrap(console, width, overflow="fold")
    return [line.plain for line in lines]


def beside(left: str, right: str, width: int) -> str:
    """Return a line of two columns."""
    from rich.cells import set_cell_size

    return f"{set_cell_size(left, width)}{GUTTER}{right}".rstrip(" ")


@dataclass
class Columns:
    """Two growing texts; lines that stand are handed out once.

    Attributes:
        width: cells of each.
    """

    width: int
    _lines: list[list[str]] = field(default_factory=lambda: [[], []])
    _ended: list[bool] = field(default_factory=lambda: [False, False])
    _given: int = 0

    def grow(self, side: int, text: str, *, ended: bool) -> list[str]:
        """Take what a side says by now, and return the lines that stand since."""
        self._lines[side] = wrapped(text, self.width)
        self._ended[side] = ended
        standing = self._height(both=True)
        return self._rows(standing)

    def pending(self) -> list[str]:
        """Return the lines that may change yet."""
        return self._shown(self._given, self._height(both=False))

    def _rows(self, until: int) -> list[str]:
        found = self._shown(self._given, until)
        self._given = max(self._given, until)
        return found

    def _height(self, *, both: bool) -> int:
        """Return how many lines there are, or how many of them stand on both sides."""
        longest = max(map(len, self._lines))
        if not both:
            return longest
        return min(
            longest if ended else max(len(lines) - 1, 0)
            for lines, ended in zip(self._lines, self._ended, strict=True)
        )

    def _shown(self, first: int, last: int) -> list[str]:
        left, right = ([*lines, *[""] * (last - len(lines))] for lines in self._lines)
        return [beside(left[row], right[row], self.width) for row in range(first, last)]
