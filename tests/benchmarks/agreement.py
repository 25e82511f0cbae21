"""How far the weights of two bfloat16 models are apart, in units in the last place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weightarith.store import open_source
from weightarith.tensorfile.model import Stored
from weightarith.tensorfile.reader import OpenFile

CHUNK_BYTES = 1 << 22


@dataclass(frozen=True)
class Agreement:
    """Elements compared, those that differ, and the largest distance in units in the last place."""

    elements: int
    differing: int
    furthest: int


def compare(first: Path, second: Path) -> Agreement:
    """Return how two folders of the same bfloat16 tensors agree.

    Raises:
        ValueError: they do not hold the same tensors.
    """
    one, other = open_source(first).tensors, open_source(second).tensors
    if {n: s.info.shape for n, s in one.items()} != {n: s.info.shape for n, s in other.items()}:
        raise ValueError(f"{first} and {second} hold different tensors")
    parts = [_compare(one[name], other[name]) for name in one]
    return Agreement(
        sum(part.elements for part in parts),
        sum(part.differing for part in parts),
        max((part.furthest for part in parts), default=0),
    )


def _compare(one: Stored, other: Stored) -> Agreement:
    differing = furthest = 0
    with OpenFile(one.file) as left, OpenFile(other.file) as right:
        for start in range(0, one.info.nbytes, CHUNK_BYTES):
            size = min(CHUNK_BYTES, one.info.nbytes - start) // 2
            mine, theirs = np.empty(size, np.uint16), np.empty(size, np.uint16)
            left.read_into(mine.data, one.info.start + start)
            right.read_into(theirs.data, other.info.start + start)
            if not np.array_equal(mine, theirs):
                apart = np.abs(_in_order(mine) - _in_order(theirs))
                differing += int(np.count_nonzero(apart))
                furthest = max(furthest, int(apart.max()))
    return Agreement(one.info.count, differing, furthest)


def _in_order(bits: NDArray[np.uint16]) -> NDArray[np.int32]:
    """Return whole numbers in the order of the bfloat16 numbers, neighbours one apart, both zeros 0."""
    magnitude = (bits & np.uint16(0x7FFF)).astype(np.int32)
    return np.where(bits >> np.uint16(15), -magnitude, magnitude)
