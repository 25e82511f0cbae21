"""The folder in which a long run keeps what is done so far, so that the same command goes on with it.

It stands beside the output, hidden, until that is published; another run of the same output is refused
while one is at work, and so is one that asks for something else.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from weightarith.errors import IncompatibleError, quoted
from weightarith.store.lock import locked
from weightarith.store.stage import disk_error

JOB = "job.json"


def is_main() -> bool:
    """Return whether this process is the one that writes; launchers number their processes in RANK."""
    return int(os.environ.get("RANK", "0")) == 0


def wait_for_all() -> None:
    """Wait until every process of a launch is here."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()


def work_of(out: Path) -> Path:
    """Return where the work for an output lies."""
    place = out.parent.resolve() / out.name
    return place.with_name(f".{place.name}.work")


@contextmanager
def at_work(out: Path, job: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the work folder of an output, begun or to be gone on with; it goes if all goes well.

    Of several processes the main one makes, locks and removes it.

    Args:
        out: the output.
        job: all that what is made there depends on, as JSON holds it.

    Raises:
        IncompatibleError: the folder is of another job; the error names what differs.
        LockedError: another process is at work there.
        StorageError: the disk said no.
    """
    work = work_of(out)
    if not is_main():
        yield work
        return
    try:
        with locked(work):
            work.mkdir(exist_ok=True)
            _take_up(work, job)
            yield work
            shutil.rmtree(work)
    except OSError as error:
        raise disk_error(error, Path(error.filename) if error.filename else work) from error


def _take_up(work: Path, job: Mapping[str, Any]) -> None:
    wanted = json.loads(json.dumps(job))
    path = work / JOB
    if not path.is_file():
        write_whole(path, json.dumps(wanted, indent=1, sort_keys=True) + "\n")
        return
    begun = json.loads(path.read_text(encoding="utf-8"))
    for name, (before, now) in sorted(differences(begun, wanted).items()):
        raise IncompatibleError(
            f"{quoted(str(work))} holds a run with {name} {quoted(json.dumps(before))}, and now it is "
            f"{quoted(json.dumps(now))}",
            hint="repeat the command as it was to go on with it, or remove that folder to begin anew",
        )


def write_whole(path: Path, text: str) -> None:
    """Write a small file so that a kill leaves all of it or what was there before."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def differences(before: Any, now: Any, name: str = "") -> dict[str, tuple[Any, Any]]:
    """Return what differs between two JSON documents, by the path of keys to it."""
    if isinstance(before, dict) and isinstance(now, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for key in before.keys() | now.keys():
            inner = f"{name}.{key}" if name else str(key)
            found |= differences(before.get(key), now.get(key), inner)
        return found
    return {} if before == now else {name: (before, now)}
