"""The header of a safetensors file, read without touching a tensor.

A header is trusted only when it accounts for every byte: the file must end where its last tensor does.

https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from weightarith.errors import InvalidFileError
from weightarith.tensorfile.afar import Afar
from weightarith.tensorfile.entries import LENGTH_BYTES, HeaderError, parse_entries
from weightarith.tensorfile.model import Stamp, TensorFile
from weightarith.tensorfile.reader import open_regular, read_into, stamp_of
from weightarith.tensorfile.sniff import DOWNLOAD_AGAIN, HEAD, refusal, shown

MAX_HEADER = 100_000_000  # bytes, the format's own limit

_REWRITE = "fetch the file again, or have it written anew with the safetensors library"


def read_header(path: Path) -> TensorFile:
    """Return what the safetensors file at `path` holds; no tensor is read.

    `header_sha256` is the digest of all that stands in front of the data: the length and the JSON text.

    Raises:
        InvalidFileError: no such file, a file cut short, or one that breaks a rule of the format.
        UnsupportedError: a pickle, a GGUF file or an archive.
        StorageError: the disk or the permissions do not let it be read.
    """
    descriptor = open_regular(path)
    try:
        stamp = stamp_of(descriptor)
        header = _header(lambda buffer, offset: read_into(descriptor, path, buffer, offset), path, stamp.size)
    finally:
        os.close(descriptor)
    return _parsed(header, path, path, stamp)


def read_header_afar(
    read: Callable[[bytearray, int], None], size: int, path: Path, where: str, afar: Afar
) -> TensorFile:
    """Return what `read_header` does of a file that lies elsewhere, its tensors to be read from there.

    Args:
        read: fills a buffer with the bytes of the file from an offset on.
        size: bytes that the file is known to have.
        path: what to call it among the files of this machine.
        where: what to call it in messages.
        afar: how its bytes come.

    Raises:
        InvalidFileError: it breaks a rule of the format, or has another size than its header says.
        UnsupportedError: a pickle, a GGUF file or an archive.
    """
    return _parsed(_header(read, where, size), path, where, Stamp(0, 0, size, 0), afar)


def _parsed(
    header: bytearray, path: Path, where: Path | str, stamp: Stamp, afar: Afar | None = None
) -> TensorFile:
    try:
        tensors, metadata = parse_entries(header[LENGTH_BYTES:].decode(), len(header))
    except UnicodeDecodeError as error:
        raise InvalidFileError(
            f"{shown(where)}: its header is not UTF-8 at byte {LENGTH_BYTES + error.start:,}", hint=_REWRITE
        ) from error
    except HeaderError as error:
        raise InvalidFileError(f"{shown(where)}: {error}", hint=_REWRITE) from error
    needed = next(reversed(tensors.values())).stop if tensors else len(header)
    if needed != stamp.size:
        raise _wrong_size(where, stamp.size, needed)
    return TensorFile(path, tensors, metadata, stamp, hashlib.sha256(header).hexdigest(), afar)


def _header(read: Callable[[bytearray, int], None], path: Path | str, size: int) -> bytearray:
    head = bytearray(min(size, HEAD))
    read(head, 0)
    length = int.from_bytes(head[:LENGTH_BYTES], "little")
    needed = LENGTH_BYTES + length
    if not _plausible(head, length):
        raise refusal(path, bytes(head), size)
    if length > MAX_HEADER:
        raise InvalidFileError(
            f"{shown(path)}: its header claims {length:,} bytes, and at most {MAX_HEADER:,} are read",
            hint=_REWRITE,
        )
    if needed > size:
        raise _wrong_size(path, size, needed)
    header = bytearray(needed)
    read(header, 0)
    return header


def _plausible(head: bytearray, length: int) -> bool:
    if len(head) < LENGTH_BYTES:
        return False
    opening = bytes(head[LENGTH_BYTES : LENGTH_BYTES + 2])
    if length > MAX_HEADER:  # as any text is, read as a number; only a header goes on like this
        return opening in (b'{"', b"{}")
    return length >= 2 and opening[:1] in (b"{", b"")


def _wrong_size(path: Path | str, size: int, needed: int) -> InvalidFileError:
    counts = f"has {size:,} bytes, header needs {needed:,}"
    if size < needed:
        return InvalidFileError(
            f"{shown(path)} is cut short: {counts}, missing {needed - size:,}", hint=DOWNLOAD_AGAIN
        )
    return InvalidFileError(
        f"{shown(path)} is too long: {counts}, and the last {size - needed:,} belong to no tensor",
        hint=DOWNLOAD_AGAIN,
    )
