"""Spans, runs of blocks that keep a GPU busy, and what one thread does with a span.

A thread reads a span into page-locked memory and waits while it is copied in, computed and copied out; other
threads read, hash and write meanwhile. The three steps have a stream each, so that different spans overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import groupby, islice
from threading import Lock

import numpy as np
import torch
import xxhash
from numpy.typing import NDArray
from torch import Tensor

from weightarith.engine.bench import factor_account, side
from weightarith.engine.blocks import Block, Done, Tally, block_elements, blocks_of
from weightarith.engine.factors import FactorCache
from weightarith.engine.files import Inputs, Outputs
from weightarith.engine.host import factor_bytes, placed, read_operands, without_arithmetic
from weightarith.engine.packing import main_of, pack
from weightarith.engine.plan import Plan
from weightarith.engine.refusals import nonfinite_result
from weightarith.engine.settle import States, settle
from weightarith.engine.torch_bench import TorchBench
from weightarith.engine.torch_numbers import Product, combine, numbers_in
from weightarith.kernels.accounts import ACCOUNTS, NONFINITE


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive blocks of one job, done together."""

    blocks: tuple[Block, ...]
    spans: int  # the job has

    @property
    def whole(self) -> Block:
        """The span as if it were one block."""
        return replace(self.blocks[0], count=sum(block.count for block in self.blocks))


def spans_of(plan: Plan, most: int) -> Iterator[Span]:
    """Yield every block of a plan in order, up to `most` of them at a time."""
    for _, group in groupby(blocks_of(plan), key=lambda block: block.number):
        blocks = iter(group)
        while together := tuple(islice(blocks, most)):
            yield Span(together, -(-together[0].blocks // most))


class Slot:
    """The buffers of one thread: a row for each operand and the result, on the host and on the device."""

    def __init__(self, rows: int, row_bytes: int, blocks: int, device: torch.device) -> None:
        gpu = device.type == "cuda"
        self.host = [_on_host(row_bytes, torch.uint8, gpu) for _ in range(rows)]
        self.device = [torch.empty_like(row, device=device) for row in self.host] if gpu else self.host
        self.rows = [row.numpy() for row in self.host]
        self._accounts = _on_host(blocks * ACCOUNTS, torch.float64, gpu).view(blocks, ACCOUNTS)
        self.accounts = self._accounts.numpy()

    def copy_in(self, row: int, nbytes: int) -> None:
        """Bring the first bytes of a row to the device."""
        if self.device is not self.host:
            self.device[row][:nbytes].copy_(self.host[row][:nbytes], non_blocking=True)

    def copy_out(self, nbytes: int, accounts: Tensor) -> None:
        """Bring the result, in the last row, and its accounts to the host."""
        if self.device is not self.host:
            self.host[-1][:nbytes].copy_(self.device[-1][:nbytes], non_blocking=True)
        self._accounts[: accounts.shape[0]].copy_(accounts, non_blocking=True)


def _on_host(count: int, dtype: torch.dtype, locked: bool) -> Tensor:
    return torch.empty(count, dtype=dtype, device="cpu", pin_memory=locked)


class Lanes:
    """The streams of a GPU that spans pass through: in, compute, out. On the CPU steps are done as asked."""

    def __init__(self, device: torch.device) -> None:
        self._turn = Lock()  # a span enters all three lanes before the next one enters the first
        lanes = 3 if device.type == "cuda" else 0
        self._streams = [torch.cuda.Stream(device) for _ in range(lanes)]  # type: ignore[no-untyped-call]

    def computing(self) -> AbstractContextManager[object]:
        """Return a context whose tensors belong to the lane that computes."""
        return torch.cuda.stream(self._streams[1]) if self._streams else nullcontext()

    def own(self) -> AbstractContextManager[object]:
        """Return a context whose work is done in a stream that no other thread uses."""
        return torch.cuda.stream(torch.cuda.Stream()) if self._streams else nullcontext()  # type: ignore[no-untyped-call]

    def run(self, *steps: Callable[[], None]) -> None:
        """Do three steps one after the other, and return when the last is done."""
        with self._turn:
            done = self._submit(steps)
        if done is not None:
            done.synchronize()

    def _submit(self, steps: tuple[Callable[[], None], ...]) -> torch.cuda.Event | None:
        done = None
        if not self._streams:
            for step in steps:
                step()
        for step, stream in zip(steps, self._streams, strict=False):
            with torch.cuda.stream(stream):
                if done is not None:
                    stream.wait_event(done)
                step()
                # blocking: a thread that waits sleeps, since readers need its core
                done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
                done.record(stream)
        return done


@dataclass(frozen=True, eq=False)
class Shared:
    """What the threads of one run have in common."""

    plan: Plan
    inputs: Inputs
    outputs: Outputs
    tally: Tally
    lanes: Lanes
    factors: FactorCache[tuple[Tensor, Tensor]]
    states: States
    span_blocks: int


class Worker:
    """One thread's slot, and how a span is made in it."""

    def __init__(self, shared: Shared, slot: Slot, bench: TorchBench) -> None:
        self._shared, self._slot, self._bench = shared, slot, bench

    def __call__(self, piece: Span | tuple[Block, ...]) -> None:
        """Make one span, or all blocks of a tensor that operators or encodings take part in."""
        if isinstance(piece, Span):
            self._make(piece)
        else:
            with self._shared.lanes.own():
                self._make_bundle(piece)

    def _make_bundle(self, bundle: tuple[Block, ...]) -> None:
        job, shared = bundle[0].job, self._shared
        settled = settle(job.form, job.tensor, job.tensor_shape, self._bench, shared.states, job.anchor)
        if job.action == "encode":
            pack(bundle, self._bench.displacement(settled, main_of(bundle)), self._keep)
            return
        if job.action != "compute":
            for block in bundle:
                wanted = side(settled, block.job)
                factor = factor_bytes(block.job, wanted, shared.inputs)
                self._keep(block, factor, factor_account(settled, block.job))
            return
        for first in range(0, len(bundle), shared.span_blocks):
            span = Span(bundle[first : first + shared.span_blocks], 1)
            whole, each = span.whole, block_elements(job)
            data, accounts = self._bench.block(
                settled, job.anchor, job.kept, job.dtype, whole.start, whole.count, each
            )
            self._refuse_nonfinite(span, accounts, data)
            for block, account in zip(span.blocks, accounts, strict=True):
                start = block.offset - whole.offset
                self._keep(block, data.data[start : start + block.nbytes], account)

    def _keep(self, block: Block, data: memoryview, account: NDArray[np.float64]) -> None:
        if block.file >= 0:
            self._shared.outputs.write(block.file, block.offset, data)
        self._shared.tally.keep(block, Done(xxhash.xxh3_128_digest(data), account))

    def _make(self, span: Span) -> None:
        if span.blocks[0].job.action == "compute":
            self._compute(span)
            return
        for block in span.blocks:
            data = without_arithmetic(block, self._shared.inputs, self._slot.rows)
            self._keep(block, data, np.zeros(ACCOUNTS))

    def _compute(self, span: Span) -> None:
        shared, slot, whole = self._shared, self._slot, span.whole
        read_operands(whole, shared.inputs, slot.rows)
        factors = shared.factors.take(whole.job, span.spans) if whole.job.factors else None
        slot.accounts[:] = 0.0
        if whole.count:
            self._combine(whole, factors)
        self._refuse_nonfinite(span, slot.accounts, slot.rows[-1])
        shared.outputs.write(whole.file, whole.offset, slot.rows[-1].data[: whole.nbytes])
        for block, account in zip(span.blocks, slot.accounts, strict=False):
            start = block.offset - whole.offset
            data = slot.rows[-1].data[start : start + block.nbytes]
            shared.tally.keep(block, Done(xxhash.xxh3_128_digest(data), account.copy()))

    def _combine(self, whole: Block, factors: tuple[Tensor, Tensor] | None) -> None:
        job, slot, count = whole.job, self._slot, whole.count
        stored = {row: operand.stored for row, operand in enumerate(job.operands, start=1)}
        if job.anchor is not None:
            stored[0] = job.anchor
        made: list[Tensor] = []  # kept until it is copied out

        def copy_in() -> None:
            for row, one in stored.items():
                slot.copy_in(row, one.info.dtype.nbytes(count))

        def compute() -> None:
            numbers = {
                row: numbers_in(slot.device[row], one.info.dtype.code, count) for row, one in stored.items()
            }
            groups = [
                (size, origin, [(numbers[row], one.sign) for row, one in members])
                for size, origin, members in placed(job)
            ]
            product = Product(*factors, whole.start) if factors is not None else None
            out = numbers_in(slot.device[-1], job.dtype.code, count)
            anchor = numbers[0] if job.anchor is not None else None
            made.append(combine(anchor, job.kept, groups, product, out, block_elements(job)))

        self._shared.lanes.run(copy_in, compute, lambda: slot.copy_out(whole.nbytes, made[0]))

    def _refuse_nonfinite(self, span: Span, accounts: NDArray[np.float64], row: NDArray[np.uint8]) -> None:
        if self._shared.plan.policy.nonfinite != "refuse":
            return
        for block, account in zip(span.blocks, accounts, strict=False):
            if account[NONFINITE]:
                start = block.offset - span.blocks[0].offset
                raise nonfinite_result(block, self._shared.inputs, row[start:])
