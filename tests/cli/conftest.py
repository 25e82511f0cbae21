"""The command line, run in this process."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import pytest


@dataclass(frozen=True)
class Ran:
    """What a run left: its exit status and what it printed."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """What stdout holds, which is to be one JSON document."""
        return json.loads(self.stdout)


class Run(Protocol):
    """Runs a command line, its words as they are."""

    def __call__(self, *words: object) -> Ran: ...


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    from weightarith.cli import main

    def ran(*words: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["weightarith", *map(str, words)])
        capsys.readouterr()
        status: Any = 0
        try:
            main()
        except SystemExit as stop:
            status = stop.code
        printed = capsys.readouterr()
        return Ran(status or 0, printed.out, printed.err)

    before = signal.getsignal(signal.SIGTERM)
    yield ran
    signal.signal(signal.SIGTERM, before)
