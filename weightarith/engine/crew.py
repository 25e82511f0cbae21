"""Threads that share out pieces of work: the first failure stops all of them, and none outlives the call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from threading import Event, Lock, Thread
from typing import Generic, TypeVar

Piece = TypeVar("Piece")


def share_out(
    pieces: Iterator[Piece],
    workers: Sequence[Callable[[Piece], None]],
    watch: Callable[[], None],
    abandon: Callable[[], None] = lambda: None,
) -> None:
    """Have every piece done by one of the workers, each of them in a thread of its own.

    Args:
        pieces: what is to be done, handed out in order; after the first error no further one is.
        workers: what does a piece; only its own thread ever calls it.
        watch: called ten times a second from the calling thread, and once more at the end.
        abandon: called where this thread is interrupted, so that no worker waits for what may take long.

    Raises:
        BaseException: the first error of any worker.
    """
    share = _Share(pieces)
    threads = [Thread(target=share.work, args=(worker,), daemon=True) for worker in workers]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.1)
                watch()
    except BaseException:
        abandon()
        raise
    finally:
        share.stopped.set()
        for thread in threads:
            if thread.ident is not None:  # the system may have refused the last of them
                thread.join()
    if share.failure is not None:
        raise share.failure
    watch()


class _Share(Generic[Piece]):
    """What the threads have in common: the pieces still to do, and the first error."""

    def __init__(self, pieces: Iterator[Piece]) -> None:
        self.stopped = Event()
        self.failure: BaseException | None = None
        self._pieces = pieces
        self._lock = Lock()

    def work(self, worker: Callable[[Piece], None]) -> None:
        """Do pieces until none is left or a thread failed."""
        try:
            while (piece := self._next()) is not None:
                worker(piece)
        except BaseException as error:  # handed to the thread that waits, which raises it
            with self._lock:
                self.failure = self.failure or error
            self.stopped.set()

    def _next(self) -> Piece | None:
        with self._lock:
            return None if self.stopped.is_set() else next(self._pieces, None)
