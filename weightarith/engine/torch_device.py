"""The plan run through torch: on a GPU, or on the CPU by the very same code so that every machine tests it.

Blocks, checksums and refusals are those of the CPU engine, and for sums of dense tensors so are the bytes.
Memory is bounded: buffers are made once, and sized to a budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from weightarith.engine import counting
from weightarith.engine.blocks import Block, Outcome, Tally, block_elements, bundles_of
from weightarith.engine.crew import share_out
from weightarith.engine.factors import FactorCache, load_factors
from weightarith.engine.files import Inputs, Outputs
from weightarith.engine.host import row_bytes
from weightarith.engine.plan import Job, Plan
from weightarith.engine.survey import survey
from weightarith.errors import RecipeError, StorageError

if TYPE_CHECKING:
    import torch

SPAN_BLOCKS = {"cuda": 32, "torch": 1}
"""Blocks in a span: 16 MiB of output make up for the start of some forty kernels; a CPU wants its cache."""

MEMORY = 2 << 30
"""Bytes of device memory that a run takes at most, if as much again is free."""

WAITING = 2
"""Threads on top of one a core: about so many are asleep at any time, their spans on the GPU."""


def run(
    plan: Plan,
    inputs: Inputs,
    outputs: Outputs,
    *,
    device: str,
    threads: int,
    progress: Callable[[int], None],
    memory: int | None = None,
    span_blocks: int | None = None,
) -> Outcome:
    """Carry out `plan` and return its outcome; the first error of any thread stops all of them.

    Args:
        plan: what to do.
        inputs: its input files, open.
        outputs: its output files, allocated.
        device: `cuda`, or `torch` for torch on the CPU.
        threads: readers and writers.
        progress: called now and then with the bytes read and written so far.
        memory: bytes of the device to stay within, if a block fits; operators take what they need on top.
        span_blocks: blocks done together, at most.

    Raises:
        RecipeError: torch or the GPU is not there.
        NonFiniteError: a sum is NaN or infinite and the policy refuses.
        IncompatibleError: integer buffers differ and the policy refuses.
        InvalidFileError: an input changed.
        StorageError: the disk is full or failed, or the GPU's memory is taken.
    """
    _require(device)
    import torch

    where, slots = _place(device), threads + WAITING * (device == "cuda")
    budget = memory if memory is not None else _free(where)
    room = fit(plan, slots, span_blocks or SPAN_BLOCKS[device], budget)
    try:
        return _run(plan, inputs, outputs, where, room, progress)
    except torch.OutOfMemoryError as error:
        raise _taken(device, f"{budget:,} bytes") from error


def count(
    plan: Plan, inputs: Inputs, *, device: str, threads: int, progress: Callable[[int], None]
) -> dict[str, int]:
    """Return how many elements of each tensor that `plan` stores sparsely are not zero, by name.

    Raises:
        WeightArithError: see `run`.
    """
    _require(device)
    import torch

    from weightarith.engine.torch_bench import TorchBench

    where = _place(device)
    try:
        makers = [TorchBench(inputs, where, plan.policy) for _ in range(threads)]
        return counting.count(plan, makers, progress)
    except torch.OutOfMemoryError as error:
        raise _taken(device, "what it needs") from error


def _place(device: str) -> torch.device:
    import torch

    return torch.device("cuda", torch.cuda.current_device()) if device == "cuda" else torch.device("cpu")


def _taken(device: str, what: str) -> StorageError:
    return StorageError(
        f"device {device}: {what} of its memory were free and are no longer",
        hint="another program uses it: wait, or use --device cpu",
    )


def _run(
    plan: Plan,
    inputs: Inputs,
    outputs: Outputs,
    where: torch.device,
    room: Room,
    progress: Callable[[int], None],
) -> Outcome:
    import torch

    from weightarith.engine.torch_bench import TorchBench
    from weightarith.engine.torch_spans import Lanes, Shared, Slot, Span, Worker, spans_of

    lanes, tally = Lanes(where), Tally(plan)

    def load(job: Job) -> tuple[torch.Tensor, torch.Tensor]:
        factors = load_factors(job.factors, inputs)
        with lanes.computing():  # so that their memory is reused in the order of that lane
            return torch.from_numpy(factors.left).to(where), torch.from_numpy(factors.right).to(where)

    bundles = bundles_of(plan)
    slots = [Slot(room.rows, room.row_bytes, room.span_blocks, where) for _ in range(room.slots)]
    try:
        _synchronise(where)  # what a caller's own kernels still use may have been given to us
        states = survey(plan, TorchBench(inputs, where, plan.policy)) if bundles else {}
        shared = Shared(plan, inputs, outputs, tally, lanes, FactorCache(load), states, room.span_blocks)
        workers = [Worker(shared, slot, TorchBench(inputs, where, plan.policy)) for slot in slots]
        pieces: Iterator[Span | tuple[Block, ...]] = chain(bundles, spans_of(plan, room.span_blocks))
        share_out(pieces, workers, lambda: progress(tally.moved))
    finally:
        _synchronise(where)  # after a failure copies may be under way, from and to memory about to be let go
    return tally.outcome()


@dataclass(frozen=True)
class Room:
    """Buffers of a run: `slots` spans under way, each of `rows` rows."""

    slots: int
    rows: int
    row_bytes: int
    span_blocks: int


def fit(plan: Plan, slots: int, span_blocks: int, budget: int) -> Room:
    """Return the largest buffers within `budget` bytes: shorter spans first, then fewer of them.

    A block is the least that can be done at a time, so one block in one slot is what a tiny budget gets.
    """
    while _needed(plan, slots, span_blocks) > budget and (span_blocks > 1 or slots > 1):
        if span_blocks > 1:
            span_blocks //= 2
        else:
            slots -= 1
    return Room(slots, _rows(plan), _row_bytes(plan, span_blocks), span_blocks)


def _needed(plan: Plan, slots: int, span_blocks: int) -> int:
    from weightarith.engine.torch_numbers import SCRATCH_BYTES

    sums = [job for job in plan.jobs if job.action == "compute" and not job.bundled]
    elements = max((min(job.count, span_blocks * block_elements(job)) for job in sums), default=0)
    factors = max((_factor_bytes(job) for job in sums), default=0)
    return slots * (_rows(plan) * _row_bytes(plan, span_blocks) + factors) + SCRATCH_BYTES * elements


def _rows(plan: Plan) -> int:
    return max((len(job.operands) for job in plan.jobs if not job.bundled), default=0) + 2


def _row_bytes(plan: Plan, span_blocks: int) -> int:
    jobs = (job for job in plan.jobs if not job.bundled)
    return max((row_bytes(job, span_blocks * block_elements(job)) for job in jobs), default=8)


def _factor_bytes(job: Job) -> int:
    return sum(8 * low.factored.rank * sum(low.factored.shape) for low in job.factors)


def _free(where: torch.device) -> int:
    import torch

    return min(MEMORY, torch.cuda.mem_get_info(where)[0] // 2) if where.type == "cuda" else MEMORY


def _synchronise(where: torch.device) -> None:
    import torch

    if where.type == "cuda":
        torch.cuda.synchronize(where)


def _require(device: str) -> None:
    try:
        import torch
    except ImportError as error:
        raise RecipeError(
            f"device {device} needs torch, which is not installed",
            hint='pip install "weightarith[gpu]", or --device cpu',
        ) from error
    if device == "cuda" and not torch.cuda.is_available():
        raise RecipeError(
            f"device cuda: torch {torch.__version__} finds no GPU", hint="--device cpu gives the same bytes"
        )
