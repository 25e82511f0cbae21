"""Publishing a file or a folder at once or not at all.

Bytes are written beside the target, flushed to the disk and renamed into place, so what stood there before
stays whole until the new output is. A target is never reached through a symbolic link, never an input, and
never inside a Hub cache.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from weightarith.errors import LockedError, StorageError, TargetError, quoted

RECEIPT = "weightarith.json"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def receipt_path(target: Path) -> Path:
    """Return where the receipt of an output lies: in its folder, or beside a single file."""
    single = target.suffix == ".safetensors"
    return target.with_suffix(".weightarith.json") if single else target / RECEIPT


def check_target(target: Path, inputs: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse a target that must not be written, before anything is.

    Raises:
        TargetError: the target exists (without `overwrite`), is a link, an input, holds an input or is held by
            one, lies in a Hub cache, or is a folder that weightarith did not write.
        StorageError: its parent folder does not exist or cannot be written.
    """
    shown = quoted(str(target))
    if target.is_symlink():
        raise TargetError(f"{shown} is a symbolic link", hint="name the file or folder it should become")
    parent = target.parent.resolve()
    if not parent.is_dir():
        raise StorageError(f"the folder {quoted(str(target.parent))} does not exist", hint="create it first")
    place = parent / target.name
    if any(part.startswith("models--") for part in place.parts) and "snapshots" in place.parts:
        raise TargetError(f"{shown} lies in a Hub cache, whose files belong to it", hint="write elsewhere")
    _check_inputs(place, shown, inputs)
    if not os.access(parent, os.W_OK):
        raise StorageError(f"no permission to write in {quoted(str(target.parent))}")
    if not place.exists():
        return
    if not overwrite:
        raise TargetError(f"{shown} exists", hint="choose another -o, or add --overwrite")
    if place.is_dir() != (target.suffix != ".safetensors"):
        raise TargetError(f"{shown} is a {'folder' if place.is_dir() else 'file'}, the output is not")
    if place.is_dir() and any(place.iterdir()) and not (place / RECEIPT).is_file():
        raise TargetError(f"{shown} is a folder that weightarith did not write (it holds no {RECEIPT})",
                          hint="remove it yourself if it may go")  # fmt: skip


def _check_inputs(place: Path, shown: str, inputs: Iterable[Path]) -> None:
    taken = os.stat(place) if place.exists() else None
    for path in inputs:
        real = path.resolve()
        same = taken is not None and real.exists() and os.path.samestat(taken, os.stat(real))
        if same or real == place or place in real.parents:
            raise TargetError(f"{shown} is or holds the input {quoted(str(path))}", hint="write elsewhere")
        if real.is_dir() and real in place.parents:
            raise TargetError(f"{shown} lies inside the input {quoted(str(path))}", hint="write elsewhere")


@contextmanager
def staged(target: Path, *, needed: int) -> Iterator[Path]:
    """Yield an empty folder to write into; on success publish it as `target`, on any failure remove it.

    For a single-file target the folder must hold a file of that name (and its receipt); they are renamed
    one after the other, the receipt last.

    Args:
        target: a folder, or a file ending in `.safetensors`.
        needed: bytes about to be written.

    Raises:
        LockedError: another live process writes the same target.
        StorageError: there is less free space than `needed`.
    """
    place = target.parent.resolve() / target.name
    free = shutil.disk_usage(place.parent).free
    if free < needed * 1.01:
        raise StorageError(f"{quoted(str(target))} needs {needed:,} bytes, {free:,} are free",
                           hint="free some space, or write to another disk")  # fmt: skip
    with _locked(place):
        stage = place.parent / f".{place.name}.partial"
        if stage.exists():  # left by a killed run; the lock says nobody writes it
            shutil.rmtree(stage)
        stage.mkdir()
        try:
            yield stage
            _publish(stage, place)
        finally:
            shutil.rmtree(stage, ignore_errors=True)


def _publish(stage: Path, place: Path) -> None:
    if place.suffix == ".safetensors":
        for name in (place.name, receipt_path(place).name):
            os.replace(stage / name, place.parent / name)
    elif place.exists():
        _exchange(stage, place)
    else:
        flush_folder(stage)
        os.rename(stage, place)
    flush_folder(place.parent)


def _exchange(stage: Path, place: Path) -> None:
    """Swap two folders in one step, so that at every moment one of them stands at `place`."""
    flush_folder(stage)
    libc = ctypes.CDLL(None, use_errno=True)
    swap = getattr(libc, "renameat2", None)
    if swap and swap(_AT_FDCWD, os.fsencode(stage), _AT_FDCWD, os.fsencode(place), _RENAME_EXCHANGE) == 0:
        return
    aside = place.with_name(f".{place.name}.old")  # no such call here: the old one waits beside
    os.rename(place, aside)
    os.rename(stage, place)
    shutil.rmtree(aside)


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    lock = place.parent / f".{place.name}.lock"
    here = f"{os.uname().nodename} {os.getpid()}"
    try:
        descriptor = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        owner = lock.read_text()
        if not _is_dead(owner):
            raise LockedError(f"{quoted(str(place))} is being written by process {owner}",
                              hint=f"wait for it, or remove {lock} if it is gone") from None  # fmt: skip
        lock.unlink()
        descriptor = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except OSError as error:
        raise disk_error(error, lock) from error
    os.write(descriptor, here.encode())
    os.close(descriptor)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _is_dead(owner: str) -> bool:
    host, _, number = owner.partition(" ")
    if host != os.uname().nodename or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def flush_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk, so that a rename outlives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems have no such call
            raise
    finally:
        os.close(descriptor)


def write_small(path: Path, content: bytes) -> None:
    """Write a small new file and bring it to the disk; its mode is 0666 less the umask."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o666)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise disk_error(error, path) from error


def disk_error(error: OSError, path: Path) -> StorageError:
    """Return what the operating system said, as an error that names the path and the remedy."""
    hints = {
        errno.ENOSPC: "free some space, or write to another disk",
        errno.EDQUOT: "your quota is used up",
        errno.EFBIG: "the file system or a limit (ulimit -f) caps the size of a file; use a smaller shard_size",
        errno.EROFS: "the file system is read-only",
    }
    what = os.strerror(error.errno) if error.errno else str(error)
    return StorageError(f"{quoted(str(path))}: {what}", hint=hints.get(error.errno or 0, ""))
