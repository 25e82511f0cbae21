"""From a sum to a plan: names aligned, coefficients settled tensor by tensor, outputs laid out. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from weightarith.algebra import Sum
from weightarith.engine.draw import Drawing, draw_displacement, draw_weight
from weightarith.engine.encoding import encoded, encodings
from weightarith.engine.frame import Frame, frame_of
from weightarith.engine.gather import Gatherer
from weightarith.engine.plan import Entry, Job, OutputFile, Plan
from weightarith.engine.settings import Output, Policy
from weightarith.engine.shards import output_file, output_files
from weightarith.engine.sidecars import sidecars
from weightarith.engine.twins import without_twins
from weightarith.errors import RecipeError
from weightarith.store.naming import NAMES, OWN
from weightarith.tensorfile.encoded import KEY, encodings_text
from weightarith.tensorfile.model import TensorFile


def build_plan(
    total: Sum,
    output: Output,
    *,
    policy: Policy | None = None,
    metadata: Mapping[str, str] | None = None,
    kept: Mapping[str, int] | None = None,
) -> Plan:
    """Return the plan that writes `total` to `output`; no weight is read, nothing written.

    Args:
        total: a sum of degree 1 (a checkpoint) or 0 (a vector).
        output: where and in what form.
        policy: what may happen where inputs disagree; None refuses every disagreement.
        metadata: header metadata of the output's files.
        kept: of a sparse output, how many elements of each tensor are not zero; None makes room for all.

    Raises:
        RecipeError: an encoding for a checkpoint.
        DegreeError: the sum, or what a selection leaves of it at one tensor, is neither.
        IncompatibleError: names, shapes or bases do not fit.
        UnsupportedError: arithmetic on a dtype that has none here.
    """
    policy = policy or Policy()
    _check_encoding(total, output)
    frame = frame_of(total, policy)
    gatherer = Gatherer(total, frame)
    drawing = Drawing(ledger=_left_out(gatherer))
    for name in frame.names:
        shape, owner = frame.shape(name)
        found = gatherer.at(name, shape, owner)
        if total.kind == "checkpoint" and frame.anchor is not None:
            draw_weight(drawing, name, found, frame, frame.anchor, output.dtype or frame.dtype(name))
        else:
            draw_displacement(drawing, name, shape, found, frame, output.dtype)
    drawing.jobs, drawing.spared = without_twins(drawing.jobs)
    if output.encoding is not None:
        drawing.jobs = encoded(drawing.jobs, output.encoding, kept)
    said = _metadata(metadata or {}, drawing.jobs, frame)
    return _finish(total, output, frame, drawing, said, counted=kept is not None)


def _check_encoding(total: Sum, output: Output) -> None:
    if output.encoding is not None and total.kind == "checkpoint":
        raise RecipeError(
            f"the encoding {output.encoding} is one of vectors, and the result is a model",
            hint="a model is stored in fewer bits by a dtype, such as bfloat16",
        )


def _metadata(given: Mapping[str, str], jobs: list[Job], frame: Frame) -> dict[str, str]:
    """Return the header metadata, with what the tensors of the file are and whose names they have."""
    found = dict(given)
    kinds = encodings(jobs)
    if kinds:
        found[KEY] = encodings_text(kinds)
    if frame.own_names:
        found[NAMES] = OWN
    return found


def _finish(
    total: Sum, output: Output, frame: Frame, drawing: Drawing, metadata: Mapping[str, str], *, counted: bool
) -> Plan:
    kind, anchor = total.kind, frame.anchor
    if output.path.suffix == ".safetensors":
        files: tuple[OutputFile, ...] = (output_file(output.path.name, drawing.jobs, metadata),)
    else:
        stem = "model" if kind == "checkpoint" else "vector"
        files = output_files(drawing.jobs, stem, output.shard_bytes, metadata)
    jobs = [*drawing.jobs, *drawing.comparisons]
    beside = sidecars(total, output, frame, drawing.jobs)
    warnings = beside.warnings
    if kind == "vector" and not drawing.jobs:
        warnings = (*warnings, "the vector is zero: every coefficient cancels, and no tensor is stored")
    return Plan(
        total=total, kind=kind, policy=frame.policy, output=output, files=files,
        comparisons=tuple(drawing.comparisons), ledger=tuple(drawing.ledger), inputs=_files_read(jobs),
        copies=beside.copies, written=beside.written,
        anchor=anchor.label if anchor is not None and kind == "checkpoint" else "", warnings=warnings,
        spared=drawing.spared,
        uncounted=not counted and any(job.encoding == "sparse" for job in drawing.jobs),
    )  # fmt: skip


def _left_out(gatherer: Gatherer) -> list[Entry]:
    """Return an entry for each name that inputs hold and the result has no place for."""
    reasons: dict[str, list[str]] = {}
    for aligned in gatherer.aligned:
        for name, reason in aligned.left_out:
            reasons.setdefault(name, []).append(reason)
    return [Entry(name, "absent", "; ".join(each)) for name, each in sorted(reasons.items())]


def _files_read(jobs: list[Job]) -> tuple[TensorFile, ...]:
    found = {id(stored.file): stored.file for job in jobs for stored in job.stored}
    return tuple(sorted(found.values(), key=lambda file: str(file.path)))
