"""Jobs cut into blocks, and what is kept of each block when it is done.

The cut depends on the output alone, so neither threads nor devices can change a checksum or a sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xxhash
from numpy.typing import NDArray

from weightarith.engine.plan import BLOCK_BYTES, Job, Plan
from weightarith.kernels.accounts import ACCOUNTS

WHOLE = ("left", "right")  # jobs small enough to be made in one piece


@dataclass(frozen=True, slots=True)
class Block:
    """Elements `start … start + count` of one job, and where their bytes go."""

    number: int  # of the job in the plan
    index: int  # of the block in the job
    blocks: int  # the job has
    job: Job
    file: int  # of the output, -1 for a comparison
    offset: int  # in that file, bytes
    start: int
    count: int

    @property
    def nbytes(self) -> int:
        """Bytes of the block in its job's dtype."""
        return self.job.dtype.nbytes(self.count)


def blocks_of(plan: Plan) -> Iterator[Block]:
    """Yield every block of a plan, in the order of the output's bytes; comparisons last."""
    number = 0
    for file_number, file in enumerate(plan.files):
        for job, start in zip(file.jobs, file.starts, strict=True):
            yield from _cut(job, number, file_number, start)
            number += 1
    for job in plan.comparisons:
        yield from _cut(job, number, -1, 0)
        number += 1


def block_elements(job: Job) -> int:
    """Return the elements of a full block of `job`."""
    return max(job.count, 1) if job.action in WHOLE else BLOCK_BYTES * 8 // job.dtype.bits


def _cut(job: Job, number: int, file: int, place: int) -> Iterator[Block]:
    size = block_elements(job)
    blocks = max(-(-job.count // size), 1)  # an empty tensor still has its one, empty block
    for index in range(blocks):
        start = index * size
        count = min(size, job.count - start)
        yield Block(number, index, blocks, job, file, place + job.dtype.nbytes(start), start, count)


@dataclass(frozen=True)
class Done:
    """What is kept of one block: the digest of its bytes and the account of its numbers."""

    digest: bytes
    account: NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """What a run leaves to report, job by job in the order of the plan."""

    checksums: tuple[
        str, ...
    ]  # XXH3-128 of the tensor's bytes, or of its blocks' digests where it has several
    accounts: NDArray[np.float64]  # (jobs, ACCOUNTS)


def gather_outcome(plan: Plan, done: list[list[Done | None]]) -> Outcome:
    """Return the outcome of finished blocks, summed in the order of the blocks."""
    accounts = np.zeros((len(plan.jobs), ACCOUNTS))
    checksums = []
    for number, blocks in enumerate(done):
        finished = [block for block in blocks if block is not None]
        for block in finished:
            accounts[number] += block.account
        digests = [block.digest for block in finished]
        checksums.append(
            digests[0].hex() if len(digests) == 1 else xxhash.xxh3_128(b"".join(digests)).hexdigest()
        )
    return Outcome(tuple(checksums), accounts)
