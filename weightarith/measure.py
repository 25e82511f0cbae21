"""Streamed reductions: norms of every tensor of a source, read block by block.

A factored displacement is never multiplied out: with B = Q·R and Aᵀ = P·S, ‖B·A‖ is ‖R·Sᵀ‖, a small matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weightarith.kernels.encodings import decode_block
from weightarith.kernels.formats import F64
from weightarith.kernels.linear import CODES, decode
from weightarith.kernels.reduce import LARGEST, NONFINITE, SQUARES, SUMMARY, ZEROS, summarise
from weightarith.names import layer_of, role_of
from weightarith.store import Encoded, Factored, Matrix, Source
from weightarith.tensorfile.model import Stored
from weightarith.tensorfile.reader import Reader, Readers, opened

BLOCK_BYTES = 1 << 20
OUTSIDE = "outside"
"""The group of what belongs to no layer: embeddings, the last norm, the head."""

_SAFE = (1e-140, 1e140)
"""Largest values between which squares neither vanish nor overflow, whatever the number of elements."""


@dataclass(frozen=True)
class Norm:
    """What one tensor measures.

    Attributes:
        norm: the Frobenius norm.
        largest: the largest absolute value; None for a factored tensor, whose elements are not formed.
        count: its elements.
        zeros: how many of them are exactly zero; None for a factored tensor.
        nonfinite: how many elements (of the factors, for a factored tensor) are NaN or infinite; they count
            as zero.
    """

    norm: float
    largest: float | None
    count: int
    zeros: int | None
    nonfinite: int


def norms(
    source: Source, *, threads: int = 1, progress: Callable[[int], None] = lambda _moved: None
) -> dict[str, Norm]:
    """Return the norm of every tensor that counts as weights, by name; buffers of integers have none.

    The fully trained tensors of an adapter have none either: they are weights, and what they change is known
    only beside the base.

    Args:
        source: a checkpoint, a vector or an adapter.
        threads: readers at work at once.
        progress: called with the bytes read so far.

    Raises:
        InvalidFileError: a file changed since its header was read, or an encoded tensor is flawed.
        StorageError: the disk failed.
    """
    wanted: dict[str, Stored | Encoded] = {
        name: stored for name, stored in source.tensors.items() if stored.info.dtype.arithmetic
    }
    wanted |= source.encoded
    with opened(source.files, _needed(wanted.values(), source.factors.values())) as files:
        found: dict[str, Norm] = {}
        moved = 0
        with ThreadPoolExecutor(threads) as pool:
            tasks = ((name, held, files) for name, held in wanted.items())
            for name, nbytes, measured in pool.map(_measured, tasks):
                found[name] = measured
                moved += nbytes
                progress(moved)
        for name, factored in source.factors.items():
            found[name] = _factored_norm(factored, files)
            moved += sum(matrix.stored.info.nbytes for matrix in (factored.left, factored.right))
            progress(moved)
        for file in files.values():
            file.check_unchanged()
    return found


def _needed(wanted: Iterable[Stored | Encoded], factors: Iterable[Factored]) -> Iterator[Sequence[Stored]]:
    """Yield what is read side by side, in the order of reading."""
    for held in wanted:
        yield tuple(held.parts.values()) if isinstance(held, Encoded) else (held,)
    for factored in factors:
        yield factored.left.stored, factored.right.stored


def by_layer(found: dict[str, Norm]) -> dict[str, float]:
    """Return the norm of each layer, in order, after that of what is `outside` of them all."""
    return _grouped(found, lambda name: OUTSIDE if (layer := layer_of(name)) is None else str(layer))


def by_role(found: dict[str, Norm]) -> dict[str, float]:
    """Return the norm of each role, such as `q` or `mlp`."""
    return _grouped(found, role_of)


def total(found: Iterable[Norm]) -> float:
    """Return the norm of tensors taken together."""
    return math.hypot(*(one.norm for one in found))


def _grouped(found: dict[str, Norm], key: Callable[[str], str]) -> dict[str, float]:
    groups: dict[str, list[Norm]] = {}
    for name, one in found.items():
        groups.setdefault(key(name), []).append(one)
    ordered = sorted(groups, key=lambda group: (group.isdigit(), int(group) if group.isdigit() else 0, group))
    return {group: total(groups[group]) for group in ordered}


def _measured(task: tuple[str, Stored | Encoded, Readers]) -> tuple[str, int, Norm]:
    name, held, files = task
    summary = _summary(held, files, 1.0)
    largest = float(summary[LARGEST])
    norm = math.sqrt(summary[SQUARES])
    if largest and not _SAFE[0] < largest < _SAFE[1]:  # only float64 holds such numbers
        scale = math.ldexp(1.0, min(-math.frexp(largest)[1], 1000))  # a power of two: exact
        norm = math.sqrt(_summary(held, files, scale)[SQUARES]) / scale
    count, nbytes = (held if isinstance(held, Encoded) else held.info).count, _nbytes(held)
    return name, nbytes, Norm(norm, largest, count, int(summary[ZEROS]), int(summary[NONFINITE]))


def _nbytes(held: Stored | Encoded) -> int:
    return held.nbytes if isinstance(held, Encoded) else held.info.nbytes


def _summary(held: Stored | Encoded, files: Readers, scale: float) -> NDArray[np.float64]:
    summary = np.zeros(SUMMARY)
    if isinstance(held, Encoded):
        for numbers in _decoded(held, files):
            summarise(numbers.view(np.uint8), F64, numbers.size, scale, summary)
        return summary
    code = CODES[held.info.dtype.code]
    for block, count in _blocks(held, files[id(held.file)]):
        summarise(block, code, count, scale, summary)
    return summary


def _decoded(encoded: Encoded, files: Readers) -> Iterator[NDArray[np.float64]]:
    def read(part: str, start: int, buffer: memoryview) -> None:
        stored = encoded.parts[part]
        files[id(stored.file)].read_into(buffer, stored.info.start + start)

    most = max(BLOCK_BYTES // 8, 1)
    for start in range(0, encoded.count, most):
        yield decode_block(encoded, start, min(most, encoded.count - start), read)


def _blocks(stored: Stored, file: Reader) -> Iterator[tuple[NDArray[np.uint8], int]]:
    size = stored.info.dtype.nbytes(1)
    buffer = np.empty(min(BLOCK_BYTES, _padded(stored.info.nbytes)), np.uint8)
    for start in range(0, stored.info.nbytes, BLOCK_BYTES):
        nbytes = min(BLOCK_BYTES, stored.info.nbytes - start)
        file.read_into(buffer.data[:nbytes], stored.info.start + start)
        yield buffer, nbytes // size


def _factored_norm(factored: Factored, files: Readers) -> Norm:
    left, right = (_matrix(one, files) for one in (factored.left, factored.right))
    nonfinite = sum(int(np.count_nonzero(~np.isfinite(one))) for one in (left, right))
    left, right = (np.nan_to_num(one, copy=False, nan=0, posinf=0, neginf=0) for one in (left, right))
    rows, columns = factored.shape
    norm = 0.0
    if rows and columns:
        with np.errstate(over="ignore"):  # a norm above 1.8e308 is infinite
            small = _triangle(left) @ _triangle(right.T).T  # at most (rank, rank)
            norm = abs(factored.scale) * float(np.linalg.norm(small))
    return Norm(norm, None, rows * columns, None, nonfinite)


def _triangle(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return R of the QR decomposition, as small as the matrix allows."""
    return np.asarray(np.linalg.qr(matrix, mode="r"))


def _matrix(matrix: Matrix, files: Readers) -> NDArray[np.float64]:
    info = matrix.stored.info
    raw = np.empty(_padded(info.nbytes), np.uint8)
    files[id(matrix.stored.file)].read_into(raw.data[: info.nbytes], info.start)
    numbers = np.empty(info.count)
    decode(raw, CODES[info.dtype.code], 0, info.count, numbers)
    shaped = numbers.reshape(info.shape)
    return shaped.T if matrix.transposed else shaped


def _padded(nbytes: int) -> int:
    """Return the bytes of a buffer that can be seen as numbers of any width."""
    return -(-nbytes // 8) * 8
