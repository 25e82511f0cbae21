"""One writer for each output: a file beside the target that names the process at work on it.

The lock of a process that is gone is taken over; that of another machine never is, for nobody here can tell.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from weightarith.errors import LockedError, quoted

_OWN = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_FOUND = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def locked(place: Path) -> Iterator[None]:
    """Hold the lock of the output at `place`.

    Raises:
        LockedError: another process holds it.
        OSError: it cannot be written.
    """
    lock = place.with_name(f".{place.name}.lock")
    here = f"{os.uname().nodename} {os.getpid()}"
    _take(lock, place, here)
    try:
        yield
    finally:
        if lock.exists() and lock.read_text(errors="replace") == here:  # not one that has replaced it
            lock.unlink(missing_ok=True)


def _take(lock: Path, place: Path, here: str) -> None:
    try:
        descriptor = os.open(lock, _OWN, 0o644)
    except FileExistsError:
        _take_over(lock, place, here)
        return
    try:
        os.write(descriptor, here.encode())
    except OSError:
        lock.unlink()
        raise
    finally:
        os.close(descriptor)


def _take_over(lock: Path, place: Path, here: str) -> None:
    try:
        descriptor = os.open(lock, _FOUND)
    except FileNotFoundError:  # its owner has just finished
        _take(lock, place, here)
        return
    try:
        with suppress(OSError):  # some network file systems know no such lock; it guards a rare race only
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        owner = os.pread(descriptor, 200, 0).decode(errors="replace")
        if not is_dead(owner):
            raise LockedError(
                f"{quoted(str(place))} is being written by {_told(owner)}",
                hint=f"wait for it, or remove {quoted(str(lock))} if it is gone",
            )
        if not lock.exists() or not os.path.samestat(os.fstat(descriptor), lock.stat()):
            raise LockedError(f"{quoted(str(place))} was being written until now", hint="run again")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, here.encode(), 0)
    finally:
        os.close(descriptor)


def _told(owner: str) -> str:
    host, _, number = owner.partition(" ")
    return f"process {quoted(number)} on {quoted(host)}" if number else "a process that is just beginning"


def is_dead(owner: str) -> bool:
    """Return whether the process `host number` is known to be gone."""
    host, _, number = owner.partition(" ")
    if host != os.uname().nodename or not (number.isascii() and number.isdecimal()):
        return False
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False
