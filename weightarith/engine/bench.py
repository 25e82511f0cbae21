"""Sums of settled forms on the CPU: rows of bytes read, operators evaluated beside them, all combined.

A thread has a `Bench` of its own, and a job is done by one thread, so nothing here is shared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from weightarith.engine.blocks import Block
from weightarith.engine.encoding import as_values
from weightarith.engine.factors import NO_FACTORS, load_factors
from weightarith.engine.files import Inputs, decoded
from weightarith.engine.form import LowRank
from weightarith.engine.packing import Displacement
from weightarith.engine.plan import Job
from weightarith.engine.refusals import expect_finite_factors, nonfinite_operand
from weightarith.engine.settings import Policy
from weightarith.engine.settle import Evaluated, Settled, evaluate
from weightarith.kernels.accounts import ACCOUNTS, CHANGED, CROSS, INTENDED, REALISED
from weightarith.kernels.formats import F64
from weightarith.kernels.fused import Forms
from weightarith.kernels.linear import CODES, NO_ANCHOR, Terms, combine, terms, values
from weightarith.kernels.paired import Paired, paired
from weightarith.operators.election import Election
from weightarith.operators.field import Product, row_length
from weightarith.operators.statistics import PAIRED, on_host
from weightarith.store import Encoded
from weightarith.tensorfile.dtypes import DType
from weightarith.tensorfile.model import Stored

TILE = 1 << 17
"""Elements that operators work on at a time: a few rows of float64 stay in the second-level cache."""

Doubles = NDArray[np.float64]


class Bench:
    """What one thread needs to make any element of a settled form."""

    tile = TILE

    def __init__(self, inputs: Inputs, policy: Policy) -> None:
        self._inputs, self._refuses = inputs, policy.nonfinite == "refuse"
        self._rooms: dict[int, tuple[tuple[Settled, ...], Room]] = {}

    def clear(self) -> None:
        """Let go of what was laid out for the forms of one job."""
        self._rooms.clear()

    def stack(self, operands: tuple[Settled, ...], start: int, count: int) -> Doubles:
        """Return the values of operands, (operands, count); overwritten by the next call for them.

        Raises:
            NonFiniteError: one of them is NaN or infinite, and the policy refuses.
        """
        room = self._filled(operands, start, count)
        out = room.stacked(count)
        for number, operand in enumerate(operands):
            self._expect_finite(room.values(number, start, out[number]), (operand,))
        return out

    def unformed(self, operands: tuple[Settled, ...]) -> bool:
        """Return whether operands need not be formed for what follows.

        Products of factors must be, and whatever may hold NaN, which compiled votes do not carry on.
        """
        return self._refuses and not any(operand.factors for operand in operands)

    def products(self, operands: tuple[Settled, ...], start: int, count: int) -> Doubles | None:
        """Return the inner products of a block of the operands; None if they have to be formed for that."""
        if not self.unformed(operands) or len(operands) > PAIRED:
            return None
        found, nonfinite = self._filled(operands, start, count).unformed.products(count)
        self._expect_finite(nonfinite, operands)
        return found

    def compared(self, operands: tuple[Settled, ...], start: int, count: int) -> Doubles | None:
        """Return what `products` does where two rows are enough for it, summed in an order of its own."""
        if not self.unformed(operands):
            return None
        return self._filled(operands, start, count).compared(count)

    def sizes_between(
        self, operands: tuple[Settled, ...], wanted: Mapping[int, tuple[float, float, Doubles]],
        start: int, count: int,
    ) -> Iterator[tuple[int, tuple[int, int, int, int]]]:  # fmt: skip
        """Yield how many magnitudes of each operand wanted lie about its bracket; those inside are kept."""
        forms = self._filled(operands, start, count).unformed
        for number, (low, high, kept) in wanted.items():
            *counts, nonfinite = forms.sizes_between(number, count, low, high, kept)
            self._expect_finite(nonfinite, (operands[number],))
            yield number, (counts[0], counts[1], counts[2], counts[3])

    def vote(
        self, operands: tuple[Settled, ...], election: Election, start: int, count: int, *, checked: bool,
        out: Doubles | None = None,
    ) -> Doubles:  # fmt: skip
        """Return what an election makes of a block, (count,), in `out` if that is given."""
        room = self._filled(operands, start, count)
        made = np.empty(count) if out is None else out
        nonfinite = room.unformed.vote(
            election.terms, made, normalize=election.normalize, plus=election.plus, checked=checked
        )
        self._expect_finite(nonfinite, operands)
        return made

    def _filled(self, operands: tuple[Settled, ...], start: int, count: int) -> Room:
        held = self._rooms.get(id(operands))
        if held is None or held[1].elements < count:
            held = operands, Room(operands, self._inputs, max(count, TILE))
            self._rooms[id(operands)] = held
        held[1].fill(start, count)
        return held[1]

    def _expect_finite(self, nonfinite: int, operands: tuple[Settled, ...]) -> None:
        if nonfinite and self._refuses:
            sources = tuple(source for operand in operands for source in operand.sources)
            raise nonfinite_operand(operands[0].name, sources, self._inputs)

    def load(self, factors: tuple[LowRank, ...], name: str) -> Product | None:
        """Return the stored factors of a tensor side by side, None for none."""
        if not factors:
            return None
        loaded = load_factors(factors, self._inputs)
        if self._refuses:
            expect_finite_factors(name, loaded, factors, self._inputs)
        return Product(loaded.left, loaded.right)

    def empty(self, shape: tuple[int, ...], *, double: bool) -> NDArray[np.floating]:
        """Return room for a whole tensor."""
        return np.empty(shape, np.float64 if double else np.float32)

    def displacement(self, settled: Settled, block: Block) -> Displacement:
        """Return the numbers of a tensor that is stored encoded; `block` is one of its main part."""
        job = as_values(block.job)
        room = self.room(settled, job.anchor, job.dtype, max(self.tile, row_length(job.shape)))

        def make(start: int, count: int) -> tuple[NDArray[np.uint8], Doubles]:
            account = np.zeros(ACCOUNTS)
            return room.combine(start, count, account, kept=False), account

        return Displacement(block, job, make, self.tile, self._inputs, self._refuses)

    def room(self, settled: Settled, anchor: Stored | None, out: DType, elements: int) -> Room:
        """Return room to make blocks of a job in, of up to so many elements."""
        return Room((settled,), self._inputs, elements, anchor, out)


class Room:
    """Rows for all that forms are made of, each stored tensor once, and how they are combined."""

    def __init__(
        self, forms: tuple[Settled, ...], inputs: Inputs, elements: int, anchor: Stored | None = None,
        out: DType | None = None,
    ) -> None:  # fmt: skip
        self.elements, self._inputs, self._anchor = elements, inputs, anchor
        self._code = CODES[out.code] if out is not None else F64
        self._stored: dict[tuple[int, bool], tuple[int, Stored]] = {}  # bool: missing rows are the anchor's
        self._made: list[tuple[int, Encoded | Evaluated]] = []
        self._height = 1  # the anchor's row comes first
        self._forms = [(self._laid_out(form), *_side_by_side(form.factors)) for form in forms]
        self.workspace = np.empty((self._height + 1, elements * 8), np.uint8)
        self._stack: Doubles | None = None

    def _laid_out(self, form: Settled) -> Terms:
        """Return the terms of a form, a row found for each of its summands."""
        groups = []
        for part in form.parts:
            members = []
            for stored, sign, missing in part.stored:
                key = id(stored), missing == "anchor"
                if key not in self._stored:
                    self._stored[key] = self._height, stored
                    self._height += 1
                members.append((self._stored[key][0], CODES[stored.info.dtype.code], int(sign)))
            for made, sign in part.made:
                self._made.append((self._height, made))
                members.append((self._height, F64, int(sign)))
                self._height += 1
            groups.append((part.multiplier, part.origin, members))
        return terms(groups)

    def stacked(self, count: int) -> Doubles:
        """Return a matrix of a row for each form, (forms, count); always the same memory."""
        if self._stack is None:
            self._stack = np.empty(len(self._forms) * self.elements)
        return self._stack[: len(self._forms) * count].reshape(len(self._forms), count)

    @cached_property
    def unformed(self) -> Forms:
        """The forms as machine code takes them that never writes their numbers out."""
        return Forms(self.workspace, [form for form, _, _ in self._forms])

    @cached_property
    def _paired(self) -> Paired | None:
        return paired([form for form, _, _ in self._forms])

    def compared(self, count: int) -> Doubles | None:
        """Return inner products, None where more than two rows are needed or not all is finite."""
        return None if self._paired is None else self._paired.products(self.workspace, count)

    def values(self, number: int, start: int, out: Doubles) -> int:
        """Write elements of a form, its rows filled, to `out`; return how many are NaN or infinite."""
        form, left, right = self._forms[number]
        rows, first = _rows(left, right, start, out.size)
        return values(self.workspace, form, rows, right, first, out)

    def combine(self, start: int, count: int, account: Doubles, *, kept: bool) -> NDArray[np.uint8]:
        """Return the bytes of a block, the change added to the anchor if that is kept."""
        self.fill(start, count)
        form, left, right = self._forms[0]
        rows, first = _rows(left, right, start, count)
        anchored = self._anchor is not None
        combine(
            self.workspace, form, 0 if anchored else NO_ANCHOR,
            CODES[self._anchor.info.dtype.code] if self._anchor is not None else 0,
            kept and anchored, rows, right, first, self._height, self._code, count, account,
        )  # fmt: skip
        row: NDArray[np.uint8] = self.workspace[self._height]
        return row

    def fill(self, start: int, count: int) -> None:
        """Read what is stored of a block, and decode or evaluate what is not."""
        if self._anchor is not None:
            self._read(0, self._anchor, start, count, filled=False)
        for (_, filled), (row, stored) in self._stored.items():
            self._read(row, stored, start, count, filled=filled)
        for row, made in self._made:
            numbers = self.workspace[row].view(np.float64)
            for offset in range(0, count, TILE):
                size = min(TILE, count - offset)
                self._make(made, start + offset, numbers[offset : offset + size])

    def _make(self, made: Encoded | Evaluated, start: int, out: Doubles) -> None:
        if isinstance(made, Encoded):
            out[:] = decoded(made, start, out.size, self._inputs)
            return
        numbers = evaluate(made, start, out.size, out)
        if numbers is not out:
            out[:] = numbers

    def _read(self, row: int, stored: Stored, start: int, count: int, *, filled: bool) -> None:
        """Read what a tensor holds of a block; rows that it lacks are the anchor's, or zero."""
        size = stored.info.dtype.nbytes(1)
        held = max(min(count, stored.info.count - start), 0)
        target = self.workspace[row]
        self._inputs.read(stored, start * size, target.data[: held * size])
        if held < count:
            rest = slice(held * size, count * size)
            target[rest] = self.workspace[0][rest] if filled else 0


def _rows(left: Doubles, right: Doubles, start: int, count: int) -> tuple[Doubles, int]:
    """Return the rows of the left factor that a block lies in, and where it begins in them."""
    columns = right.shape[1]
    if not left.shape[1] or not columns:
        return left, 0
    first_row, last_row = start // columns, (start + count - 1) // columns
    return left[first_row : last_row + 1], start - first_row * columns


def side(settled: Settled, job: Job) -> Doubles:
    """Return the factor that a job stores, of a form that is nothing but products.

    Where an operator kept fewer directions than it was laid out for, the others are zeros.
    """
    on_the_host = tuple(Product(on_host(one.left), on_host(one.right)) for one in settled.factors)
    left, right = _side_by_side(on_the_host)
    wanted, axis = (left, 1) if job.action == "left" else (right, 0)
    spare = [(0, 0), (0, 0)]
    spare[axis] = 0, job.shape[axis] - wanted.shape[axis]
    return np.pad(wanted, spare)


def factor_account(settled: Settled, job: Job) -> Doubles:
    """Return the account of a tensor stored in factors, kept with the left one: what they hold of it.

    It is only known where one operator made them, and said so.
    """
    account = np.zeros(ACCOUNTS)
    one = settled.factors[0] if len(settled.factors) == 1 else None
    if job.action == "left" and one is not None and one.norm is not None and one.error is not None:
        account[INTENDED] = one.norm**2
        account[REALISED] = account[CROSS] = max(one.norm**2 - one.error**2, 0.0)
        account[CHANGED] = prod(job.tensor_shape)
    return account


def _side_by_side(factors: tuple[Product, ...]) -> tuple[Doubles, Doubles]:
    if not factors:
        return NO_FACTORS.left, NO_FACTORS.right
    left = np.concatenate([np.asarray(one.left, np.float64) for one in factors], axis=1)
    right = np.concatenate([np.asarray(one.right, np.float64) for one in factors], axis=0)
    return np.ascontiguousarray(left), np.ascontiguousarray(right)
