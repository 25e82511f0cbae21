"""Bytes read where they lie: on the disk by `pread` alone, afar by whoever fetches them.

A file that shrinks under a memory map kills the process; here it is an error that names the file. A file is
the one whose header was read for as long as its stamp is the same.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from weightarith.errors import InvalidFileError, StorageError, WeightArithError
from weightarith.tensorfile.afar import Feed, Span
from weightarith.tensorfile.model import Stamp, Stored, TensorFile
from weightarith.tensorfile.sniff import shown, special

if TYPE_CHECKING:
    from typing_extensions import Buffer

# Not to wait for a writer on a pipe that takes the file's place between `stat` and `open`.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_NO_SUCH = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})
_WRITER = "wait until whatever writes this file has finished, then run again"


def stamp_of(file: int | os.stat_result) -> Stamp:
    """Return the stamp of an open descriptor, or of what `stat` said."""
    seen = os.fstat(file) if isinstance(file, int) else file
    return Stamp(device=seen.st_dev, inode=seen.st_ino, size=seen.st_size, modified_ns=seen.st_mtime_ns)


def open_regular(path: Path) -> int:
    """Return a descriptor to read the regular file at `path`; the caller closes it.

    Devices, pipes and sockets are refused before they are opened, for to open one can have an effect.

    Raises:
        InvalidFileError: nothing is there, or it is no regular file.
        StorageError: it is there and may not be read.
    """
    try:
        _expect_regular(path, path.stat().st_mode)
        descriptor = os.open(path, _FLAGS)
    except (OSError, ValueError) as error:
        raise _cannot_open(path, error) from error
    try:
        _expect_regular(path, os.fstat(descriptor).st_mode)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_into(descriptor: int, path: Path, buffer: Buffer, offset: int) -> None:
    """Fill a writable, contiguous `buffer` with the bytes of the file from `offset` on.

    Raises:
        InvalidFileError: the file ends before the buffer is full, so it is not the one that was opened.
        StorageError: the disk failed.
    """
    with memoryview(buffer) as view:
        if not view.nbytes:  # a view with a zero in its shape cannot be cast
            return
        with view.cast("B") as flat:
            done = 0
            while done < len(flat):
                try:
                    count = os.preadv(descriptor, [flat[done:]], offset + done)
                except OSError as error:
                    raise StorageError(f"{shown(path)}: cannot be read: {error.strerror}") from error
                if count == 0:
                    raise InvalidFileError(
                        f"{shown(path)} changed while reading: it ends at byte {offset + done:,}, "
                        f"and bytes up to {offset + len(flat):,} are needed",
                        hint=_WRITER,
                    )
                done += count


class Reader(Protocol):
    """The bytes of one validated file; any number of threads may read."""

    file: TensorFile

    def read_into(self, buffer: Buffer, offset: int) -> None:
        """Fill a writable, contiguous `buffer` with the bytes from `offset` of the file on.

        Raises:
            WeightArithError: they cannot be had, or the file changed since its header was read.
        """
        ...

    def check_unchanged(self) -> None:
        """Raise InvalidFileError if the file was written to since its header was read."""
        ...


Readers = Mapping[int, Reader]
"""Open files, by what `id` says of theirs."""


class OpenFile:
    """The bytes of one validated file, for the length of a `with` block; any number of threads may read."""

    def __init__(self, file: TensorFile) -> None:
        self.file = file
        self._descriptor = open_regular(file.path)
        try:
            self._expect_stamp("since its header was read")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> OpenFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; to close it twice is harmless."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def read_into(self, buffer: Buffer, offset: int) -> None:
        """Fill a writable, contiguous `buffer` with the bytes from `offset` of the file on.

        Raises:
            InvalidFileError: the file ends early, so it changed since its header was read.
            StorageError: the disk failed.
        """
        with suppress(OSError), memoryview(buffer) as view:
            if os.preadv(self._descriptor, [view], offset) == view.nbytes:  # as good as always
                return
        read_into(self._descriptor, self.file.path, buffer, offset)

    def check_unchanged(self) -> None:
        """Raise InvalidFileError if the file was written to since its header was read."""
        self._expect_stamp("while reading")

    def _expect_stamp(self, when: str) -> None:
        expected, found = self.file.stamp, stamp_of(self._descriptor)
        if found == expected:
            return
        if (found.device, found.inode) != (expected.device, expected.inode):
            how = "another file has taken its place"
        elif found.size != expected.size:
            how = f"it had {expected.size:,} bytes and has {found.size:,}"
        else:
            how = "it was written to"
        raise InvalidFileError(f"{shown(self.file.path)} changed {when}: {how}", hint=_WRITER)


class FarFile:
    """The bytes of one file from afar, as long as its feed is open."""

    def __init__(self, file: TensorFile, feed: Feed) -> None:
        self.file = file
        self._feed = feed

    def read_into(self, buffer: Buffer, offset: int) -> None:
        """Do what `OpenFile.read_into` does."""
        if self.file.afar is not None:
            self._feed.read_into(self.file.afar, buffer, offset)

    def abandon(self) -> None:
        """Have whoever waits for bytes wait no longer, here and in all files of the feed."""
        self._feed.close()

    def check_unchanged(self) -> None:
        """Do nothing: what is read of a file from afar was held against its header as it came."""


@contextmanager
def opened(files: Iterable[TensorFile], needed: Iterable[Sequence[Stored]] = ()) -> Iterator[Readers]:
    """Yield files open for reading, for the length of a `with` block.

    Args:
        files: headers that were read.
        needed: tensors that will be read side by side, in the order of reading. Those of files from afar are
            fetched ahead, anything else of such files when it is asked for.

    Raises:
        InvalidFileError: a file changed since its header was read.
        StorageError: it cannot be opened.
    """
    given = list(files)
    with ExitStack() as stack:
        found: dict[int, Reader] = {
            id(file): stack.enter_context(OpenFile(file)) for file in given if file.afar is None
        }
        first = next((file.afar for file in given if file.afar is not None), None)
        if first is not None:
            feed = stack.enter_context(closing(first.feed(map(_spans, needed))))
            found |= {id(file): FarFile(file, feed) for file in given if file.afar is not None}
        yield found


def _spans(together: Sequence[Stored]) -> list[Span]:
    return [(one.file.afar, one.info.start, one.info.stop) for one in together if one.file.afar is not None]


def read_bytes(stored: Stored) -> bytes:
    """Return the bytes of one small tensor, as the file stores them: little-endian, row by row."""
    data = bytearray(stored.info.nbytes)
    with opened([stored.file]) as files:
        file = files[id(stored.file)]
        file.read_into(data, stored.info.start)
        file.check_unchanged()
    return bytes(data)


def _expect_regular(path: Path, mode: int) -> None:
    kind = special(mode)
    if kind == "a folder":
        raise InvalidFileError(f"{shown(path)} is a folder, not a file", hint="give a file inside the folder")
    if kind:
        raise InvalidFileError(
            f"{shown(path)} is {kind}, not a file that can be read twice",
            hint="save its bytes in a regular file first",
        )


def _cannot_open(path: Path, error: OSError | ValueError) -> WeightArithError:
    if isinstance(error, ValueError):  # a NUL in the path
        return InvalidFileError(f"{shown(path)}: no file can have this name")
    if error.errno in _NO_SUCH:
        if error.errno in (errno.ENOENT, errno.ELOOP) and path.is_symlink():
            return InvalidFileError(
                f"{shown(path)} is a link to {shown(path.readlink())}, which is not there",
                hint="fetch the file again: a download that was cut short or cleaned up leaves such links",
            )
        return InvalidFileError(f"{shown(path)}: no such file", hint="check the path for spelling")
    return StorageError(
        f"{shown(path)}: cannot be opened: {error.strerror}", hint="check who may read the file"
    )
