"""From a sum to a plan: names aligned, coefficients settled tensor by tensor, outputs laid out. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from weightarith.algebra import ONE, ZERO, Checkpoint, Leaf, Sum, Term, Vector, shown
from weightarith.engine.align import Aligned, align_checkpoint, align_vector, names_of, piece_at
from weightarith.engine.gather import Dense, Gathered, Gatherer, nominal, terms_by_leaf
from weightarith.engine.plan import Entry, Job, LowRank, Operand, Plan
from weightarith.engine.settings import Output, Policy
from weightarith.engine.shards import output_file, output_files
from weightarith.engine.sidecars import sidecars
from weightarith.errors import DegreeError, IncompatibleError, UnsupportedError, quoted
from weightarith.names import layer_of
from weightarith.tensorfile.dtypes import DTYPES, DType
from weightarith.tensorfile.model import Stored, TensorFile


@dataclass
class _Drawing:
    """A plan being drawn: jobs and ledger entries as they are settled."""

    jobs: list[Job]
    comparisons: list[Job]
    ledger: list[Entry]


def build_plan(
    total: Sum, output: Output, *, policy: Policy | None = None, metadata: Mapping[str, str] | None = None
) -> Plan:
    """Return the plan that writes `total` to `output`; reads nothing, writes nothing.

    Args:
        total: a sum of degree 1 (a checkpoint) or 0 (a vector).
        output: where and in what form.
        policy: what may happen where inputs disagree; None refuses every disagreement.
        metadata: header metadata of the output's files.

    Raises:
        DegreeError: the sum, or what a selection leaves of it at one tensor, is neither.
        IncompatibleError: names, shapes or bases do not fit.
        UnsupportedError: arithmetic on a dtype that has none here.
    """
    policy = policy or Policy()
    kind = total.kind
    grouped = terms_by_leaf(total)
    anchor = _anchor(grouped, kind)
    names = sorted(_result_names(grouped, anchor))
    gatherer = _gatherer(grouped, anchor, names, policy)
    drawing = _Drawing([], [], [])
    for aligned, _ in gatherer.inputs:
        drawing.ledger += [Entry(name, "absent", reason) for name, reason in aligned.left_out]
    for name in names:
        shape, owner = _shape(name, grouped, anchor)
        found = gatherer.at(name, shape, owner)
        if kind == "checkpoint" and anchor is not None:
            _draw_weight(drawing, name, found, anchor, output.dtype, policy)
        else:
            _draw_displacement(drawing, name, shape, found, anchor, output.dtype, policy)
    return _finish(total, output, policy, drawing, anchor, metadata or {})


def _finish(
    total: Sum,
    output: Output,
    policy: Policy,
    drawing: _Drawing,
    anchor: Leaf | None,
    metadata: Mapping[str, str],
) -> Plan:
    kind = total.kind
    stem = "model" if kind == "checkpoint" else "vector"
    if output.path.suffix == ".safetensors":
        files = (output_file(output.path.name, drawing.jobs, metadata),)
    else:
        files = output_files(drawing.jobs, stem, output.shard_bytes, metadata)
    jobs = [*drawing.jobs, *drawing.comparisons]
    copies, warnings = sidecars(total, output, anchor) if kind == "checkpoint" else ((), ())
    if kind == "vector" and not drawing.jobs:
        warnings = (*warnings, "the vector is zero: every coefficient cancels, and no tensor is stored")
    return Plan(
        total=total, kind=kind, policy=policy, output=output, files=files,
        comparisons=tuple(drawing.comparisons), ledger=tuple(drawing.ledger), inputs=_files_read(jobs),
        copies=copies, anchor=anchor.label if anchor is not None and kind == "checkpoint" else "", warnings=warnings,
    )  # fmt: skip


def _anchor(grouped: Mapping[str, tuple[Leaf, tuple[Term, ...]]], kind: str) -> Leaf | None:
    """Return the checkpoint the rest is laid over: the one called `base`, else the heaviest, else by label.

    For a vector it is the checkpoint subtracted most; None where the sum holds no checkpoint. The order in
    which a sum is written plays no part, so it cannot change a byte.
    """
    sign = -1 if kind == "checkpoint" else 1
    models = [
        (leaf.label != "base", sign * nominal(terms), leaf.label, leaf)
        for leaf, terms in grouped.values()
        if isinstance(leaf, Checkpoint) and nominal(terms)
    ]
    return min(models, key=lambda model: model[:3])[3] if models else None


def _result_names(grouped: Mapping[str, tuple[Leaf, tuple[Term, ...]]], anchor: Leaf | None) -> set[str]:
    if anchor is not None:
        return names_of(anchor.source)
    return set().union(*(names_of(leaf.source) for leaf, _ in grouped.values()))


def _gatherer(
    grouped: Mapping[str, tuple[Leaf, tuple[Term, ...]]],
    anchor: Leaf | None,
    names: list[str],
    policy: Policy,
) -> Gatherer:
    inputs, bases = [], {}
    for leaf, terms in grouped.values():
        inputs.append((_align(leaf, anchor, policy), terms))
        if isinstance(leaf, Vector) and leaf.base is not None and leaf.source.replaced:
            bases[leaf.base.key] = _align(leaf.base, anchor, policy)
        for term in terms:
            for weighting in term.weightings:
                weighting.check(names)
    layers = [layer for name in names if (layer := layer_of(name)) is not None]
    return Gatherer(tuple(inputs), max(layers, default=-1) + 1, policy, bases)


def _align(leaf: Leaf, anchor: Leaf | None, policy: Policy) -> Aligned:
    if anchor is None or leaf.key == anchor.key:
        return Aligned(leaf, {}, frozenset(), ())
    if isinstance(leaf, Checkpoint):
        return align_checkpoint(leaf, anchor, policy)
    return align_vector(leaf, anchor, policy)


def _shape(
    name: str, grouped: Mapping[str, tuple[Leaf, tuple[Term, ...]]], anchor: Leaf | None
) -> tuple[tuple[int, ...], str]:
    """Return the shape of the result at `name`, and the input that sets it."""
    leaves = [anchor] if anchor is not None else [leaf for leaf, _ in grouped.values()]
    pieces = [(leaf, piece) for leaf in leaves if (piece := piece_at(leaf.source, name)) is not None]
    leaf, piece = pieces[0]
    return piece.shape, leaf.label


def _draw_weight(
    drawing: _Drawing, name: str, found: Gathered, anchor: Leaf, dtype: DType | None, policy: Policy
) -> None:
    own = found.dense.pop((anchor.key, "dense"))
    own.coefficient += found.folded
    others = [entry for entry in found.dense.values() if entry.coefficient]
    factors = [LowRank(factored, float(c)) for _, factored, c in found.factors if c]
    degree = own.coefficient + sum((entry.coefficient for entry in others if entry.point), ZERO)
    if degree != 1:
        raise DegreeError(
            f"at {quoted(name)} the coefficients on checkpoints sum to {shown(degree)} and not to 1, "
            "since a selection or schedule scales a single model there",
            hint="apply it to a difference: name one under let, and select on that",
        )
    stored = own.stored
    if not stored.info.dtype.arithmetic:
        _draw_buffer(drawing, name, stored, others, bool(factors), policy)
        return
    _check_arithmetic(name, others)
    wanted = dtype or stored.info.dtype
    moved = bool(others or factors or own.coefficient != 1)
    if not moved and wanted is stored.info.dtype:
        drawing.jobs.append(Job(name, "copy", wanted, stored.info.shape, anchor=stored))
        drawing.ledger.append(Entry(name, "copied", f"{anchor.label} (nothing is added here)"))
        return
    operands = [Operand(stored, float(own.coefficient - ONE))] if own.coefficient != 1 else []
    operands += [Operand(e.stored, float(e.coefficient), "anchor" if e.point else "zero") for e in others]
    drawing.jobs.append(
        Job(name, "compute", wanted, stored.info.shape, stored, tuple(operands), tuple(factors))
    )
    found.dense = {(anchor.key, "dense"): own, **found.dense}
    reason = found.formula()
    if any(entry.stored.info.shape != stored.info.shape for entry in others):
        reason += f" over the rows in common, the other rows as in {anchor.label} (policy vocabulary: base)"
    drawing.ledger.append(Entry(name, "changed", reason))


def _draw_buffer(
    drawing: _Drawing, name: str, stored: Stored, others: list[Dense], moved: bool, policy: Policy
) -> None:
    """Copy what cannot be added: integer buffers, and formats without arithmetic where all inputs agree."""
    if moved or any(not entry.point for entry in others):
        raise UnsupportedError(f"tensor {quoted(name)} is {stored.info.dtype.code}, and a vector moves it; "
                               "arithmetic is on F64, F32, F16 and BF16", hint="convert the model first")  # fmt: skip
    compared = policy.integers == "refuse" or not stored.info.dtype.integer
    alike = tuple((entry.label, entry.stored) for entry in others) if compared else ()
    _check_alike(name, stored, alike)
    drawing.jobs.append(Job(name, "copy", stored.info.dtype, stored.info.shape, anchor=stored, alike=alike))
    drawing.ledger.append(Entry(name, "copied", f"a buffer of {stored.info.dtype.code}"))


def _draw_displacement(
    drawing: _Drawing, name: str, shape: tuple[int, ...], found: Gathered, anchor: Leaf | None,
    dtype: DType | None, policy: Policy,
) -> None:  # fmt: skip
    dense = [entry for entry in found.dense.values() if entry.coefficient]
    factors = [LowRank(factored, float(c)) for _, factored, c in found.factors if c]
    degree = sum((entry.coefficient for entry in dense if entry.point), ZERO)
    if found.folded and degree != 0:
        drawing.ledger.append(Entry(name, "absent", "a model lacks it (policy names: base)"))
        return
    if degree != 0:
        raise DegreeError(f"at {quoted(name)} the coefficients on checkpoints sum to {shown(degree)} and not to 0",
                          hint="apply the selection to a difference: name one under let")  # fmt: skip
    if any(not entry.stored.info.dtype.arithmetic for entry in dense):
        _draw_comparison(drawing, name, dense, bool(factors), anchor, policy)
        return
    _check_rows(name, shape, dense)
    if not dense and not factors:
        drawing.ledger.append(Entry(name, "absent", "every coefficient is 0"))
        return
    double = any(entry.stored.info.dtype.code == "F64" for entry in dense)
    wanted = dtype or DTYPES["F64" if double else "F32"]
    drawing.ledger.append(Entry(name, "changed", found.formula()))
    if not dense:
        _draw_factors(drawing, name, wanted, tuple(factors))
        return
    only = dense[0] if len(dense) == 1 and not factors else None
    if only is not None and only.coefficient == 1 and only.stored.info.dtype is wanted:
        drawing.jobs.append(Job(name, "copy", wanted, shape, anchor=only.stored))
        return
    operands = tuple(Operand(entry.stored, float(entry.coefficient)) for entry in dense)
    drawing.jobs.append(Job(name, "compute", wanted, shape, None, operands, tuple(factors)))


def _draw_factors(drawing: _Drawing, name: str, dtype: DType, factors: tuple[LowRank, ...]) -> None:
    rank = sum(low.factored.rank for low in factors)
    rows, columns = factors[0].factored.shape
    drawing.jobs.append(Job(f"{name}::A", "right", dtype, (rank, columns), factors=factors))
    drawing.jobs.append(Job(f"{name}::B", "left", dtype, (rows, rank), factors=factors))


def _draw_comparison(
    drawing: _Drawing, name: str, dense: list[Dense], moved: bool, anchor: Leaf | None, policy: Policy
) -> None:
    first = dense[0].stored
    if moved or anchor is None or any(not entry.point for entry in dense):
        raise UnsupportedError(
            f"tensor {quoted(name)} is {first.info.dtype.code}; arithmetic is on F64, F32, F16 and BF16"
        )
    if policy.integers == "refuse" or not first.info.dtype.integer:
        alike = tuple((entry.label, entry.stored) for entry in dense[1:])
        _check_alike(name, first, alike)
        drawing.comparisons.append(
            Job(name, "compare", first.info.dtype, first.info.shape, anchor=first, alike=alike)
        )
    drawing.ledger.append(Entry(name, "absent", f"a buffer of {first.info.dtype.code} is no displacement"))


def _check_arithmetic(name: str, entries: list[Dense]) -> None:
    for entry in entries:
        if not entry.stored.info.dtype.arithmetic:
            raise UnsupportedError(f"tensor {quoted(name)} is {entry.stored.info.dtype.code} in {entry.label}; "
                                   "arithmetic is on F64, F32, F16 and BF16")  # fmt: skip


def _check_alike(name: str, stored: Stored, alike: tuple[tuple[str, Stored], ...]) -> None:
    for label, other in alike:
        if other.info.dtype is not stored.info.dtype or other.info.shape != stored.info.shape:
            raise IncompatibleError(
                f"tensor {quoted(name)}: expected {stored.info.dtype.code} {list(stored.info.shape)}, "
                f"found {other.info.dtype.code} {list(other.info.shape)} in {label}"
            )


def _check_rows(name: str, shape: tuple[int, ...], dense: list[Dense]) -> None:
    for entry in dense:
        if entry.stored.info.shape != shape:
            raise IncompatibleError(
                f"tensor {quoted(name)}: expected shape {list(shape)}, found {list(entry.stored.info.shape)} in "
                f"{entry.label}; policy vocabulary: base has a meaning only where a model is the result"
            )


def _files_read(jobs: list[Job]) -> tuple[TensorFile, ...]:
    found: dict[int, TensorFile] = {}
    for job in jobs:
        stored = [operand.stored for operand in job.operands] + [other for _, other in job.alike]
        stored += [job.anchor] if job.anchor is not None else []
        for low in job.factors:
            stored += [low.factored.left.stored, low.factored.right.stored]
        for one in stored:
            found.setdefault(id(one.file), one.file)
    return tuple(sorted(found.values(), key=lambda file: str(file.path)))
