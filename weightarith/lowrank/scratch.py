"""Factors put by on the disk until they are written: how many there are, memory does not tell.

The file has no name, so that it is gone with the process, however that ends.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import Any

from weightarith.operators.field import Product
from weightarith.store.stage import disk_error


@dataclass(frozen=True)
class Place:
    """Where two factors lie: `start` counts bytes, `kind` is the dtype of both."""

    start: int
    kind: str
    left: tuple[int, ...]
    right: tuple[int, ...]


class Scratch:
    """Room on the disk that any number of threads put factors into."""

    @classmethod
    @contextmanager
    def beside(cls, target: Path) -> Iterator[Scratch]:
        """Yield room on the disk that `target` is to lie on.

        Raises:
            StorageError: nothing can be written there.
        """
        try:
            file = TemporaryFile(dir=target.absolute().parent)  # noqa: SIM115  (errors of the body are not its)
        except OSError as error:
            raise disk_error(error, target.absolute().parent) from error
        with file:
            yield cls(file.fileno(), target.absolute().parent)

    def __init__(self, descriptor: int, folder: Path) -> None:
        self._descriptor, self._folder = descriptor, folder
        self._end, self._lock = 0, Lock()

    def keep(self, product: Product) -> Place:
        """Put factors by, and return where.

        Raises:
            StorageError: the disk is full, or failed.
        """
        data = product.left.tobytes() + product.right.tobytes()
        with self._lock:
            start, self._end = self._end, self._end + len(data)
        done = 0
        try:
            while done < len(data):
                done += os.pwrite(self._descriptor, data[done:], start + done)
        except OSError as error:
            raise disk_error(error, self._folder) from error
        return Place(start, product.left.dtype.str, product.left.shape, product.right.shape)

    def take(self, place: Place) -> Product:
        """Return the factors that were put by at a place.

        Raises:
            StorageError: the disk failed.
        """
        import numpy as np

        kind = np.dtype(place.kind)
        split = prod(place.left) * kind.itemsize
        data = self._read(place.start, split + prod(place.right) * kind.itemsize)
        left: Any = np.frombuffer(data[:split], kind).reshape(place.left)
        right: Any = np.frombuffer(data[split:], kind).reshape(place.right)
        return Product(left, right)

    def _read(self, start: int, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                part = os.pread(self._descriptor, count - len(data), start + len(data))
            except OSError as error:
                raise disk_error(error, self._folder) from error
            if not part:  # somebody has cut the file, which has no name
                raise disk_error(OSError(errno.EIO, os.strerror(errno.EIO)), self._folder)
            data = data + part if data else part
        return data
