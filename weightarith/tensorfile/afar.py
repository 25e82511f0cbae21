"""What reading asks of whoever fetches the bytes of a file that is not on this machine.

Nothing here knows of a network: who opens a file by its headers says how its bytes come.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing_extensions import Buffer

Span = tuple["Afar", int, int]
"""A file, and where its bytes that are needed start and stop."""


class Feed(Protocol):
    """Bytes of files from afar, brought in time for their use; any number of threads may read."""

    def read_into(self, file: Afar, buffer: Buffer, offset: int) -> None:
        """Fill a writable, contiguous `buffer` with the bytes from `offset` of a file on.

        Raises:
            WeightArithError: they do not come, or are not those of the file that was opened.
        """
        ...

    def close(self) -> None:
        """Stop fetching, and let nobody wait; to close it twice is harmless."""
        ...


class Afar(Protocol):
    """One file that lies elsewhere, and never changes there."""

    @property
    def sha256(self) -> str:
        """The SHA-256 of its bytes where that is known, in hexadecimal; else nothing."""
        ...

    def feed(self, needed: Iterable[Sequence[Span]]) -> Feed:
        """Return what reads these files; `needed` are spans that are read side by side, in their order."""
        ...
