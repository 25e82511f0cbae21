"""Displacements packed into fewer bits while they are made, some rows or elements at a time, on the host.

What is packed depends on the numbers alone, whatever the pieces they come in.

Liu et al. (2024), "BitDelta", section 3.1, https://arxiv.org/abs/2402.10193; Dettmers et al. (2022),
"LLM.int8()", section 2, https://arxiv.org/abs/2208.07339
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from weightarith.engine.blocks import Block
from weightarith.engine.files import Inputs
from weightarith.engine.plan import Job
from weightarith.engine.refusals import miscounted, nonfinite_result, not_encodable
from weightarith.errors import NonFiniteError
from weightarith.kernels.accounts import ACCOUNTS, CHANGED, CROSS, INTENDED, NONFINITE, REALISED
from weightarith.kernels.encodings import (
    nonzero_places,
    pack_signs,
    quantise_rows,
    row_magnitudes,
    sign_scale,
)
from weightarith.kernels.linear import CODES, decode, encode
from weightarith.operators.field import row_length

Bytes = NDArray[np.uint8]
Doubles = NDArray[np.float64]
Make = Callable[[int, int], tuple[Bytes, Doubles]]
"""`make(start, count)` returns the bytes of some elements in the dtype of their job, and their account."""
Keep = Callable[[Block, memoryview, Doubles], None]
"""What is done with a block of a part: it is written, and its digest and its account are kept."""


@dataclass(frozen=True, eq=False)
class Displacement:
    """The numbers of one tensor that is stored encoded, made anew each time they are asked for.

    Attributes:
        block: one of the tensor's main part.
        job: what makes the numbers, see `encoding.as_values`.
        make: how they are made.
        tile: elements that are made at a time, a multiple of 8; a row is never cut where rows are asked for.
        inputs: for the error where a number is not finite.
        refuses: whether that is an error even where the encoding could hold it.
    """

    block: Block
    job: Job
    make: Make
    tile: int
    inputs: Inputs
    refuses: bool

    @property
    def kind(self) -> str:
        """The encoding."""
        return str(self.block.job.encoding)

    def unfit(self) -> NonFiniteError:
        """Return the error for numbers that the encoding cannot hold."""
        return not_encodable(self.job.name, self.kind)

    @property
    def columns(self) -> int:
        """Elements of a row."""
        return row_length(self.job.shape)

    def rows(self) -> Iterator[tuple[Doubles, Doubles]]:
        """Yield some rows at a time, (rows, columns), and their account."""
        height = max(self.tile // self.columns, 1)
        for _, numbers, account in self._pieces(height * self.columns):
            yield numbers.reshape(-1, self.columns), account

    def elements(self) -> Iterator[tuple[int, Doubles, Doubles]]:
        """Yield where some elements begin, the elements, and their account."""
        yield from self._pieces(self.tile)

    def _pieces(self, size: int) -> Iterator[tuple[int, Doubles, Doubles]]:
        for start in range(0, self.job.count, size):
            count = min(size, self.job.count - start)
            raw, account = self.make(start, count)
            if account[NONFINITE] and (self.refuses or self.kind != "sparse"):
                block = replace(self.block, job=self.job, start=start, count=count)
                raise nonfinite_result(block, self.inputs, raw) if self.refuses else self.unfit()
            numbers = np.empty(count)
            decode(raw, CODES[self.job.dtype.code], 0, count, numbers)
            yield start, numbers, account


def main_of(bundle: tuple[Block, ...]) -> Block:
    """Return the first block of the main part of an encoded tensor."""
    return next(block for block in bundle if block.job.is_main)


def pack(bundle: tuple[Block, ...], displacement: Displacement, keep: Keep) -> None:
    """Make every part of a tensor that is stored encoded, each block of it kept as soon as it is full.

    Args:
        bundle: the blocks of all parts, those of a part in their order.
        displacement: its numbers.
        keep: where the blocks go.

    Raises:
        NonFiniteError: a number is NaN or infinite and the policy refuses, or the encoding cannot hold it.
        InvalidFileError: an input changed since elements were counted.
    """
    parts: dict[str, _Part] = {}
    for block in bundle:
        parts.setdefault(block.job.part, _Part([], keep)).blocks.append(block)
    with np.errstate(over="ignore"):  # of squares that are only reported, and of scales, which are checked
        {"sign": _sign, "int8": _int8, "sparse": _sparse}[displacement.kind](displacement, parts)
    for one in parts.values():
        one.finish()


def count_nonzeros(displacement: Displacement) -> int:
    """Return how many elements a tensor that is stored sparsely keeps.

    Raises:
        NonFiniteError: a number is NaN or infinite and the policy refuses.
    """
    return sum(int(np.count_nonzero(numbers)) for _, numbers, _ in displacement.elements())


@dataclass
class _Part:
    """The bytes of one part, kept block by block as they come."""

    blocks: list[Block]
    keep: Keep
    account: Doubles = field(default_factory=lambda: np.zeros(ACCOUNTS))
    _held: bytearray = field(default_factory=bytearray)
    _done: int = 0

    def add(self, data: NDArray[np.generic], account: Doubles | float = 0.0) -> None:
        """Take the next bytes, and what is to be reported of them."""
        self._held += data.tobytes()
        self.account += account
        while self._done < len(self.blocks) and len(self._held) >= self.blocks[self._done].nbytes > 0:
            self._keep(self.blocks[self._done].nbytes)

    def finish(self) -> None:
        """Keep the one block of a part that is empty.

        Raises:
            InvalidFileError: there were fewer bytes, or more, than there is room for.
        """
        if self._done < len(self.blocks) and not self.blocks[self._done].nbytes:
            self._keep(0)
        if self._held or self._done < len(self.blocks):
            raise miscounted(self.blocks[0].job.tensor)

    def _keep(self, nbytes: int) -> None:
        data = memoryview(bytes(self._held[:nbytes]))
        del self._held[:nbytes]
        self.keep(self.blocks[self._done], data, self.account)
        self._done += 1
        self.account = np.zeros(ACCOUNTS)


def _sign(displacement: Displacement, parts: dict[str, _Part]) -> None:
    sums = (row_magnitudes(rows) for rows, _ in displacement.rows())
    scale = sign_scale(chain.from_iterable(sums), displacement.job.count)
    if not np.isfinite(scale):
        raise displacement.unfit()
    parts["scale"].add(np.asarray(scale))
    for _, numbers, account in displacement.elements():
        held = np.where(numbers > 0, float(scale), -float(scale))
        parts["sign"].add(pack_signs(numbers), _account(numbers, held, account))


def _int8(displacement: Displacement, parts: dict[str, _Part]) -> None:
    for rows, account in displacement.rows():
        steps, scales = quantise_rows(rows)
        if not np.isfinite(scales).all():
            raise displacement.unfit()
        held = scales[:, None].astype(np.float64) * steps
        parts[""].add(steps, _account(rows, held, account))
        parts["scale"].add(scales)


def _sparse(displacement: Displacement, parts: dict[str, _Part]) -> None:
    code = displacement.job.dtype.code
    places_of = np.int32 if parts["idx"].blocks[0].job.dtype.code == "I32" else np.int64
    for start, numbers, account in displacement.elements():
        places, kept = nonzero_places(numbers, start)
        nbytes = displacement.job.dtype.nbytes(kept.size)
        raw = np.empty(-(-nbytes // 8) * 8, np.uint8)
        encode(kept, raw, CODES[code], 0, kept.size)
        parts["idx"].add(places.astype(places_of))
        parts["val"].add(raw[:nbytes], account)


def _account(wanted: Doubles, held: Doubles, made: Doubles) -> Doubles:
    """Return the account of numbers that come back as `held`; `made` is that of making them."""
    account = np.zeros(ACCOUNTS)
    account[INTENDED] = made[INTENDED]
    account[REALISED] = np.sum(held * held)
    account[CROSS] = np.sum(wanted * held)
    account[CHANGED] = np.count_nonzero(held)
    return account
