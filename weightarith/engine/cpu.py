"""The plan run on processor cores: a thread reads a block of every operand, combines, hashes and writes it.

A thread holds one small workspace and reuses it for every block, so memory does not depend on the model.
Reading, arithmetic and writing of different threads overlap: none of them holds the interpreter's lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import xxhash
from numpy.typing import NDArray

from weightarith.engine.blocks import Block, Done, Outcome, block_elements, blocks_of, gather_outcome
from weightarith.engine.factors import FactorCache, load_factors
from weightarith.engine.files import Inputs, Outputs
from weightarith.engine.plan import Job, Operand, Plan
from weightarith.engine.refusals import differing_buffer, nonfinite_result
from weightarith.kernels.accounts import ACCOUNTS, NONFINITE
from weightarith.kernels.linear import CODES, NO_ANCHOR, combine, encode
from weightarith.tensorfile.model import Stored

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
    crew = _Crew(plan, inputs, outputs)
    workers = [threading.Thread(target=crew.work, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        for worker in workers:
            while worker.is_alive():
                worker.join(0.1)
                progress(crew.moved)
    finally:
        crew.stopped.set()
        for worker in workers:
            worker.join()
    if crew.failure is not None:
        raise crew.failure
    progress(crew.moved)
    return gather_outcome(plan, crew.done)


class _Crew:
    """What the threads of one run share: the blocks still to do and the results so far."""

    def __init__(self, plan: Plan, inputs: Inputs, outputs: Outputs) -> None:
        self.plan, self.inputs, self.outputs = plan, inputs, outputs
        self.factors = FactorCache(inputs)
        self.stopped = threading.Event()
        self.failure: BaseException | None = None
        self.moved = 0
        self.done: list[list[Done | None]] = []
        self._blocks: Iterator[Block] = blocks_of(plan)
        self._lock = threading.Lock()
        jobs = plan.jobs
        self._rows = max((len(job.operands) for job in jobs), default=0) + 2
        self._row_bytes = max((_row_bytes(job) for job in jobs), default=8)

    def work(self) -> None:
        """Do blocks until none is left or a thread failed."""
        workspace = np.empty((self._rows, self._row_bytes), np.uint8)
        try:
            while (block := self._next()) is not None:
                done = self._do(block, workspace)
                self.done[block.number][block.index] = done
        except BaseException as error:  # handed to the thread that waits, which raises it
            with self._lock:
                self.failure = self.failure or error
            self.stopped.set()

    def _next(self) -> Block | None:
        with self._lock:
            block = None if self.stopped.is_set() else next(self._blocks, None)
            if block is not None:
                while len(self.done) <= block.number:
                    self.done.append([None] * block.blocks)
                self.moved += block.nbytes * (len(block.job.operands) + 2)
            return block

    def _do(self, block: Block, workspace: NDArray[np.uint8]) -> Done:
        account = np.zeros(ACCOUNTS)
        if block.job.action in ("left", "right"):
            data = self._factor(block.job)
        elif block.job.action == "compute":
            data = self._compute(block, workspace, account)
        else:
            data = self._copy(block, workspace)
        if block.file >= 0:
            self.outputs.write(block.file, block.offset, data)
        return Done(xxhash.xxh3_128_digest(data), account)

    def _compute(
        self, block: Block, workspace: NDArray[np.uint8], account: NDArray[np.float64]
    ) -> memoryview:
        job = block.job
        rows, coefficients = read_operands(block, self.inputs, workspace)
        codes = [CODES[operand.stored.info.dtype.code] for operand in job.operands]
        factors = self.factors.take(job, block.blocks)
        columns = factors.right.shape[1]
        first_row = block.start // columns
        out = workspace.shape[0] - 1
        combine(
            workspace,
            np.array(rows, np.int64),
            np.array(codes, np.int64),
            np.array(coefficients, np.float64),
            0 if job.anchor is not None else NO_ANCHOR,
            CODES[job.anchor.info.dtype.code] if job.anchor is not None else 0,
            factors.left[first_row : (block.start + block.count - 1) // columns + 1]
            if job.factors
            else factors.left,
            factors.right,
            block.start - first_row * columns,
            out,
            CODES[job.dtype.code],
            block.count,
            account,
        )
        if account[NONFINITE] and self.plan.policy.nonfinite == "refuse":
            raise nonfinite_result(block, self.inputs, workspace[out])
        return workspace[out].data[: block.nbytes]

    def _copy(self, block: Block, workspace: NDArray[np.uint8]) -> memoryview:
        job = block.job
        own, other = (workspace[row].data[: block.nbytes] for row in (0, 1))
        start = job.dtype.nbytes(block.start)
        if job.anchor is not None:
            self.inputs.read(job.anchor, start, own)
        for label, stored in job.alike:
            self.inputs.read(stored, start, other)
            if own != other:
                raise differing_buffer(job.name, label, job.dtype)
        return own

    def _factor(self, job: Job) -> memoryview:
        factors = load_factors(job, self.inputs)
        wanted = factors.left if job.action == "left" else factors.right
        raw = np.empty(-(-job.nbytes // 8) * 8, np.uint8)
        encode(np.ascontiguousarray(wanted).reshape(-1), raw, CODES[job.dtype.code], 0, job.count)
        return raw.data[: job.nbytes]


def read_operands(
    block: Block, inputs: Inputs, workspace: NDArray[np.uint8]
) -> tuple[list[int], list[float]]:
    """Read the block of every operand into the workspace; the anchor lies in row 0, once.

    Returns:
        The row and the coefficient of each operand.
    """
    job = block.job
    if job.anchor is not None:
        _read_block(block, job.anchor, inputs, workspace[0])
    rows, coefficients = [], []
    free = 1
    for operand in job.operands:
        if operand.stored is job.anchor:
            rows.append(0)
        else:
            _read_operand(block, operand, inputs, workspace, free)
            rows.append(free)
            free += 1
        coefficients.append(operand.coefficient)
    return rows, coefficients


def _read_operand(
    block: Block, operand: Operand, inputs: Inputs, workspace: NDArray[np.uint8], row: int
) -> None:
    size = operand.stored.info.dtype.nbytes(1)
    held = _read_block(block, operand.stored, inputs, workspace[row])
    if held == block.count:
        return
    if operand.missing == "anchor":  # same dtype, or the plan would have refused
        workspace[row, held * size : block.count * size] = workspace[0, held * size : block.count * size]
    else:
        workspace[row, held * size : block.count * size] = 0


def _read_block(block: Block, stored: Stored, inputs: Inputs, row: NDArray[np.uint8]) -> int:
    """Read what a tensor holds of a block, and return how many of its elements that is."""
    size = stored.info.dtype.nbytes(1)
    held = max(min(block.count, stored.info.count - block.start), 0)
    inputs.read(stored, block.start * size, row.data[: held * size])
    return held


def _row_bytes(job: Job) -> int:
    if job.action in ("left", "right"):
        return 8
    stored = [operand.stored for operand in job.operands] + ([job.anchor] if job.anchor is not None else [])
    widest = max([job.dtype.bits, *(one.info.dtype.bits for one in stored)])
    elements = min(block_elements(job), max(job.count, 1))
    return -(-elements * widest // 64) * 8
