"""A direction in the residual stream: one number for each of its elements, such as a refusal direction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weightarith.errors import RecipeError, UnsupportedError, quoted
from weightarith.kernels.linear import CODES, decode
from weightarith.tensorfile.header import read_header
from weightarith.tensorfile.model import Stored, TensorFile
from weightarith.tensorfile.reader import read_bytes


@dataclass(frozen=True)
class Direction:
    """Numbers, the name they go by, and the file they were read from, if from one."""

    numbers: tuple[float, ...]
    label: str
    file: TensorFile | None = field(default=None, repr=False, compare=False)  # where it lies changes nothing

    @property
    def array(self) -> NDArray[np.float64]:
        """The numbers, (stream,)."""
        return np.array(self.numbers, np.float64)


def open_direction(path: Path, label: str = "") -> Direction:
    """Return the direction in a safetensors file that holds one tensor of one axis.

    Raises:
        InvalidFileError: the file is not what its header says.
        UnsupportedError: it holds something else, or more.
    """
    file = read_header(path)
    found = [(name, info) for name, info in file.tensors.items()]
    if len(found) != 1 or len(found[0][1].shape) != 1 or found[0][1].dtype.code not in CODES:
        held = ", ".join(f"{quoted(name)} {list(info.shape)}" for name, info in found[:3]) or "nothing"
        raise UnsupportedError(
            f"{quoted(str(path))} is no direction: expected one float tensor of one axis, found {held}",
            hint="save the direction alone: save_file({'direction': r}, path)",
        )
    info = found[0][1]
    raw = np.zeros(-(-info.nbytes // 8) * 8, np.uint8)
    raw[: info.nbytes] = np.frombuffer(read_bytes(Stored(file, info)), np.uint8)
    numbers = np.empty(info.count, np.float64)
    decode(raw, CODES[info.dtype.code], 0, info.count, numbers)
    return Direction(tuple(numbers.tolist()), label or str(path), file)


def direction_of(value: object) -> Direction:
    """Return a direction given as such, or as numbers in a row.

    Raises:
        RecipeError: it is neither.
    """
    if isinstance(value, Direction):
        return value
    try:
        numbers = (
            () if isinstance(value, str) or not isinstance(value, Iterable) else tuple(map(float, value))
        )
    except (TypeError, ValueError):
        numbers = ()
    if not numbers:
        raise RecipeError("a direction is a row of numbers, or the input of a recipe: {direction: PATH}")
    return Direction(numbers, "numbers")
