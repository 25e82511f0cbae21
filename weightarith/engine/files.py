"""The open files of a run: inputs read by offset, outputs filled by offset, by any number of threads."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from weightarith.engine.plan import OutputFile
from weightarith.errors import StorageError
from weightarith.kernels.encodings import Doubles, decode_block
from weightarith.store import Encoded
from weightarith.store.stage import disk_error
from weightarith.tensorfile.model import Stored, TensorFile
from weightarith.tensorfile.reader import FarFile, opened

WINDOW = 8 << 20
"""Bytes of an output that the disk is told to begin with at a time (8 MiB)."""

_WRITE = 2  # SYNC_FILE_RANGE_WRITE: begin to write these bytes to the disk, and do not wait


@lru_cache(maxsize=1)
def _sync_file_range() -> Any:
    """Return Linux's `sync_file_range`, None elsewhere.

    Called for each window that was filled, it keeps the disk at work from the start; without it most bytes
    wait for the `fsync` at the end, and the run with them. What it says does not matter, nor whether a thread
    is still at work in the window: `fsync` has the last word.
    """
    found: Any = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if found is not None:
        found.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return found


class Inputs:
    """Every input file of a plan, open for reading; `needed` as for `tensorfile.reader.opened`."""

    def __init__(self, files: Iterable[TensorFile], needed: Iterable[Sequence[Stored]] = ()) -> None:
        with ExitStack() as stack:
            self._open = stack.enter_context(opened(files, needed))
            self._stack = stack.pop_all()

    def __enter__(self) -> Inputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def read(self, stored: Stored, start: int, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes of a tensor, from its byte `start` on."""
        self._open[id(stored.file)].read_into(buffer, stored.info.start + start)

    def abandon(self) -> None:
        """Have whoever waits for bytes from afar wait no longer: it gets an error."""
        for file in self._open.values():
            if isinstance(file, FarFile):
                file.abandon()

    def check_unchanged(self) -> None:
        """Raise InvalidFileError if a file was written to since its header was read."""
        for file in self._open.values():
            file.check_unchanged()


def decoded(encoded: Encoded, start: int, count: int, inputs: Inputs) -> Doubles:
    """Return some elements of an encoded displacement, in float64 (count); zero behind its last one.

    Raises:
        InvalidFileError: its bytes are not what its header says.
    """
    held = max(min(count, encoded.count - start), 0)
    found = decode_block(
        encoded, start, held, lambda part, at, buffer: inputs.read(encoded.parts[part], at, buffer)
    )
    if held == count:
        return found
    return np.concatenate([found, np.zeros(count - held)])


class Outputs:
    """Every output file of a plan, allocated in full so that a lack of space shows before any work."""

    def __init__(self, folder: Path, files: Iterable[OutputFile]) -> None:
        self._paths: list[Path] = []
        self._descriptors: list[int] = []
        try:
            for file in files:
                self._create(folder / file.name, file)
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def write(self, index: int, offset: int, data: memoryview) -> None:
        """Write `data` at byte `offset` of the file number `index`.

        Raises:
            StorageError: the disk is full or failed.
        """
        done = 0
        try:
            while done < len(data):
                done += os.pwrite(self._descriptors[index], data[done:], offset + done)
        except OSError as error:
            raise disk_error(error, self._paths[index]) from error
        begin = _sync_file_range()
        if begin is not None and offset >= WINDOW and offset % WINDOW < len(data):  # the first in its window
            begin(self._descriptors[index], offset // WINDOW * WINDOW - WINDOW, WINDOW, _WRITE)

    def flush(self) -> None:
        """Bring every byte to the disk.

        Raises:
            StorageError: the disk failed.
        """
        for descriptor, path in zip(self._descriptors, self._paths, strict=True):
            try:
                os.fsync(descriptor)
            except OSError as error:
                raise disk_error(error, path) from error

    def _create(self, path: Path, file: OutputFile) -> None:
        try:
            descriptor = os.open(
                path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666
            )
            self._descriptors.append(descriptor)
            self._paths.append(path)
            os.posix_fallocate(descriptor, 0, file.size)
        except OSError as error:
            raise disk_error(error, path) from error
        self.write(len(self._descriptors) - 1, 0, memoryview(file.header))

    def _close(self) -> None:
        failed: StorageError | None = None
        for descriptor, path in zip(self._descriptors, self._paths, strict=False):
            try:
                os.close(descriptor)
            except OSError as error:
                failed = disk_error(error, path)
        self._descriptors.clear()
        if failed is not None:
            raise failed
