"""Checksums of tensors that lie in files, cut into the blocks that a run cuts them into.

A receipt's checksum is of blocks, so whoever compares must cut alike: the one rule is `blocks.checksum_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import Lock

import xxhash

from weightarith.engine.blocks import checksum_of, elements_in_block
from weightarith.engine.crew import share_out
from weightarith.engine.plan import BLOCK_BYTES
from weightarith.tensorfile.model import TensorFile, TensorInfo
from weightarith.tensorfile.reader import OpenFile

FACTORS = ("::A", "::B")
"""How the names of factors end, which are made and hashed in one piece."""

_READ = 16 * BLOCK_BYTES
"""Bytes that a thread asks the disk for at once."""


@dataclass
class _Tensor:
    """A tensor of a file, and the digests of its blocks as they come in."""

    file: OpenFile
    info: TensorInfo
    block: int  # bytes of a full block
    digests: list[bytes] = field(default_factory=list)


def checksums(
    files: Sequence[TensorFile],
    *,
    threads: int = 1,
    progress: Callable[[int], None] = lambda _read: None,
) -> list[dict[str, str]]:
    """Return the checksum of every tensor by name, file by file, as receipts have them.

    Memory is 8 MiB a thread, however large the tensors are.

    Args:
        files: headers that were read.
        threads: at work at once.
        progress: called now and then with the bytes read so far.

    Raises:
        InvalidFileError: a file changed since its header was read, or is changed meanwhile.
        StorageError: the disk failed.
    """
    with ExitStack() as stack:
        opened = [stack.enter_context(OpenFile(file)) for file in files]
        found = [
            {name: _tensor(file, name, info) for name, info in file.file.tensors.items()} for file in opened
        ]
        tensors = [tensor for one in found for tensor in one.values()]
        meter = _Meter()
        share_out(_pieces(tensors), [_Reader(meter) for _ in range(threads)], lambda: progress(meter.read))
        for file in opened:
            file.check_unchanged()
    return [{name: checksum_of(tensor.digests) for name, tensor in one.items()} for one in found]


def by_name(files: Sequence[TensorFile], found: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return checksums of several files as one table."""
    return {name: one[name] for file, one in zip(files, found, strict=True) for name in file.tensors}


def _tensor(file: OpenFile, name: str, info: TensorInfo) -> _Tensor:
    whole = name.endswith(FACTORS)
    block = max(info.nbytes, 1) if whole else info.dtype.nbytes(elements_in_block(info.dtype))
    return _Tensor(file, info, block, [b""] * max(-(-info.nbytes // block), 1))


def _pieces(tensors: Sequence[_Tensor]) -> Iterator[tuple[_Tensor, range]]:
    """Yield runs of whole blocks that are read at once; a block larger than that comes alone."""
    for tensor in tensors:
        blocks, step = len(tensor.digests), max(_READ // tensor.block, 1)
        yield from ((tensor, range(first, min(first + step, blocks))) for first in range(0, blocks, step))


class _Meter:
    """Bytes that all threads have read."""

    def __init__(self) -> None:
        self.read = 0
        self._lock = Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self.read += count


class _Reader:
    """One thread's buffer, and how blocks are read and hashed in it."""

    def __init__(self, meter: _Meter) -> None:
        self._view = memoryview(bytearray(_READ))
        self._meter = meter

    def __call__(self, piece: tuple[_Tensor, range]) -> None:
        tensor, blocks = piece
        if tensor.block > _READ:
            tensor.digests[blocks.start] = self._long(tensor)
            return
        start = blocks.start * tensor.block
        stop = min(blocks.stop * tensor.block, tensor.info.nbytes)
        view = self._read(tensor, start, stop)
        for number in blocks:
            first = number * tensor.block - start
            tensor.digests[number] = xxhash.xxh3_128_digest(view[first : first + tensor.block])

    def _long(self, tensor: _Tensor) -> bytes:
        digest = xxhash.xxh3_128()
        for start in range(0, tensor.info.nbytes, _READ):
            digest.update(self._read(tensor, start, min(start + _READ, tensor.info.nbytes)))
        return digest.digest()

    def _read(self, tensor: _Tensor, start: int, stop: int) -> memoryview:
        view = self._view[: stop - start]
        if view.nbytes:
            tensor.file.read_into(view, tensor.info.start + start)
            self._meter.add(view.nbytes)
        return view
