"""What a safetensors file holds, as its header tells it: names, dtypes, shapes and where the bytes are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from weightarith.tensorfile.afar import Afar
from weightarith.tensorfile.dtypes import DType


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor in a file: `start` and `stop` count bytes from the beginning of the file."""

    dtype: DType
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def count(self) -> int:
        """The number of elements; 1 for a scalar, 0 for an empty tensor."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes the data takes in the file."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Stamp:
    """What `stat` said of a file when its header was read; another stamp later means another file."""

    device: int
    inode: int
    size: int
    modified_ns: int


@dataclass(frozen=True, eq=False)
class TensorFile:
    """A validated safetensors file, tensors in the order of their offsets. Holds no open descriptor.

    One that lies `afar` is read from there, and nothing need be at its path.
    """

    path: Path
    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]
    stamp: Stamp
    header_sha256: str
    afar: Afar | None = None

    @property
    def sha256(self) -> str:
        """The SHA-256 of a file from afar, where it is known; nothing is hashed here."""
        return self.afar.sha256 if self.afar is not None else ""


@dataclass(frozen=True, eq=False, slots=True)
class Stored:
    """One tensor together with the file that stores it."""

    file: TensorFile
    info: TensorInfo
