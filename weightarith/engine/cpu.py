"""The plan run on processor cores: a thread reads a block of every operand, combines, hashes and writes it.

A thread holds one small workspace and reuses it for every block, so memory does not depend on the model.
Reading, arithmetic and writing of different threads overlap: none of them holds the interpreter's lock.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xxhash
from numpy.typing import NDArray

from weightarith.engine.blocks import Block, Done, Outcome, Tally, block_elements, blocks_of
from weightarith.engine.crew import share_out
from weightarith.engine.factors import NO_FACTORS, FactorCache, Factors, load_factors
from weightarith.engine.files import Inputs, Outputs
from weightarith.engine.host import placed, read_operands, row_bytes, without_arithmetic
from weightarith.engine.plan import Job, Plan
from weightarith.engine.refusals import nonfinite_result
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
    factors = FactorCache(lambda job: load_factors(job, inputs))
    workers = [_Worker(plan, inputs, outputs, factors, tally) for _ in range(threads)]
    share_out(blocks_of(plan), workers, lambda: progress(tally.moved))
    return tally.outcome()


class _Worker:
    """One thread's workspace, and how a block is made in it."""

    def __init__(
        self, plan: Plan, inputs: Inputs, outputs: Outputs, factors: FactorCache[Factors], tally: Tally
    ) -> None:
        self._plan, self._inputs, self._outputs = plan, inputs, outputs
        self._factors, self._tally = factors, tally
        jobs = plan.jobs
        rows = max((len(job.operands) for job in jobs), default=0) + 2
        size = max((row_bytes(job, block_elements(job)) for job in jobs), default=8)
        self._workspace = np.empty((rows, size), np.uint8)
        self._rows = list(self._workspace)
        self._known: tuple[Job, Terms] | None = None

    def __call__(self, block: Block) -> None:
        """Make one block, write it, and keep its digest and its account."""
        account = np.zeros(ACCOUNTS)
        if block.job.action == "compute":
            data = self._compute(block, account)
        else:
            data = without_arithmetic(block, self._inputs, self._rows)
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
        if account[NONFINITE] and self._plan.policy.nonfinite == "refuse":
            raise nonfinite_result(block, self._inputs, self._rows[out])
        return self._rows[out].data[: block.nbytes]

    def _terms(self, job: Job) -> Terms:
        """Return what the kernel adds up for a job; the blocks of one come one after the other."""
        if self._known is None or self._known[0] is not job:
            groups = [
                (size, origin, [(row, CODES[one.stored.info.dtype.code], one.sign) for row, one in members])
                for size, origin, members in placed(job)
            ]
            self._known = job, terms(groups)
        return self._known[1]
