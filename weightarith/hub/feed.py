"""Spans fetched ahead of their use by a few threads, so that the network and the arithmetic overlap.

What is held is bounded: a span that was read makes room for the next, and where there is none a span that is
needed last goes, to be fetched again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from threading import Condition, Thread
from typing import TYPE_CHECKING

from weightarith.hub.ranges import Remote, fetch, read
from weightarith.hub.spans import SPAN, Part, Span, Spans

if TYPE_CHECKING:
    from typing_extensions import Buffer

FETCHERS = 4
PATIENCE = 0.1  # seconds that a thread is given to end
HELD = 16 * SPAN
"""Bytes that are held at once (256 MiB), those on their way included."""
AHEAD = 10 * SPAN
"""Of these, bytes that nobody has read yet; the others are kept for operators that read a tensor again."""


class Feed:
    """The bytes of files from afar; any number of threads may read.

    `needed` is what will be read side by side, in the order of reading; what is not in it is fetched when it
    is asked for.
    """

    def __init__(self, needed: Iterable[Sequence[Part]]) -> None:
        self._spans = Spans(needed)
        self._next = iter(self._spans.ordered)
        self._ahead: Span | None = next(self._next, None)
        self._asked: deque[Span] = deque()  # spans that a reader waits for
        self._kept: list[Span] = []  # that have data, or are on their way
        self._free: list[bytearray] = []
        self._clock = 0
        self._change = Condition()
        self._closed = False
        self._failure: BaseException | None = None
        self._threads = [Thread(target=self._work, daemon=True) for _ in range(FETCHERS)]
        for thread in self._threads if self._ahead else ():
            thread.start()

    def read_into(self, file: Remote, buffer: Buffer, offset: int) -> None:
        """Fill a writable, contiguous `buffer` with the bytes from `offset` of a file on.

        Raises:
            HubError: they could not be fetched.
        """
        with memoryview(buffer) as view:
            if not view.nbytes:  # a view with a zero in its shape cannot be cast
                return
            with view.cast("B") as flat:
                done = 0
                while done < len(flat):
                    done += self._read(file, flat[done:], offset + done)

    def close(self) -> None:
        """Stop fetching; a thread that waits for its next attempt is not waited for."""
        with self._change:
            if self._closed:
                return
            self._closed = True
            self._change.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(PATIENCE)

    def _read(self, file: Remote, view: memoryview, offset: int) -> int:
        """Read as much as lies in one piece here, and return how much that is."""
        if offset < len(file.head):
            count = min(len(view), len(file.head) - offset)
            read(file, offset, view[:count])
            return count
        span = self._spans.at(file, offset)
        if span is None:  # nobody said that it would be read
            read(file, offset, view)
            return len(view)
        count = min(len(view), span.stop - offset)
        data = self._wait_for(span)
        try:
            begin = offset - span.start
            view[:count] = memoryview(data)[begin : begin + count]
        finally:
            self._done(span, count)
        return count

    def _wait_for(self, span: Span) -> bytearray:
        """Return the bytes of a span, which is not given up before `_done` is told."""
        with self._change:
            span.readers += 1
            while span.data is None or span.fetching:
                if self._failure is not None:
                    raise self._failure
                if self._closed:
                    raise ValueError("the feed is closed")
                if not span.fetching and span not in self._asked:
                    self._ask(span)
                self._change.wait()
            self._clock += 1
            span.used = self._clock
            return span.data

    def _ask(self, span: Span) -> None:
        """Have a span fetched before all others; where it is read again, so will be the next."""
        self._asked.append(span)
        after = self._spans.after(span)
        if span.left <= 0 and after is not None and after.data is None and after not in self._asked:
            self._asked.append(after)
        self._change.notify_all()

    def _done(self, span: Span, count: int) -> None:
        with self._change:
            span.readers -= 1
            span.left -= count
            if span.left <= 0 and not span.readers:  # there is room for another
                self._change.notify_all()

    def _work(self) -> None:
        """Fetch spans until none is left to fetch or one cannot be had."""
        while (span := self._take()) is not None:
            try:
                data = span.data
                if data is not None:
                    fetch(span.file, span.start, memoryview(data)[: span.size], goes_on=self._goes_on)
            except BaseException as error:  # handed to whoever reads
                with self._change:
                    self._failure = self._failure or error
                    self._change.notify_all()
                return
            with self._change:
                if self._closed:  # then it may have ended early, and must never be read
                    return
                span.fetching = False
                self._change.notify_all()

    def _goes_on(self) -> bool:
        return not self._closed

    def _take(self) -> Span | None:
        """Return the next span to fetch, with room for it; None when it is over."""
        with self._change:
            while not self._closed and self._failure is None:
                span = self._choose()
                if span is not None:
                    span.fetching = True
                    span.data = self._free.pop() if self._free else bytearray(SPAN)
                    self._kept.append(span)
                    return span
                self._change.wait()
        return None

    def _choose(self) -> Span | None:
        while self._asked:
            span = self._asked.popleft()
            if span.data is None:
                while self._is_full() and self._give_up(self._read_already() or self._needed_last()):
                    pass
                return span
        while self._ahead is not None and (self._ahead.data is not None or self._ahead.left <= 0):
            self._ahead = next(self._next, None)
        unread = sum(span.size for span in self._kept if span.left > 0)
        if self._ahead is None or unread + self._ahead.size > AHEAD:
            return None
        while self._is_full():
            if not self._give_up(self._read_already()):
                return None
        return self._ahead

    def _is_full(self) -> bool:
        return (len(self._kept) + 1) * SPAN > HELD

    def _read_already(self) -> Span | None:
        """Return a span that was read as often as was announced, the one that was last read longest ago."""
        done = (span for span in self._kept if span.left <= 0 and not span.fetching and not span.readers)
        return min(done, key=lambda span: span.used, default=None)

    def _needed_last(self) -> Span | None:
        idle = (span for span in self._kept if not span.fetching and not span.readers)
        return max(idle, key=lambda span: span.first, default=None)

    def _give_up(self, span: Span | None) -> bool:
        """Let go of the bytes of a span; return False where there is none to let go of."""
        if span is None or span.data is None:
            return False
        self._kept.remove(span)
        self._free.append(span.data)
        span.data = None
        return True
