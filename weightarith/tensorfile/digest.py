"""Digests of whole files, read in pieces: memory does not depend on their size."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from weightarith.errors import InvalidFileError
from weightarith.tensorfile.reader import open_regular, read_into, stamp_of
from weightarith.tensorfile.sniff import shown

_PIECE = 1 << 23


def sha256_of(path: Path, progress: Callable[[int], None] = lambda _read: None) -> str:
    """Return the SHA-256 of a file in hexadecimal; `progress` is called with the bytes of each piece.

    Raises:
        InvalidFileError: nothing is there, it is no regular file, or it changes meanwhile.
        StorageError: it cannot be read.
    """
    return _digest(path, hashlib.sha256(), progress)


def git_oid_of(path: Path) -> str:
    """Return what git calls the content of a file, which the Hub lists for small files.

    https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
    """
    size = path.stat().st_size
    return _digest(path, hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False), lambda _read: None)


def _digest(path: Path, digest: hashlib._Hash, progress: Callable[[int], None]) -> str:
    descriptor = open_regular(path)
    try:
        stamp = stamp_of(descriptor)
        view = memoryview(bytearray(min(_PIECE, max(stamp.size, 1))))
        for start in range(0, stamp.size, _PIECE):
            piece = view[: min(_PIECE, stamp.size - start)]
            read_into(descriptor, path, piece, start)
            digest.update(piece)
            progress(piece.nbytes)
        if stamp_of(descriptor) != stamp:
            raise InvalidFileError(f"{shown(path)} changed while reading", hint="run again")
    finally:
        os.close(descriptor)
    return digest.hexdigest()
