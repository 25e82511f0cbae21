"""What an operator sees of its operands at one tensor, and what it may answer.

An operator never opens a file and never asks for more than it needs: it takes reductions over blocks first,
then answers with a rule for any block, with the coefficients of a sum, or with a whole tensor. The same code
runs on numpy arrays and on torch tensors; `array_namespace` of an array says which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np

Array = Any
"""A numpy array, or a torch tensor on any device."""

SAMPLE = 1 << 16
"""Elements that a sample of a tensor holds, at most."""

RUN = 2048
"""Consecutive elements of a sample: a run is read at once."""


class Field(Protocol):
    """Operands at one tensor: displacements or weights of one shape, as numbers.

    Attributes:
        name: the tensor's name.
        shape: of the tensor, and of every operand.
        count: elements of the tensor.
        keys: a number of 64 bits for each operand at this tensor, for random masks: equal for equal names.
        depth: layers of the model the tensor belongs to.
    """

    name: str
    shape: tuple[int, ...]
    count: int
    keys: tuple[int, ...]
    depth: int

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """Yield, in order, where a block starts and its values in float64, (operands, elements).

        A block is only valid until the next one is asked for.
        """
        ...

    def rows(self) -> Iterator[tuple[int, Array]]:
        """Yield the first row of a block and its values in float64, (operands, rows, columns).

        A row runs along the last axis; a tensor of one axis, or of none, is one row. As short-lived as
        `blocks`.
        """
        ...

    def sample(self) -> Array:
        """Return the values at up to `SAMPLE` places spread evenly over the tensor, (operands, places)."""
        ...

    def whole(self) -> tuple[Array, ...]:
        """Return every operand in full, each of `shape`: in float32, in float64 where an input is that wide.

        The arrays are the caller's own, to be changed or kept.
        """
        ...

    def factors(self) -> tuple[Product | None, ...]:
        """Return the factors of each operand that is stored as such; None for one that is dense."""
        ...


@dataclass(frozen=True, eq=False)
class Mixed:
    """The result is `Σ coefficients[i] · operand i`."""

    coefficients: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Blockwise:
    """The result is made element by element: `at(values, start)` gives (elements,) of (operands, elements).

    `start` is the number of the block's first element in the tensor.
    """

    at: Callable[[Array, int], Array]


@dataclass(frozen=True, eq=False)
class Rowwise:
    """The result is made row by row: `at(values, first)` gives (rows, columns) of (operands, rows, columns).

    `first` is the number of the block's first row.
    """

    at: Callable[[Array, int], Array]


@dataclass(frozen=True, eq=False)
class Whole:
    """The result in full, of the field's shape."""

    tensor: Array


@dataclass(frozen=True, eq=False)
class Product:
    """The result is `left @ right`, and stays so where it can.

    Where it approximates something, `norm` is the Frobenius norm of that and `error` the norm of what is left
    out; both are for the record.
    """

    left: Array  # (rows, rank)
    right: Array  # (rank, columns)
    norm: float | None = None
    error: float | None = None


Result = Mixed | Blockwise | Rowwise | Whole | Product


def is_plain(array: Array) -> bool:
    """Return whether compiled loops can go over an array: float64, contiguous, in the memory of the host."""
    return isinstance(array, np.ndarray) and array.dtype == np.float64 and array.flags.c_contiguous


def row_length(shape: tuple[int, ...]) -> int:
    """Return the elements of a row: the last axis, or the only element there is."""
    return shape[-1] if shape else 1


class Tensors:
    """A field of arrays in memory: for tests, and for those who call operators on tensors of their own."""

    def __init__(
        self,
        operands: Sequence[Array],
        *,
        name: str = "",
        keys: Sequence[int] = (),
        depth: int = 1,
        block: int = 1 << 15,
        factors: Sequence[Product | None] = (),
    ) -> None:
        from array_api_compat import array_namespace

        self._xp = array_namespace(*operands)
        self._given = tuple(operands)
        self._values = self._xp.stack(
            [self._xp.astype(self._xp.reshape(one, (-1,)), self._xp.float64) for one in operands]
        )
        self._block = block
        self._factors = tuple(factors) or (None,) * len(self._given)
        self.name, self.shape, self.depth = name, tuple(operands[0].shape), depth
        self.count = prod(self.shape)
        self.keys = tuple(keys) or tuple(range(len(self._given)))

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """Yield blocks of the length asked for."""
        for start in range(0, self._values.shape[1], self._block):
            yield start, self._values[:, start : start + self._block]

    def rows(self) -> Iterator[tuple[int, Array]]:
        """Yield as many rows as fill a block, one at least."""
        columns = row_length(self.shape)
        height = max(self._block // max(columns, 1), 1)
        values = self._xp.reshape(self._values, (len(self._given), -1, columns))
        for first in range(0, values.shape[1], height):
            yield first, values[:, first : first + height]

    def sample(self) -> Array:
        """Return the values at the places of `sample_runs`."""
        runs = sample_runs(self.count)
        return self._xp.concat([self._values[:, start : start + size] for start, size in runs], axis=1)

    def whole(self) -> tuple[Array, ...]:
        """Return copies of the operands as float64."""
        return tuple(self._xp.reshape(one, self.shape) for one in self._xp.asarray(self._values, copy=True))

    def factors(self) -> tuple[Product | None, ...]:
        """Return what was given."""
        return self._factors


def sample_runs(count: int) -> list[tuple[int, int]]:
    """Return runs of elements, start and length, that make up a sample of a tensor of `count` elements."""
    if count <= SAMPLE:
        return [(0, count)]
    runs = SAMPLE // RUN
    return [(int(start), RUN) for start in np.linspace(0, count - RUN, runs).astype(np.int64)]


def computed(result: Result, field: Field) -> Array:
    """Return a result as one tensor; for small ones, since all of it is in memory at once."""
    from array_api_compat import array_namespace

    match result:
        case Whole(tensor):
            return tensor
        case Product(left, right):
            xp = array_namespace(left)
            return xp.reshape(left @ right, field.shape)
    pieces = []
    if isinstance(result, Rowwise):
        for first, values in field.rows():
            made = result.at(values, first)
            pieces.append(array_namespace(made).reshape(made, (-1,)))
    else:
        for start, values in field.blocks():
            pieces.append(_mixed(result, values) if isinstance(result, Mixed) else result.at(values, start))
    xp = array_namespace(*pieces)
    return xp.reshape(xp.concat(pieces), field.shape)


def _mixed(result: Mixed, values: Array) -> Array:
    total = values[0] * result.coefficients[0]
    for number, value in zip(result.coefficients[1:], values[1:], strict=True):
        total = total + number * value
    return total
