"""Sums of settled forms in torch: the counterpart of `bench`, on a GPU or on the CPU.

A thread has a bench and, on a GPU, a stream of its own: different tensors overlap there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightarith.engine.blocks import Block
from weightarith.engine.encoding import as_values
from weightarith.engine.factors import load_factors
from weightarith.engine.files import Inputs, decoded
from weightarith.engine.form import LowRank
from weightarith.engine.packing import Displacement
from weightarith.engine.refusals import expect_finite_factors, nonfinite_operand
from weightarith.engine.settings import Policy
from weightarith.engine.settle import Evaluated, Part, Settled, evaluate
from weightarith.engine.torch_numbers import DTYPES, combine, numbers_in
from weightarith.engine.torch_numbers import Product as ProductAt
from weightarith.kernels.accounts import ACCOUNTS
from weightarith.operators.election import Election
from weightarith.operators.field import Product
from weightarith.store import Encoded
from weightarith.tensorfile.dtypes import DType
from weightarith.tensorfile.model import Stored

TILES = {"cuda": 1 << 22, "cpu": 1 << 15}
"""Elements that operators work on at a time: enough to keep a GPU busy; few enough for the cache of a CPU."""


class TorchBench:
    """What one thread needs to make any element of a settled form on its device."""

    def __init__(self, inputs: Inputs, where: torch.device, policy: Policy) -> None:
        self._inputs, self._where, self._refuses = inputs, where, policy.nonfinite == "refuse"
        self._staging = torch.empty(0, dtype=torch.uint8)
        self.tile = TILES[where.type]

    def stack(self, operands: tuple[Settled, ...], start: int, count: int) -> Tensor:
        """Return the values of operands, (operands, count).

        Raises:
            NonFiniteError: one of them is NaN or infinite, and the policy refuses.
        """
        out = torch.empty((len(operands), count), dtype=torch.float64, device=self._where)
        for row, operand in zip(out, operands, strict=True):
            self._sum(operand, None, False, start, row, max(count, 1))
            if self._refuses and not bool(torch.isfinite(row).all()):
                raise nonfinite_operand(operand.name, operand.sources, self._inputs)
        return out

    def load(self, factors: tuple[LowRank, ...], name: str) -> Product | None:
        """Return the stored factors of a tensor side by side, None for none."""
        if not factors:
            return None
        loaded = load_factors(factors, self._inputs)
        if self._refuses:
            expect_finite_factors(name, loaded, factors, self._inputs)
        left, right = (torch.from_numpy(each).to(self._where) for each in (loaded.left, loaded.right))
        return Product(left, right)

    def unformed(self, operands: tuple[Settled, ...]) -> bool:
        """Return that torch has to form operands for everything."""
        del operands
        return False

    def products(self, operands: tuple[Settled, ...], start: int, count: int) -> None:
        """Return that torch has to form operands for everything."""
        del operands, start, count

    def sizes_between(
        self, operands: tuple[Settled, ...], wanted: Mapping[int, Any], start: int, count: int
    ) -> Iterator[tuple[int, tuple[int, int, int, int]]]:
        """Do nothing: it is never asked."""
        del operands, wanted, start, count
        yield from ()

    def vote(
        self, operands: tuple[Settled, ...], election: Election, start: int, count: int, *, checked: bool,
        out: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Return what an election makes of a block, (count,)."""
        del checked, out
        made: Tensor = election(self.stack(operands, start, count), start)
        return made

    def empty(self, shape: tuple[int, ...], *, double: bool) -> Tensor:
        """Return room for a whole tensor."""
        return torch.empty(shape, dtype=torch.float64 if double else torch.float32, device=self._where)

    def displacement(self, settled: Settled, block: Block) -> Displacement:
        """Return the numbers of a tensor that is stored encoded; `block` is one of its main part."""
        job = as_values(block.job)

        def make(start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
            raw, accounts = self.block(settled, job.anchor, False, job.dtype, start, count, count)
            return raw, accounts[0]

        return Displacement(block, job, make, self.tile, self._inputs, self._refuses)

    def clear(self) -> None:
        """Let go of nothing: no room is laid out for the forms of a job."""

    def block(
        self, settled: Settled, anchor: Stored | None, kept: bool, out: DType, start: int, count: int,
        each: int,
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """Return the bytes of a run of blocks of `each` elements, and the account of each block."""
        if not count:  # one empty block
            return np.empty(0, np.uint8), np.zeros((1, ACCOUNTS))
        made = torch.empty(count, dtype=DTYPES[out.code], device=self._where)
        before = self._read(anchor, start, count, None) if anchor is not None else None
        accounts = self._sum(settled, before, kept, start, made, each)
        return made.view(torch.uint8).cpu().numpy(), accounts.cpu().numpy()

    def _sum(
        self, settled: Settled, anchor: Tensor | None, kept: bool, start: int, out: Tensor, each: int
    ) -> Tensor:
        count = out.numel()
        groups = [self._group(part, anchor, start, count) for part in settled.parts]
        product = None
        if settled.factors:
            left = torch.cat([one.left.to(torch.float64) for one in settled.factors], dim=1)
            right = torch.cat([one.right.to(torch.float64) for one in settled.factors], dim=0)
            product = ProductAt(left, right, start)
        return combine(anchor, kept, groups, product, out, each)

    def _group(
        self, part: Part, anchor: Tensor | None, start: int, count: int
    ) -> tuple[float, int, list[tuple[Tensor, int]]]:
        members: list[tuple[Tensor, int]] = []
        for stored, sign, missing in part.stored:
            members.append((self._read(stored, start, count, anchor if missing == "anchor" else None), sign))
        members += [(self._numbers(one, start, count), sign) for one, sign in part.made]
        return part.multiplier, part.origin, members

    def _numbers(self, made: Encoded | Evaluated, start: int, count: int) -> Tensor:
        if isinstance(made, Encoded):
            return torch.from_numpy(decoded(made, start, count, self._inputs)).to(self._where)
        numbers: Tensor = evaluate(made, start, count)
        return numbers

    def _read(self, stored: Stored, start: int, count: int, filler: Tensor | None) -> Tensor:
        """Return elements of a tensor; those that it lacks are the filler's, or zero."""
        size = stored.info.dtype.nbytes(1)
        held = max(min(count, stored.info.count - start), 0)
        staging = self._stage(count * size)
        self._inputs.read(stored, start * size, staging.numpy().data[: held * size])
        staging[held * size : count * size] = 0
        found = numbers_in(staging[: count * size].to(self._where, copy=True), stored.info.dtype.code, count)
        if held < count and filler is not None:
            found[held:] = filler[held:]
        return found

    def _stage(self, nbytes: int) -> Tensor:
        if self._staging.numel() < nbytes:
            locked = self._where.type == "cuda"
            self._staging = torch.empty(nbytes, dtype=torch.uint8, pin_memory=locked)
        return self._staging
