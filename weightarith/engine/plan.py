"""The plan of a run: every output byte accounted for before the first weight is read.

A plan is pure data made from headers: which tensor goes where in which file, what it is made of, what is
copied, and what is left out and why. All devices run the same plan.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Literal

from weightarith.algebra import Sum
from weightarith.engine.settings import Output, Policy
from weightarith.store import Factored
from weightarith.tensorfile.dtypes import DType
from weightarith.tensorfile.model import Stored, TensorFile

BLOCK_BYTES = 1 << 19
"""Output bytes of one unit of work: four operands of it fit the second-level cache (512 KiB)."""

Action = Literal["compute", "copy", "left", "right", "compare"]
"""How a job makes its bytes: a sum of blocks, the anchor's own bytes, one factor of a low-rank tensor, or no
bytes at all but a check that buffers agree."""


@dataclass(frozen=True, slots=True, eq=False)
class Operand:
    """One dense summand of one tensor, added or subtracted.

    `stored` may hold fewer or more rows than the job where the policy allows it: further rows are left out,
    missing rows count as `missing` says (the anchor's own rows for a checkpoint, zero for a vector).
    """

    stored: Stored
    sign: Literal[1, -1]
    missing: Literal["anchor", "zero"] = "zero"


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Operands that share a coefficient: `multiplier · (Σ ±operand − origin·anchor)`, multiplied once."""

    multiplier: float
    operands: tuple[Operand, ...]
    origin: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class LowRank:
    """One factored summand of one tensor."""

    factored: Factored
    coefficient: float


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

    @property
    def count(self) -> int:
        """Elements of the output."""
        return prod(self.shape)

    @property
    def operands(self) -> tuple[Operand, ...]:
        """The dense summands, group after group."""
        return tuple(operand for group in self.groups for operand in group.operands)

    @property
    def nbytes(self) -> int:
        """Bytes of the output; 0 for a mere comparison."""
        return 0 if self.action == "compare" else self.dtype.nbytes(self.count)

    @property
    def read_bytes(self) -> int:
        """Bytes read to make it."""
        stored = [o.stored for o in self.operands] + [s for _, s in self.alike]
        if self.anchor is not None:
            stored.append(self.anchor)
        total = sum(s.info.nbytes for s in stored)
        for low in self.factors:
            total += low.factored.left.stored.info.nbytes + low.factored.right.stored.info.nbytes
        return total


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
    anchor: str = ""  # label of the checkpoint the change is added to
    warnings: tuple[str, ...] = field(default=())

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
