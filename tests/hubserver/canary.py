"""The token of the test server, sought after every test in what it left behind: it must not be there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.hubserver.server import TOKEN


def files_with_token(folder: Path, home: Path) -> Iterator[Path]:
    """Yield the files under a folder that hold the token, the one in which the client keeps it left out."""
    for path in sorted(folder.rglob("*")):
        if path != home / "token" and path.is_file() and TOKEN.encode() in path.read_bytes():
            yield path


def shows_token(report: pytest.TestReport) -> str:
    """Return where a test printed, logged or raised the token; nothing where it did not."""
    found: Iterable[tuple[str, str]] = [*report.sections, ("traceback", report.longreprtext)]
    return ", ".join(name for name, content in found if TOKEN in content)
