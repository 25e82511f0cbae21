"""The plan of a run: every output byte accounted for before the first weight is read.

A plan is pure data made from headers: which tensor goes where in which file, what it is made of, what is
copied, and what is left out and why. All devices run the same plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, Literal

from weightarith.algebra import Sum
from weightarith.engine.form import Form, Group, LowRank, Node, Operand, Packed
from weightarith.engine.settings import Output, Policy
from weightarith.tensorfile.dtypes import DType
from weightarith.tensorfile.encoded import MAIN, MARK, Kind
from weightarith.tensorfile.model import Stored, TensorFile

BLOCK_BYTES = 1 << 19
"""Output bytes of one unit of work: four operands of it fit the second-level cache (512 KiB)."""

Action = Literal["compute", "copy", "left", "right", "encode", "compare"]
"""How a job makes its bytes: a sum of blocks, the anchor's own bytes, one factor of a low-rank tensor, one
part of an encoded one, or no bytes at all but a check that buffers agree."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One output tensor: where it goes and what it is made of."""

    name: str
    action: Action
    dtype: DType
    shape: tuple[int, ...]
    anchor: Stored | None = None  # the point that changes are measured from
    kept: bool = True  # whether the anchor is part of the result, or only subtracted
    groups: tuple[Group, ...] = ()
    factors: tuple[LowRank, ...] = ()
    alike: tuple[tuple[str, Stored], ...] = ()  # (label, tensor): must hold the anchor's very bytes
    product: tuple[int, ...] = ()  # of a factor or a part: the shape of the tensor it belongs to
    encoding: Kind | None = None  # of a part

    @property
    def count(self) -> int:
        """Elements of the output."""
        return prod(self.shape)

    @property
    def operands(self) -> tuple[Operand, ...]:
        """The dense summands, group after group."""
        return tuple(operand for group in self.groups for operand in group.operands)

    @property
    def packed(self) -> tuple[Packed, ...]:
        """The encoded summands, group after group."""
        return tuple(packed for group in self.groups for packed in group.packed)

    @property
    def tensor(self) -> str:
        """The name of the tensor that the job makes, or makes a part of."""
        return self.name.partition(MARK)[0]

    @property
    def part(self) -> str:
        """Which part of its tensor it makes; empty for all of it, or the part that has the tensor's name."""
        return self.name.partition(MARK)[2]

    @property
    def tensor_shape(self) -> tuple[int, ...]:
        """The shape of the tensor that the job makes, or makes a part of."""
        return self.product or self.shape

    @property
    def is_main(self) -> bool:
        """Whether it stands for its tensor in accounts: any job but the further parts of an encoded one."""
        return self.encoding is None or self.part == MAIN[self.encoding]

    @property
    def form(self) -> Form:
        """What is added to the anchor."""
        return Form(self.groups, self.factors)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The operators it takes part in, those inside others left aside."""
        return tuple(computed.node for group in self.groups for computed in group.made)

    @property
    def bundled(self) -> bool:
        """Whether its tensor is made by one thread, and not as blocks of bytes that are added up."""
        return self.action == "encode" or any(group.made or group.packed for group in self.groups)

    @property
    def stored(self) -> tuple[Stored, ...]:
        """Every stored tensor that is read to make it."""
        own = () if self.anchor is None else (self.anchor,)
        return (*own, *self.form.stored, *(stored for _, stored in self.alike))

    @property
    def nbytes(self) -> int:
        """Bytes of the output; 0 for a mere comparison."""
        return 0 if self.action == "compare" else self.dtype.nbytes(self.count)

    @property
    def read_bytes(self) -> int:
        """Bytes read to make it, each tensor counted as often as it is a summand.

        All parts of an encoded tensor are made at once; for signs, what they are of is measured first.
        """
        if not self.is_main:
            return 0
        return (1 + (self.encoding == "sign")) * sum(stored.info.nbytes for stored in self.stored)


@dataclass(frozen=True, eq=False)
class OutputFile:
    """One file to write: its name in the output folder, its header and the place of every job's bytes."""

    name: str
    header: bytes
    size: int
    jobs: tuple[Job, ...]
    starts: tuple[int, ...]  # absolute byte offset of each job


Fate = Literal["changed", "copied", "absent"]


@dataclass(frozen=True, slots=True)
class Entry:
    """What becomes of one tensor name, and why."""

    name: str
    fate: Fate
    reason: str


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything a run will do."""

    total: Sum
    kind: Literal["checkpoint", "vector"]
    policy: Policy
    output: Output
    files: tuple[OutputFile, ...]
    comparisons: tuple[Job, ...]
    ledger: tuple[Entry, ...]
    inputs: tuple[TensorFile, ...]  # every file a byte is read from
    copies: tuple[Path, ...] = ()  # config, tokenizer, chat template: taken from here as they are
    written: Mapping[str, bytes] = field(default_factory=dict)  # those of them that are not, by name
    anchor: str = ""  # label of the checkpoint the change is added to
    warnings: tuple[str, ...] = ()
    spared: tuple[str, ...] = ()  # tensors that are zero and not read: both sides lie in equal files
    uncounted: bool = False  # whether sparse tensors have room for every element, their own not counted yet
    surveyed: tuple[Job, ...] = ()  # what operators over the whole model look at; empty: its own jobs
    seen: dict[str, Any] | None = None  # where they leave it, by call, for the other parts of a plan

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Every job, in the order of the output's bytes; comparisons last."""
        return (*(job for file in self.files for job in file.jobs), *self.comparisons)

    @property
    def read_bytes(self) -> int:
        """Bytes that will be read."""
        return sum(job.read_bytes for job in self.jobs)

    @property
    def write_bytes(self) -> int:
        """Bytes of tensor files that will be written, headers included."""
        return sum(file.size for file in self.files)

    @property
    def counting_bytes(self) -> int:
        """Bytes that a pass before this one reads, to count what is not zero in sparse tensors."""
        return sum(job.read_bytes for job in self.jobs if job.encoding == "sparse") if self.uncounted else 0

    @property
    def dense_bytes(self) -> int:
        """Bytes of tensors that would be written if none was encoded: a measure of the work."""
        jobs = [job for file in self.files for job in file.jobs if job.is_main]
        return sum(4 * prod(job.tensor_shape) if job.encoding else job.nbytes for job in jobs)
