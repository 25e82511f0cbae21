"""From a sum to a plan: names aligned, coefficients settled tensor by tensor, outputs laid out. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from weightarith.algebra import Checkpoint, Leaf, Sum, Term, Vector
from weightarith.engine.align import Aligned, align_checkpoint, align_vector, names_of, piece_at
from weightarith.engine.draw import Drawing, draw_displacement, draw_weight
from weightarith.engine.gather import Gatherer, nominal, terms_by_leaf
from weightarith.engine.plan import Entry, Job, OutputFile, Plan
from weightarith.engine.settings import Output, Policy
from weightarith.engine.shards import output_file, output_files
from weightarith.engine.sidecars import sidecars
from weightarith.names import layer_of
from weightarith.tensorfile.dtypes import DType
from weightarith.tensorfile.model import TensorFile
from weightarith.weighting import Weighting


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
    model = _model(grouped, anchor)
    names = sorted(_result_names(grouped, anchor))
    gatherer = _gatherer(grouped, anchor, names, policy)
    drawing = Drawing(ledger=_left_out(gatherer))
    for name in names:
        shape, owner = _shape(name, grouped, anchor)
        found = gatherer.at(name, shape, owner)
        if kind == "checkpoint" and anchor is not None:
            draw_weight(drawing, name, found, anchor, output.dtype or _dtype(model, name), policy)
        else:
            draw_displacement(drawing, name, shape, found, anchor, output.dtype, policy)
    return _finish(total, output, policy, drawing, anchor, model, metadata or {})


def _finish(
    total: Sum,
    output: Output,
    policy: Policy,
    drawing: Drawing,
    anchor: Leaf | None,
    model: Leaf | None,
    metadata: Mapping[str, str],
) -> Plan:
    kind = total.kind
    if output.path.suffix == ".safetensors":
        files: tuple[OutputFile, ...] = (output_file(output.path.name, drawing.jobs, metadata),)
    else:
        stem = "model" if kind == "checkpoint" else "vector"
        files = output_files(drawing.jobs, stem, output.shard_bytes, metadata)
    jobs = [*drawing.jobs, *drawing.comparisons]
    copies, warnings = sidecars(total, output, model) if kind == "checkpoint" else ((), ())
    if kind == "vector" and not drawing.jobs:
        warnings = (*warnings, "the vector is zero: every coefficient cancels, and no tensor is stored")
    return Plan(
        total=total, kind=kind, policy=policy, output=output, files=files,
        comparisons=tuple(drawing.comparisons), ledger=tuple(drawing.ledger), inputs=_files_read(jobs),
        copies=copies, anchor=anchor.label if anchor is not None and kind == "checkpoint" else "",
        warnings=warnings,
    )  # fmt: skip


def anchor_of(total: Sum) -> Leaf | None:
    """Return the checkpoint that the rest of a sum is laid over, None where it holds none."""
    return _anchor(terms_by_leaf(total), total.kind)


def _anchor(grouped: Mapping[str, tuple[Leaf, tuple[Term, ...]]], kind: str) -> Leaf | None:
    """Return the checkpoint the rest is laid over: the one called `base`, else the heaviest, else by label.

    For a vector it is the checkpoint subtracted most; None where the sum holds no checkpoint. The order in
    which a sum is written plays no part, so it cannot change a byte.
    """
    sign = -1 if kind == "checkpoint" else 1
    models = [
        (leaf.label != "base", sign * nominal(terms), leaf.label, leaf)
        for leaf, terms in grouped.values()
        if isinstance(leaf, Checkpoint) and any(term.coefficient for term in terms)
    ]
    return min(models, key=lambda model: model[:3])[3] if models else None


def _model(grouped: Mapping[str, tuple[Leaf, tuple[Term, ...]]], anchor: Leaf | None) -> Leaf | None:
    """Return the checkpoint whose dtypes, config and tokenizer the result takes.

    It is the one called `base` even where it cancels out of the sum, as in `base + (ft - base)`, unless its
    tensors are other ones, so that its config would not fit; else the anchor.
    """
    for leaf, _ in grouped.values():
        if anchor is not None and isinstance(leaf, Checkpoint) and leaf.label == "base":
            same = _shapes(leaf) == _shapes(anchor) and leaf.source.tied == anchor.source.tied
            return leaf if same else anchor
    return anchor


def _shapes(leaf: Leaf) -> dict[str, tuple[int, ...]]:
    return {name: stored.info.shape for name, stored in leaf.source.tensors.items()}


def _dtype(model: Leaf | None, name: str) -> DType | None:
    stored = model.source.tensors.get(name) if model is not None else None
    return stored.info.dtype if stored is not None and stored.info.dtype.arithmetic else None


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
    _check_weightings(grouped)
    inputs, bases = [], {}
    for leaf, terms in grouped.values():
        inputs.append((_align(leaf, anchor, policy), terms))
        if isinstance(leaf, Vector) and leaf.base is not None and leaf.source.replaced:
            bases[leaf.base.key] = _align(leaf.base, anchor, policy)
    layers = [layer for name in names if (layer := layer_of(name)) is not None]
    return Gatherer(tuple(inputs), max(layers, default=-1) + 1, policy, bases)


def _left_out(gatherer: Gatherer) -> list[Entry]:
    """Return an entry for each name that inputs hold and the result has no place for."""
    reasons: dict[str, list[str]] = {}
    for aligned, _ in gatherer.inputs:
        for name, reason in aligned.left_out:
            reasons.setdefault(name, []).append(reason)
    return [Entry(name, "absent", "; ".join(each)) for name, each in sorted(reasons.items())]


def _check_weightings(grouped: Mapping[str, tuple[Leaf, tuple[Term, ...]]]) -> None:
    """Refuse a weighting that touches nothing of what it weighs: it is most likely a slip of the pen."""
    weighed: dict[Weighting, set[str]] = {}
    for leaf, terms in grouped.values():
        for weighting in {each for term in terms for each in term.weightings}:
            weighed.setdefault(weighting, set()).update(names_of(leaf.source))
    for weighting, names in weighed.items():
        weighting.check(names)


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
