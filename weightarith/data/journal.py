"""A journal: JSON Lines that grow while something long runs, so that a killed run goes on where it was.

An entry is found again by its key, a hash of everything that it depends on: where that changes, so does the
key. What a kill leaves of a last line is cut off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from weightarith.data.lines import Line, read_lines
from weightarith.errors import InvalidFileError, StorageError, quoted

KEY = "key"


def key_of(content: Any) -> str:
    """Return the key of whatever JSON can hold: equal content has equal keys, in every order of names."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class Journal:
    """Entries by key, on disk from the moment they are written."""

    def __init__(self, path: Path) -> None:
        """Open the journal at `path`, which need not exist; its folder must.

        Raises:
            InvalidFileError: it is no journal.
        """
        self.path = path
        self._entries: dict[str, Mapping[str, Any]] = {}
        if path.exists():
            _mend(path)
        if path.exists() and path.stat().st_size:
            self._entries = dict(read_lines(path, _entry))

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)

    def get(self, key: str) -> Mapping[str, Any] | None:
        """Return an entry, or None."""
        return self._entries.get(key)

    def add(self, entries: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Write entries, and bring them to the disk; of two with one key the later one counts.

        Raises:
            StorageError: the disk said no.
        """
        rows = [
            json.dumps({KEY: key, **entry}, ensure_ascii=False, allow_nan=False) for key, entry in entries
        ]
        try:
            with self.path.open("ab") as file:
                file.write("".join(f"{row}\n" for row in rows).encode("utf-8", "backslashreplace"))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"cannot write {quoted(str(self.path))}: {error.strerror}") from error
        self._entries.update(entries)


def _entry(line: Line) -> tuple[str, Mapping[str, Any]]:
    return line.text(KEY), {name: value for name, value in line.content.items() if name != KEY}


def _mend(path: Path) -> None:
    """Cut off what stands behind the last line's end, of a file that is a journal."""
    start = f'{{"{KEY}": '.encode()
    try:
        with path.open("r+b") as file:
            content = file.read()
            if not content.startswith(start[: len(content)]):
                raise InvalidFileError(
                    f"{quoted(str(path))} is no journal: its first line has no {quoted(KEY)}",
                    hint="name another file; this one is left as it is",
                )
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                file.truncate(whole)
    except OSError as error:
        raise InvalidFileError(f"cannot open {quoted(str(path))}: {error.strerror}") from None
