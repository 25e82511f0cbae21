"""What is needed of files from afar, cut into spans that are fetched at once, in the order of first use."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from sys import maxsize

from weightarith.hub.ranges import Remote

SPAN = 16 << 20
"""Bytes of a span, at most: few enough to hold several, enough that a request is worth its round trip."""

SOON = 16
"""Steps between two tensors that are fetched at once, at most: about as many as a layer has."""

Part = tuple[Remote, int, int]
"""A file, and where its bytes that are needed start and stop."""


@dataclass(eq=False)
class Span:
    """Adjacent bytes of a file that are fetched at once; what is known of them is the feed's to change."""

    file: Remote
    start: int
    stop: int
    first: tuple[int, float] = (0, 0.0)  # which step needs it first, and how far in
    left: int = 0  # bytes still to be read of it, each as often as it was announced
    data: bytearray | None = field(default=None, repr=False)
    fetching: bool = False
    readers: int = 0  # that wait for `data` or are at work in it
    used: int = 0  # when it was last read

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.stop - self.start


class Spans:
    """The spans of a run, by file and in the order in which they are needed."""

    def __init__(self, needed: Iterable[Sequence[Part]]) -> None:
        parts: dict[str, list[tuple[int, int, int]]] = {}
        files: dict[str, Remote] = {}
        for step, together in enumerate(needed):
            for file, begin, stop in together:
                start = max(begin, len(file.head))
                if start < stop:
                    files.setdefault(file.content, file)
                    parts.setdefault(file.content, []).append((start, stop, step))
        self._held = {content: _spans(files[content], each) for content, each in parts.items()}
        self._starts = {content: [span.start for span in each] for content, each in self._held.items()}
        self.ordered = sorted(
            (span for each in self._held.values() for span in each), key=lambda span: span.first
        )

    def at(self, file: Remote, offset: int) -> Span | None:
        """Return the span that the byte at `offset` of a file is in, None where it was not announced."""
        held = self._held.get(file.content)
        if held is None:
            return None
        number = bisect_right(self._starts[file.content], offset) - 1
        return held[number] if number >= 0 and offset < held[number].stop else None

    def after(self, span: Span) -> Span | None:
        """Return the span that goes on where another ends."""
        return self.at(span.file, span.stop)


def _spans(file: Remote, parts: list[tuple[int, int, int]]) -> list[Span]:
    """Return the spans of one file, none of which holds a byte that is not in one of `parts`."""
    found: list[Span] = []
    for start, stop in _runs(parts):
        count = -(-(stop - start) // SPAN)
        edges = [start + (stop - start) * number // count for number in range(count + 1)]
        found += [Span(file, *pair, first=(maxsize, 0.0)) for pair in pairwise(edges)]
    starts = [span.start for span in found]
    for start, stop, step in parts:
        number = bisect_right(starts, start) - 1
        while number < len(found) and found[number].start < stop:
            span = found[number]
            inside = max(span.start, start)
            span.left += min(span.stop, stop) - inside
            span.first = min(span.first, (step, (inside - start) / (stop - start)))
            number += 1
    return found


def _runs(parts: Iterable[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """Return the union of the parts as runs without a gap, neighbours in one run only if read soon after.

    Else the half of a span would lie here for long, waiting for its turn.
    """
    runs: list[tuple[int, int]] = []
    before = 0
    for start, stop, step in sorted(parts):
        end = runs[-1][1] if runs else -1
        if start < end or (start == end and abs(step - before) <= SOON):
            runs[-1] = runs[-1][0], max(end, stop)
        else:
            runs.append((start, stop))
        before = step
    return runs
