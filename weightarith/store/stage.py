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

from weightarith.errors import StorageError, TargetError, quoted
from weightarith.store.lock import locked

RECEIPT = "weightarith.json"
SINGLE = (".safetensors", ".gguf")
"""How the name of an output ends that is a file and no folder."""
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def receipt_path(target: Path) -> Path:
    """Return where the receipt of an output lies: in its folder, or beside a single file."""
    return target.with_suffix(".weightarith.json") if _is_single(target) else target / RECEIPT


def check_target(target: Path, inputs: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse a target that must not be written, before anything is.

    Raises:
        TargetError: the target exists (without `overwrite`), is a link, an input, holds an input or is held
            by one, lies in a Hub cache, or is a folder that weightarith did not write.
        StorageError: its parent folder does not exist or cannot be written.
    """
    shown = quoted(str(target))
    if target.name in ("", "..") or "\0" in str(target):
        raise TargetError(f"{shown} names no file or folder", hint="name the output itself, such as merged")
    try:
        _check_place(target, shown, inputs, overwrite=overwrite)
    except OSError as error:
        raise disk_error(error, target) from error


def _check_place(target: Path, shown: str, inputs: Iterable[Path], *, overwrite: bool) -> None:
    if target.is_symlink():
        raise TargetError(f"{shown} is a symbolic link", hint="name the file or folder it should become")
    parent = target.parent.resolve()
    if not parent.is_dir():
        raise StorageError(f"the folder {quoted(str(target.parent))} does not exist", hint="create it first")
    place = parent / target.name
    if any(_is_cached(part) for part in (place, *place.parents)):
        raise TargetError(f"{shown} lies in a Hub cache, whose files belong to it", hint="write elsewhere")
    _check_inputs(place, shown, inputs)
    if not os.access(parent, os.W_OK):
        raise StorageError(f"no permission to write in {quoted(str(target.parent))}")
    if place.exists():
        _check_existing(place, shown, overwrite=overwrite)
    receipt = receipt_path(place)
    if _is_single(place) and (receipt.is_symlink() or (receipt.exists() and not receipt.is_file())):
        raise TargetError(f"{quoted(str(receipt))} stands where the receipt goes, and is no file",
                          hint="remove it yourself, or choose another -o")  # fmt: skip


def _check_existing(place: Path, shown: str, *, overwrite: bool) -> None:
    if not overwrite:
        raise TargetError(f"{shown} exists", hint="choose another -o, or add --overwrite")
    if place.is_dir() == _is_single(place):
        raise TargetError(
            f"{shown} is a {'folder' if place.is_dir() else 'file'}, the output is not",
            hint=f"a name ending in {' or '.join(SINGLE)} is a file, any other a folder",
        )
    if place.is_dir() and any(place.iterdir()) and not (place / RECEIPT).is_file():
        raise TargetError(f"{shown} is a folder that weightarith did not write (it holds no {RECEIPT})",
                          hint="remove it yourself if it may go")  # fmt: skip


def _check_inputs(place: Path, shown: str, inputs: Iterable[Path]) -> None:
    taken = place.stat() if place.exists() else None
    for path in inputs:
        real = path.resolve()
        same = taken is not None and real.exists() and os.path.samestat(taken, real.stat())
        if same or real == place or place in real.parents:
            raise TargetError(f"{shown} is or holds the input {quoted(str(path))}", hint="write elsewhere")
        if real.is_dir() and real in place.parents:
            raise TargetError(f"{shown} lies inside the input {quoted(str(path))}", hint="write elsewhere")


def _is_single(target: Path) -> bool:
    return target.suffix in SINGLE


def _is_cached(folder: Path) -> bool:
    """Return whether `folder` is a model in a Hub cache."""
    if not folder.name.startswith("models--"):
        return False
    return any((folder / part).is_dir() for part in ("snapshots", "blobs", "refs"))


@contextmanager
def staged(target: Path, *, needed: int, overwrite: bool) -> Iterator[Path]:
    """Yield an empty folder to write into; on success publish it as `target`, on any failure remove it.

    For a single-file target the folder must hold a file of that name and its receipt; they are renamed one
    after the other, the receipt last.

    Args:
        target: a folder, or a file whose name ends as `SINGLE` says.
        needed: bytes about to be written.
        overwrite: whether what stands there may be replaced.

    Raises:
        LockedError: another live process writes the same target.
        TargetError: the target has come to exist meanwhile.
        StorageError: there is less free space than `needed`, or the disk failed.
    """
    place = target.parent.resolve() / target.name
    with _disk_errors(place), locked(place):
        stage = _empty_stage(place, needed)
        try:
            if os.path.lexists(place) and not overwrite:
                raise TargetError(f"{quoted(str(target))} exists by now", hint="see who wrote it")
            yield stage
            _publish(stage, place)
        finally:
            shutil.rmtree(stage, ignore_errors=True)


@contextmanager
def _disk_errors(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise disk_error(error, Path(os.fsdecode(error.filename)) if error.filename else place) from error


def _empty_stage(place: Path, needed: int) -> Path:
    """Return a new folder beside `place`; what a killed run left goes, for the lock says it is nobody's."""
    aside = _aside(place)
    if os.path.lexists(aside) and not os.path.lexists(place):
        os.rename(aside, place)
    stage = place.with_name(f".{place.name}.partial")
    for left in (stage, aside):
        if left.is_symlink() or left.is_file():
            left.unlink()
        elif left.exists():
            shutil.rmtree(left)
    expect_room(place, needed)
    stage.mkdir()
    return stage


def expect_room(place: Path, needed: int) -> None:
    """Refuse to write so many bytes where there is no room for them.

    Raises:
        StorageError: see above.
    """
    free = shutil.disk_usage(place.parent).free
    if free < needed * 1.01:
        raise StorageError(f"{quoted(str(place))} needs {needed:,} bytes, {free:,} are free",
                           hint="free some space, or write to another disk")  # fmt: skip


def _publish(stage: Path, place: Path) -> None:
    """Move what was staged to its place; on an error everything is moved back."""
    names = [place.name, receipt_path(place).name] if _is_single(place) else []
    pairs = [(stage / name, place.parent / name) for name in names] or [(stage, place)]
    moved: list[tuple[Path, Path, bool]] = []
    try:
        flush_folder(stage)
        for new, target in pairs:
            taken = os.path.lexists(target)
            (_exchange if taken else os.rename)(new, target)
            moved.append((new, target, taken))
        flush_folder(place.parent)
    except BaseException:
        for new, target, taken in reversed(moved):
            (_exchange if taken else os.rename)(target, new)
        raise


def _exchange(new: Path, place: Path) -> None:
    """Swap two files or two folders in one step, so that at every moment one of them stands at `place`."""
    swap = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if swap and swap(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(place), _RENAME_EXCHANGE) == 0:
        return
    aside = _aside(place)  # no such call here: the old one waits beside, and the next run puts it back
    os.rename(place, aside)
    try:
        os.rename(new, place)
        try:
            os.rename(aside, new)
        except OSError:
            os.rename(place, new)
            raise
    except OSError:
        os.rename(aside, place)
        raise


def _aside(place: Path) -> Path:
    return place.with_name(f".{place.name}.old")


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
        errno.EFBIG: "the file system or a limit (ulimit -f) caps a file's size; use a smaller shard_size",
        errno.EROFS: "the file system is read-only",
    }
    what = os.strerror(error.errno) if error.errno else str(error)
    return StorageError(f"{quoted(str(path))}: {what}", hint=hints.get(error.errno or 0, ""))
