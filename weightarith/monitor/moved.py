"""How far weights in training have moved from a base on the disk, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from math import prod

import numpy as np
import torch

from weightarith.algebra import Checkpoint
from weightarith.errors import IncompatibleError, RecipeError, quoted
from weightarith.kernels.linear import CODES, decode
from weightarith.monitor.overlap import Doubles
from weightarith.operators.field import row_length
from weightarith.tensorfile.model import Stored
from weightarith.tensorfile.reader import Readers, opened

_BLOCK = 1 << 20
"""Elements of a weight that are held against its base at a time."""


class Moved:
    """Weights that are trained themselves, and where their base lies.

    Args:
        weights: by name, in memory.
        base: the model they began from; needed where there are any.

    Raises:
        RecipeError: there are some, and no base.
        IncompatibleError: the base lacks one, or has it in another shape.
    """

    def __init__(self, weights: Mapping[str, torch.Tensor], base: Checkpoint | None) -> None:
        if weights and base is None:
            raise RecipeError(
                f"{quoted(min(weights))} is trained itself, and what it began from is not known",
                hint="name the base: WeightMonitor(…, base=FOLDER)",
            )
        self._weights, self._base = weights, base
        self._stored = {} if base is None else {name: _of(base, name, one) for name, one in weights.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._stored

    def opened(self) -> AbstractContextManager[Readers]:
        """Open the files of the base, as long as a `with` block lasts.

        Raises:
            InvalidFileError: one of them changed since the training began.
        """
        return opened(() if self._base is None or not self._stored else self._base.source.files)

    def rows(self, name: str, first: int, count: int, files: Readers) -> Doubles:
        """Return how far some rows of a weight have moved, (count, columns)."""
        weight, stored = self._weights[name].detach(), self._stored[name]
        width = row_length(tuple(weight.shape))
        now = weight.reshape(-1, width)[first : first + count].cpu().double().numpy()
        size, elements = stored.info.dtype.nbytes(1), count * width
        raw, before = np.empty(-(-elements * size // 8) * 8, np.uint8), np.empty(elements)
        files[id(stored.file)].read_into(
            raw.data[: elements * size], stored.info.start + first * width * size
        )
        decode(raw, CODES[stored.info.dtype.code], 0, elements, before)
        return np.asarray(now - before.reshape(count, width))

    def blocks(self, name: str, files: Readers) -> Iterator[tuple[int, Doubles]]:
        """Yield the first row of a block and how far its rows have moved."""
        shape = tuple(self._weights[name].shape)
        width = max(row_length(shape), 1)
        rows, height = prod(shape) // width, max(_BLOCK // width, 1)
        for first in range(0, rows, height):
            yield first, self.rows(name, first, min(height, rows - first), files)


def _of(base: Checkpoint, name: str, weight: torch.Tensor) -> Stored:
    stored = base.source.tensors.get(name)
    if stored is None or tuple(stored.info.shape) != tuple(weight.shape):
        there = "lacks it" if stored is None else f"has {list(stored.info.shape)}"
        raise IncompatibleError(
            f"{quoted(name)} is {list(weight.shape)} in the model that is trained, and the base {there}",
            hint="name the base that the training began from",
        )
    return stored
