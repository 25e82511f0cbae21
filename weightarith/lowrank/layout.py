"""Files for what was found: a vector that holds factors, or an adapter and beside it a vector of the rest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from weightarith.adapter.portable import CONFIG, TENSORS, Portable, plan_portable
from weightarith.algebra import ONE, ZERO, Sum, collect
from weightarith.engine.checksums import checksums
from weightarith.engine.plan import Plan
from weightarith.engine.settings import Output
from weightarith.export import Pair, fill_adapter, plan_gguf, write_gguf
from weightarith.lowrank.asking import asked_of
from weightarith.lowrank.decompose import Decomposed
from weightarith.lowrank.goal import Job, dtype_code
from weightarith.operators.compress import COMPRESS, UNCHANGED
from weightarith.operators.field import Field, Result
from weightarith.operators.made import Made
from weightarith.operators.statistics import on_host
from weightarith.provenance import vector_metadata
from weightarith.receipt import Asked, Receipt, to_bytes
from weightarith.saving import Run, carry_out, draw
from weightarith.store.stage import receipt_path, staged, write_small
from weightarith.tensorfile.digest import sha256_of
from weightarith.tensorfile.dtypes import DType
from weightarith.tensorfile.header import read_header

_SAID = ("weightarith.kind", "weightarith.spec")
"""Metadata of a vector that an adapter's header says otherwise."""


@dataclass(frozen=True, eq=False)
class Laid:
    """What will be written.

    Attributes:
        vector: the plan of a vector; for an adapter that of the residual, None where nothing is left.
        portable: the adapter, None for a vector.
        metadata: of the adapter's header.
    """

    vector: Plan | None
    portable: Portable | None = None
    metadata: Mapping[str, str] | None = None

    @property
    def write_bytes(self) -> int:
        """Bytes that are written."""
        vector = self.vector.write_bytes if self.vector is not None else 0
        return vector + (self.portable.size if self.portable is not None else 0)


def lay_out(job: Job, done: Decomposed) -> Laid:
    """Return what will be written; nothing is yet.

    Raises:
        IncompatibleError: nothing of the change can be carried by a LoRA.
        TargetError: a target must not be written.
    """
    if job.model is None:
        made = _chosen(job.made, done)
        return Laid(_drawn(job, collect(made.terms), job.goal.path, job.dtype))
    (total,) = job.made.operands
    metadata = vector_metadata(collect(job.made.terms), job.model.leaf)
    metadata = {key: value for key, value in metadata.items() if key not in _SAID}
    moving = {name: one for name, one in done.found.items() if one.norm}
    portable = plan_portable(
        job.model.base,
        {name: one.rank for name, one in moving.items() if one.rank is not None},
        others=[name for name, one in moving.items() if one.rank is None],
        dtype=dtype_code(job.goal),
        metadata=metadata,
    )
    rest = None
    if portable.left_out:
        rest = _drawn(job, total.weighted(Only(frozenset(portable.left_out))), job.residual, None)
    return Laid(rest, portable, metadata)


def write(
    job: Job,
    done: Decomposed,
    laid: Laid,
    receipt: Receipt,
    *,
    threads: int = 0,
    progress: Callable[[int], None] = lambda _moved: None,
) -> Receipt:
    """Write what was laid out, publish it at once or not at all, and return the receipt.

    Args:
        job: what `prepare` returned.
        done: what `decompose` returned, with a scratch file.
        laid: what `lay_out` returned.
        receipt: goes beside an adapter; a vector's is that of every vector.
        threads: at work at once; 0 is one a core.
        progress: called now and then with the bytes of vectors that are moved.

    Raises:
        WeightArithError: nothing is left behind, and what stood there is whole.
    """
    path, run = job.goal.path, Run("cpu", threads, progress)
    if laid.portable is None:
        if laid.vector is not None:
            carry_out(laid.vector, run, asked=asked_of(job))
        return receipt
    content = to_bytes(receipt)
    pairs = Pairs(done, [module.name for module in laid.portable.modules if module.rank])
    needed = laid.portable.size + 2 * len(content)
    with staged(path, needed=needed, overwrite=job.goal.overwrite) as stage:
        if job.goal.format == "gguf":
            write_gguf(stage / path.name, plan_gguf(laid.portable, metadata=laid.metadata), pairs)
        else:
            fill_adapter(stage, laid.portable, pairs)
        receipt = receipt | _identity(stage)
        write_small(stage / receipt_path(path).name, to_bytes(receipt))
        if laid.vector is not None:
            carry_out(laid.vector, run, asked=Asked(more={"residual_of": path.name}))
    return receipt


def _identity(stage: Path) -> dict[str, Any]:
    """Return what identifies the files of an adapter: of each its SHA-256, of its tensors their checksums."""
    files = sorted(path for path in stage.iterdir() if path.is_file())
    beside = {path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)} for path in files}
    tensors = [read_header(path) for path in files if path.name == TENSORS]
    found = {name: one for each in checksums(tensors) for name, one in each.items()}
    return {"beside": beside} | ({"checksums": found} if tensors else {})


def files_of(job: Job, laid: Laid) -> dict[str, int]:
    """Return the bytes of every file but receipts, by name; of a GGUF file those of its tensors."""
    if laid.portable is None:
        return {file.name: file.size for file in laid.vector.files} if laid.vector is not None else {}
    if job.goal.format == "gguf":
        return {job.goal.path.name: plan_gguf(laid.portable).size}
    return {CONFIG: len(laid.portable.config), TENSORS: laid.portable.layout.size}


@dataclass(frozen=True)
class Only:
    """All of a vector at some names, and nothing of it at others."""

    names: Collection[str]

    def factor(self, name: str, depth: int) -> Fraction:  # noqa: ARG002  (the protocol's signature)
        """Return 1 or 0."""
        return ONE if name in self.names else ZERO

    def check(self, names: Collection[str]) -> None:
        """Names that were found are there."""


class Pairs(Mapping[str, Pair]):
    """The factors of some tensors, read when they are asked for."""

    def __init__(self, done: Decomposed, names: Collection[str]) -> None:
        self._done, self._names = done, names

    def __getitem__(self, name: str) -> Pair:
        product = self._done.product(name)
        return Pair(on_host(product.left), on_host(product.right))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True, eq=False)
class Chosen(Made):
    """What `compress` makes, of a rank that was found for each tensor beforehand."""

    ranks: Mapping[str, int]

    def at(self, name: str, depth: int) -> dict[str, Any]:  # noqa: ARG002  (the rank does not depend on it)
        """Return the options, the rank found at tensor `name` among them, 0 where it stays whole."""
        return {"rank": self.ranks.get(name, 0), "energy": 0.0}


def _chosen(made: Made, done: Decomposed) -> Chosen:
    ranks = {name: one.rank for name, one in done.found.items() if one.rank is not None}
    operator = replace(COMPRESS, run=partial(_kept, done), rank=_rank)
    given = {each.name: getattr(made, each.name) for each in fields(Made)} | {"operator": operator}
    return Chosen(**given, ranks=ranks)


def _kept(done: Decomposed, field: Field, *, rank: int, energy: float) -> Result:
    del energy
    return done.product(field.name) if rank else UNCHANGED


def _rank(_shape: tuple[int, ...], _ranks: tuple[int | None, ...], *, rank: int, energy: float) -> int | None:
    del energy
    return rank or None


def _drawn(job: Job, total: Sum, path: Path, dtype: DType | None) -> Plan:
    return draw(total, Output(path, dtype, job.goal.shard_bytes, overwrite=job.goal.overwrite))
