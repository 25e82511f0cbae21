"""The terminal: data to stdout, everything else to stderr, and a progress bar where a person looks on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from weightarith.errors import quoted


def tell(message: str) -> None:
    """Print to stderr; that nobody reads it any more is no reason to stop what was asked for."""
    try:
        click.echo(message, err=True)
    except OSError:
        sys.stderr = None


def warn(*messages: str) -> None:
    """Print warnings; empty ones are none."""
    for message in messages:
        if message:
            tell(f"Warning: {message}")


def print_json(found: Mapping[str, Any]) -> None:
    """Print `found` to stdout; what the encoding of stdout may lack is escaped."""
    unicode = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") == "utf8"
    click.echo(json.dumps(found, indent=1, ensure_ascii=not unicode, allow_nan=False))


def escaped(text: str) -> str:
    """Return `text`, control characters escaped and cut where it is too long for a line."""
    return quoted(text)[1:-1]


def printable(text: str) -> str:
    """Return `text` whole, control characters escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def size(count: int) -> str:
    """Return a number of bytes as people read it: `2.47 GB`."""
    for unit, base in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= base:
            return f"{count / base:.3g} {unit}"
    return f"{count} B"


def counted(number: int, noun: str) -> str:
    """Return a number of things: `1 tensor`, `272 tensors`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


@contextmanager
def progress(total: int) -> Iterator[Callable[[int], None]]:
    """Yield what to call with the bytes moved so far: a bar on a terminal, silence elsewhere."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _moved: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda moved: bar.update(task, completed=min(moved, total))
