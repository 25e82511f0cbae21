"""The plan run on processor cores: a thread reads a block of every operand, combines, hashes and writes it.

A thread holds one small workspace and reuses it for every block, so memory does not depend on the model.
Reading, arithmetic and writing of different threads overlap: none of them holds the interpreter's lock.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import chain

import numpy as np
import xxhash
from numpy.typing import NDArray

from weightarith.engine import counting
from weightarith.engine.bench import Bench, factor_account, side
from weightarith.engine.blocks import Block, Done, Outcome, Tally, block_elements, blocks_of, bundles_of
from weightarith.engine.crew import share_out
from weightarith.engine.factors import NO_FACTORS, FactorCache, Factors, load_factors
from weightarith.engine.files import Inputs, Outputs
from weightarith.engine.host import factor_bytes, placed, read_operands, row_bytes, without_arithmetic
from weightarith.engine.packing import main_of, pack
from weightarith.engine.plan import Job, Plan
from weightarith.engine.refusals import nonfinite_result
from weightarith.engine.settle import States, settle
from weightarith.engine.survey import survey
from weightarith.kernels.accounts import ACCOUNTS, NONFINITE
from weightarith.kernels.linear import CODES, NO_ANCHOR, Terms, combine, terms

Progress = Callable[[int], None]
"""Called now and then with the bytes read and written so far."""


def run(plan: Plan, inputs: Inputs, outputs: Outputs, *, threads: int, progress: Progress) -> Outcome:
    """Carry out `plan` and return its outcome; the first error of any thread stops all of them.

    Raises:
        NonFiniteError: a sum is NaN or infinite and the policy refuses.
        IncompatibleError: integer buffers differ and the policy refuses.
        InvalidFileError: an input changed.
        StorageError: the disk is full or failed.
    """
    tally = Tally(plan)
    factors = FactorCache(lambda job: load_factors(job.factors, inputs))
    bundles = bundles_of(plan)
    if bundles:
        keep_freed_memory()
    with one_thread_each() if bundles else nullcontext():
        states = survey(plan, Bench(inputs, plan.policy)) if bundles else {}
        workers = [_Worker(plan, inputs, outputs, factors, tally, states) for _ in range(threads)]
        pieces: Iterator[Block | tuple[Block, ...]] = chain(bundles, blocks_of(plan))
        share_out(pieces, workers, lambda: progress(tally.moved), inputs.abandon)
    return tally.outcome()


def count(plan: Plan, inputs: Inputs, *, threads: int, progress: Progress) -> dict[str, int]:
    """Return how many elements of each tensor that `plan` stores sparsely are not zero, by name.

    Raises:
        WeightArithError: see `run`.
    """
    keep_freed_memory()
    with one_thread_each():
        return counting.count(plan, [Bench(inputs, plan.policy) for _ in range(threads)], progress)


def keep_freed_memory() -> None:
    """Have glibc keep what arrays leave behind for the next ones, up to so much a thread.

    By default it gives every array of more than 128 KiB back to the system, which clears it for the next: for
    operators that work block by block this costs more than their arithmetic.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, 256 << 20)
        mallopt(_MMAP_THRESHOLD, 16 << 20)


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of mallopt's parameters, in malloc.h


def one_thread_each() -> AbstractContextManager[object]:
    """Return a context in which matrix products take one core: a run has threads of its own."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no stubs

    limits: AbstractContextManager[object] = threadpool_limits(1, "blas")
    return limits


class _Worker:
    """One thread's workspace, and how a block is made in it."""

    def __init__(
        self, plan: Plan, inputs: Inputs, outputs: Outputs, factors: FactorCache[Factors], tally: Tally,
        states: States,
    ) -> None:  # fmt: skip
        self._plan, self._inputs, self._outputs = plan, inputs, outputs
        self._factors, self._tally, self._states = factors, tally, states
        self._bench = Bench(inputs, plan.policy)
        jobs = [job for job in plan.jobs if not job.bundled]
        rows = max((len(job.operands) for job in jobs), default=0) + 2
        size = max((row_bytes(job, block_elements(job)) for job in jobs), default=8)
        self._workspace = np.empty((rows, size), np.uint8)
        self._rows = list(self._workspace)
        self._known: tuple[Job, Terms] | None = None

    def __call__(self, piece: Block | tuple[Block, ...]) -> None:
        """Make one block, or all blocks of a tensor that operators or encodings take part in."""
        if isinstance(piece, Block):
            self._make(piece)
        else:
            self._make_bundle(piece)

    def _make(self, block: Block) -> None:
        account = np.zeros(ACCOUNTS)
        if block.job.action == "compute":
            data = self._compute(block, account)
        else:
            data = without_arithmetic(block, self._inputs, self._rows)
        self._finish(block, data, account)

    def _make_bundle(self, bundle: tuple[Block, ...]) -> None:
        job = bundle[0].job
        settled = settle(job.form, job.tensor, job.tensor_shape, self._bench, self._states, job.anchor)
        if job.action == "encode":
            pack(bundle, self._bench.displacement(settled, main_of(bundle)), self._finish)
            self._bench.clear()
            return
        if job.action == "compute":
            room = self._bench.room(settled, job.anchor, job.dtype, max(block.count for block in bundle))
        for block in bundle:
            account = factor_account(settled, block.job)
            if job.action == "compute":
                row = room.combine(block.start, block.count, account, kept=job.kept)
                self._check(block, row, account)
                data = row.data[: block.nbytes]
            else:
                data = factor_bytes(block.job, side(settled, block.job), self._inputs)
            self._finish(block, data, account)
        self._bench.clear()

    def _finish(self, block: Block, data: memoryview, account: NDArray[np.float64]) -> None:
        """Write a block that is made, and keep its digest and its account."""
        if block.file >= 0:
            self._outputs.write(block.file, block.offset, data)
        self._tally.keep(block, Done(xxhash.xxh3_128_digest(data), account))

    def _compute(self, block: Block, account: NDArray[np.float64]) -> memoryview:
        job = block.job
        read_operands(block, self._inputs, self._rows)
        factors = self._factors.take(job, block.blocks) if job.factors else NO_FACTORS
        columns = factors.right.shape[1]
        first_row, last_row = block.start // columns, (block.start + block.count - 1) // columns
        out = len(self._rows) - 1
        combine(
            self._workspace,
            self._terms(job),
            0 if job.anchor is not None else NO_ANCHOR,
            CODES[job.anchor.info.dtype.code] if job.anchor is not None else 0,
            job.kept and job.anchor is not None,
            factors.left[first_row : last_row + 1] if job.factors else factors.left,
            factors.right,
            block.start - first_row * columns,
            out,
            CODES[job.dtype.code],
            block.count,
            account,
        )
        self._check(block, self._rows[out], account)
        return self._rows[out].data[: block.nbytes]

    def _check(self, block: Block, row: NDArray[np.uint8], account: NDArray[np.float64]) -> None:
        if account[NONFINITE] and self._plan.policy.nonfinite == "refuse":
            raise nonfinite_result(block, self._inputs, row)

    def _terms(self, job: Job) -> Terms:
        """Return what the kernel adds up for a job; the blocks of one come one after the other."""
        if self._known is None or self._known[0] is not job:
            groups = [
                (size, origin, [(row, CODES[one.stored.info.dtype.code], one.sign) for row, one in members])
                for size, origin, members in placed(job)
            ]
            self._known = job, terms(groups)
        return self._known[1]
