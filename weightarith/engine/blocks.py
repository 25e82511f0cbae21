"""Jobs cut into blocks, and what is kept of each block when it is done.

The cut depends on the output alone, so neither threads nor devices can change a checksum or a sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from threading import Lock

import numpy as np
import xxhash
from numpy.typing import NDArray

from weightarith.engine.plan import BLOCK_BYTES, Job, Plan
from weightarith.kernels.accounts import ACCOUNTS
from weightarith.tensorfile.dtypes import DType
from weightarith.tensorfile.model import Stored

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
    """Yield the blocks of jobs that are not bundled, in the order of the output's bytes; comparisons last."""
    for number, (job, file, start) in enumerate(_placed(plan)):
        if not job.bundled:
            yield from _cut(job, number, file, start)


def bundles_of(plan: Plan) -> list[tuple[Block, ...]]:
    """Return the blocks of jobs with operators or encodings, a bundle for each tensor, the largest first.

    An operator is asked for its answer once a tensor, so one thread makes all of it: all its parts if it is
    stored in several. The largest come first so that no thread is left alone with one at the end.
    """
    found: dict[str, list[Block]] = {}
    for number, (job, file, start) in enumerate(_placed(plan)):
        if job.bundled:
            found.setdefault(job.tensor, []).extend(_cut(job, number, file, start))
    return sorted(map(tuple, found.values()), key=lambda bundle: -prod(bundle[0].job.tensor_shape))


def reading_order(plan: Plan) -> Iterator[tuple[Stored, ...]]:
    """Yield what is read for one tensor after the other, as far as that is known, in the order of a run."""
    yield from (bundle[0].job.stored for bundle in bundles_of(plan))
    yield from (job.stored for job, _, _ in _placed(plan) if not job.bundled)


def _placed(plan: Plan) -> Iterator[tuple[Job, int, int]]:
    """Yield every job, the number of its file (-1 for none) and where it begins there."""
    for number, file in enumerate(plan.files):
        yield from ((job, number, start) for job, start in zip(file.jobs, file.starts, strict=True))
    yield from ((job, -1, 0) for job in plan.comparisons)


def block_elements(job: Job) -> int:
    """Return the elements of a full block of `job`."""
    return max(job.count, 1) if job.action in WHOLE else elements_in_block(job.dtype)


def elements_in_block(dtype: DType) -> int:
    """Return the elements of a full block of what is not made in one piece."""
    return BLOCK_BYTES // dtype.bits * 8


def blocks_in(job: Job) -> int:
    """Return the number of blocks of `job`; an empty tensor still has its one, empty block."""
    return max(-(-job.count // block_elements(job)), 1)


def _cut(job: Job, number: int, file: int, place: int) -> Iterator[Block]:
    size, blocks = block_elements(job), blocks_in(job)
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


def checksum_of(digests: Sequence[bytes]) -> str:
    """Return the checksum of a tensor from the XXH3-128 digests of its blocks.

    It is that of its only block, else the digest of theirs.
    """
    return digests[0].hex() if len(digests) == 1 else xxhash.xxh3_128_hexdigest(b"".join(digests))


class Tally:
    """What threads keep of the blocks of a plan, finished in any order."""

    def __init__(self, plan: Plan) -> None:
        self.moved = 0  # bytes read and written
        self._done: list[list[Done | None]] = [[None] * blocks_in(job) for job in plan.jobs]
        self._read = [job.read_bytes for job in plan.jobs]
        self._lock = Lock()

    def keep(self, block: Block, done: Done) -> None:
        """Take what is kept of a finished block."""
        self._done[block.number][block.index] = done
        read, count = self._read[block.number], max(block.job.count, 1)
        before, after = (read * place // count for place in (block.start, block.start + block.count))
        with self._lock:
            self.moved += after - before + block.nbytes

    def outcome(self) -> Outcome:
        """Return what all blocks come to, summed in their order, whichever was finished first."""
        accounts = np.zeros((len(self._done), ACCOUNTS))
        checksums = []
        for number, blocks in enumerate(self._done):
            finished = [block for block in blocks if block is not None]
            if len(finished) < len(blocks):
                raise RuntimeError(f"{len(blocks) - len(finished)} blocks of tensor {number} were never made")
            for block in finished:
                accounts[number] += block.account
            checksums.append(checksum_of([block.digest for block in finished]))
        return Outcome(tuple(checksums), accounts)
