"""Two outputs held against each other byte by byte; the first tensor that differs is named."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from weightarith.errors import InvalidFileError
from weightarith.proof.difference import Difference, absent, by_text, lacking
from weightarith.tensorfile.digest import sha256_of
from weightarith.tensorfile.header import read_header
from weightarith.tensorfile.model import TensorFile
from weightarith.tensorfile.reader import open_regular, read_into

_PIECE = 1 << 23
_ENDS = (".safetensors",)


def differences(
    expected: Path, found: Path, progress: Callable[[int], None] = lambda _read: None
) -> Iterator[Difference]:
    """Yield what differs first between two files, nothing where they are equal.

    Args:
        expected: the file as it should be, whose name differences bear.
        found: the file as it is.
        progress: called with the bytes of each piece compared.

    Raises:
        StorageError: one of them cannot be read.
    """
    name = expected.name
    for path in (expected, found):
        if not path.is_file():
            yield absent(name) if path is found else Difference(name, "", "the file", "none", "one")
            return
    if name.endswith(_ENDS):
        yield from _tensor_files(expected, found, progress)
        return
    sizes = by_text(name, "bytes", expected.stat().st_size, found.stat().st_size)
    yield from sizes or by_text(name, "SHA-256", sha256_of(expected), sha256_of(found))


def _tensor_files(expected: Path, found: Path, progress: Callable[[int], None]) -> Iterator[Difference]:
    try:
        files = read_header(expected), read_header(found)
    except InvalidFileError as error:
        yield Difference(expected.name, "", "the header", "a valid one", error.message)
        return
    headers = list(_headers(*files))
    yield from headers
    if not headers:
        place = _first_unequal(expected, found, files[0].stamp.size, progress)
        if place is not None:
            yield _at(files[0], expected.name, place)


def _headers(expected: TensorFile, found: TensorFile) -> Iterator[Difference]:
    """Yield what differs between two headers: tensors first, then what is said beside them."""
    name = expected.path.name
    for tensor, info in expected.tensors.items():
        other = found.tensors.get(tensor)
        if other is None:
            yield Difference(name, tensor, "the tensor", "one", "none")
        elif (info.dtype, info.shape) != (other.dtype, other.shape):
            shapes = [f"{each.dtype.code} {list(each.shape)}" for each in (info, other)]
            yield Difference(name, tensor, "dtype and shape", *shapes)
    for tensor in lacking(found.tensors, expected.tensors):
        yield Difference(name, tensor, "the tensor", "none", "one")
    for key in sorted({*expected.metadata, *found.metadata}):
        told, now = (file.metadata.get(key, "nothing") for file in (expected, found))
        yield from by_text(name, f"header metadata {key}", told, now)
    if expected.header_sha256 != found.header_sha256 and expected.metadata == found.metadata:
        yield from by_text(name, "SHA-256 of the header", expected.header_sha256, found.header_sha256)


def _first_unequal(expected: Path, found: Path, size: int, progress: Callable[[int], None]) -> int | None:
    """Return the place of the first byte that two files of one size do not share, None if they are equal."""
    descriptors: list[int] = []
    try:
        descriptors += [open_regular(expected)]
        descriptors += [open_regular(found)]
        views = [memoryview(bytearray(min(_PIECE, size))) for _ in descriptors]
        for start in range(0, size, _PIECE):
            count = min(_PIECE, size - start)
            pieces = [view[:count] for view in views]
            for descriptor, path, piece in zip(descriptors, (expected, found), pieces, strict=True):
                read_into(descriptor, path, piece, start)
            if pieces[0] != pieces[1]:
                return start + _unequal_within(*pieces)
            progress(count)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    return None


def _unequal_within(left: memoryview, right: memoryview) -> int:
    """Return the place of the first byte that differs; they do differ."""
    low, high = 0, len(left)
    while high - low > 1:
        middle = (low + high) // 2
        if left[low:middle] != right[low:middle]:
            high = middle
        else:
            low = middle
    return low


def _at(file: TensorFile, name: str, place: int) -> Difference:
    for tensor, info in file.tensors.items():
        if info.start <= place < info.stop:
            return Difference(
                name, tensor, "bytes", "equal ones", f"others from byte {place - info.start:,} on"
            )
    return Difference(name, "", "bytes", "equal ones", f"others from byte {place:,} on")
