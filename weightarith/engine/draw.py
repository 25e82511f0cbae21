"""What is done at one tensor name: a job that makes its bytes, and a ledger entry that says why. Pure.

Only tensors that something is added to are computed; all others are copied, bits and all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import prod

from weightarith.algebra import Leaf
from weightarith.engine.form import Form, LowRank
from weightarith.engine.frame import Frame
from weightarith.engine.gather import Coded, Dense, Gathered
from weightarith.engine.plan import Action, Entry, Job
from weightarith.engine.settings import Policy
from weightarith.engine.summands import Summand, groups, low_rank
from weightarith.errors import DegreeError, IncompatibleError, UnsupportedError, quoted
from weightarith.tensorfile.dtypes import DTYPES, DType
from weightarith.tensorfile.model import Stored
from weightarith.wording import shown

_SUMMABLE = "arithmetic is on F64, F32, F16 and BF16"


@dataclass
class Drawing:
    """A plan being drawn: jobs and ledger entries as they are settled."""

    jobs: list[Job] = field(default_factory=list)
    comparisons: list[Job] = field(default_factory=list)
    ledger: list[Entry] = field(default_factory=list)
    spared: tuple[str, ...] = ()


def draw_weight(
    drawing: Drawing, name: str, found: Gathered, frame: Frame, anchor: Leaf, dtype: DType | None
) -> None:
    """Settle one tensor of a checkpoint: `anchor` and what is added to it, stored as `dtype` or as it is.

    Raises:
        DegreeError: a selection leaves the weight of the models at something else than 1.
        UnsupportedError: something is to be added to, or of, a dtype without arithmetic.
        IncompatibleError: buffers, or rows that are not there, do not fit.
    """
    own = found.own(anchor, name)
    own.coefficient += found.folded
    others = [entry for entry in found.dense.values() if entry.coefficient]
    factors = low_rank(name, found) if own.stored.info.count else ()
    degree = own.coefficient + found.degree
    if degree != 1:
        raise DegreeError(
            f"at {quoted(name)} the coefficients on checkpoints sum to {shown(degree)} and not to 1, "
            "since a selection or schedule scales a single model there",
            hint="apply it to a difference: name one under let, and select on that",
        )
    stored = own.stored
    if not stored.info.dtype.arithmetic:
        _draw_buffer(drawing, name, stored, list(found.everything()), found.packs, frame.policy)
        return
    _check_arithmetic(name, found.everything())
    summands: list[Summand] = [*others, *found.encoded, *found.calls]
    moved = bool(summands or factors or own.coefficient != 1)
    shape, wanted = stored.info.shape, dtype or stored.info.dtype
    if not moved and wanted is stored.info.dtype:
        drawing.jobs.append(Job(name, "copy", wanted, shape, anchor=stored))
        drawing.ledger.append(Entry(name, "copied", f"{anchor.label} (nothing is added here)"))
        return
    added = groups(name, summands)
    drawing.jobs.append(Job(name, "compute", wanted, shape, stored, groups=added, factors=factors))
    found.dense = {(anchor.key, "dense"): own, **found.dense}
    reason = found.formula()
    if _check_missing_rows(name, stored, anchor, others, found.encoded):
        reason += f" over the rows in common, the other rows as in {anchor.label} (policy vocabulary: base)"
    drawing.ledger.append(Entry(name, "changed", reason))


def _draw_buffer(
    drawing: Drawing, name: str, stored: Stored, others: list[Dense], moved: bool, policy: Policy
) -> None:
    """Copy what cannot be added: integer buffers, and formats without arithmetic where all inputs agree."""
    if moved or any(not entry.point for entry in others):
        raise UnsupportedError(
            f"tensor {quoted(name)} is {stored.info.dtype.code}, and a vector moves it; {_SUMMABLE}",
            hint="convert the model first",
        )
    compared = policy.integers == "refuse" or not stored.info.dtype.integer
    alike = tuple((entry.label, entry.stored) for entry in others) if compared else ()
    _check_alike(name, stored, alike)
    drawing.jobs.append(Job(name, "copy", stored.info.dtype, stored.info.shape, anchor=stored, alike=alike))
    drawing.ledger.append(Entry(name, "copied", f"a buffer of {stored.info.dtype.code}"))


def draw_displacement(
    drawing: Drawing, name: str, shape: tuple[int, ...], found: Gathered, frame: Frame, dtype: DType | None
) -> None:
    """Settle one tensor of a vector; what came in factored alone stays factored.

    Raises:
        DegreeError: a selection leaves a weight of the models other than 0.
        UnsupportedError: a dtype without arithmetic.
        IncompatibleError: buffers or shapes do not fit.
    """
    anchor = frame.anchor
    if found.folded and anchor is not None:
        found.add((anchor.key, "dense"), anchor.source.tensors[name], anchor.label, True, found.folded)
    dense = [entry for entry in found.dense.values() if entry.coefficient]
    factors = low_rank(name, found)
    everything = list(found.everything())
    if found.degree != 0:
        raise DegreeError(
            f"at {quoted(name)} the coefficients on checkpoints sum to {shown(found.degree)} and not to 0",
            hint="apply the selection to a difference: name one under let",
        )
    if any(not entry.stored.info.dtype.arithmetic for entry in everything):
        _draw_comparison(drawing, name, everything, found.packs, anchor, frame.policy)
        return
    _check_rows(name, shape, dense, found.encoded)
    if not found.summands() and not factors:
        lacking = "a model lacks it (policy names: base)" if found.folded else "every coefficient is 0"
        drawing.ledger.append(Entry(name, "absent", lacking))
        return
    wanted = dtype or DTYPES["F64" if found.is_double else "F32"]
    drawing.ledger.append(Entry(name, "changed", found.formula()))
    form = Form(groups(name, found.calls, anchored=False), factors)
    rank = form.rank(shape) if not dense and not found.encoded and len(shape) == 2 else None
    if rank is None:
        drawing.jobs.append(_dense_job(name, shape, found, frame, factors, wanted))
    else:
        _draw_factors(drawing, name, wanted, form, shape, rank)


def _dense_job(
    name: str, shape: tuple[int, ...], found: Gathered, frame: Frame, factors: tuple[LowRank, ...],
    dtype: DType,
) -> Job:  # fmt: skip
    own = found.dense.pop((frame.anchor.key, "dense"), None) if frame.anchor is not None else None
    own = own if own is not None and own.coefficient else None
    others = [entry for entry in found.dense.values() if entry.coefficient]
    summands: list[Summand] = [*others, *found.encoded, *found.calls]
    only = others[0] if len(summands) == len(others) == 1 and own is None and not factors else None
    if only is not None and only.coefficient == 1 and only.stored.info.dtype is dtype:
        return Job(name, "copy", dtype, shape, anchor=only.stored)
    added = groups(name, summands, anchored=own is not None)
    measured = any(group.origin for group in added)
    return Job(
        name, "compute", dtype, shape, own.stored if own is not None and measured else None, kept=False,
        groups=added, factors=factors if prod(shape) else (),
    )  # fmt: skip


def _draw_factors(
    drawing: Drawing, name: str, dtype: DType, form: Form, shape: tuple[int, ...], rank: int
) -> None:
    sides: tuple[tuple[str, Action, tuple[int, int]], ...] = (
        ("A", "right", (rank, shape[1])),
        ("B", "left", (shape[0], rank)),
    )
    for suffix, action, size in sides:
        drawing.jobs.append(
            Job(
                f"{name}::{suffix}",
                action,
                dtype,
                size,
                groups=form.groups,
                factors=form.factors,
                product=shape,
            )
        )


def _draw_comparison(
    drawing: Drawing, name: str, dense: list[Dense], moved: bool, anchor: Leaf | None, policy: Policy
) -> None:
    first = dense[0].stored
    if moved or anchor is None or any(not entry.point for entry in dense):
        raise UnsupportedError(
            f"tensor {quoted(name)} is {first.info.dtype.code}; {_SUMMABLE}", hint="convert the model first"
        )
    if policy.integers == "refuse" or not first.info.dtype.integer:
        alike = tuple((entry.label, entry.stored) for entry in dense[1:])
        _check_alike(name, first, alike)
        drawing.comparisons.append(
            Job(name, "compare", first.info.dtype, first.info.shape, anchor=first, alike=alike)
        )
    drawing.ledger.append(Entry(name, "absent", f"a buffer of {first.info.dtype.code} is no displacement"))


def _check_arithmetic(name: str, entries: Iterable[Dense]) -> None:
    for entry in entries:
        if not entry.stored.info.dtype.arithmetic:
            raise UnsupportedError(
                f"tensor {quoted(name)} is {entry.stored.info.dtype.code} in {entry.label}; {_SUMMABLE}"
            )


def _check_alike(name: str, stored: Stored, alike: tuple[tuple[str, Stored], ...]) -> None:
    for label, other in alike:
        if other.info.dtype is not stored.info.dtype or other.info.shape != stored.info.shape:
            raise IncompatibleError(
                f"tensor {quoted(name)}: expected {stored.info.dtype.code} {list(stored.info.shape)}, "
                f"found {other.info.dtype.code} {list(other.info.shape)} in {label}"
            )


def _check_missing_rows(
    name: str, stored: Stored, anchor: Leaf, others: list[Dense], encoded: list[Coded]
) -> bool:
    """Return whether some input has another number of rows than the base.

    Rows that a model lacks count as the base's own, so there the two must be of one dtype.
    """
    for entry in others:
        other = entry.stored.info
        if entry.point and other.count < stored.info.count and other.dtype is not stored.info.dtype:
            raise IncompatibleError(
                f"tensor {quoted(name)}: {entry.label} lacks rows and is {other.dtype.code}, expected "
                f"{stored.info.dtype.code} as in {anchor.label}, whose rows take their place",
                hint=f"store {entry.label} as {stored.info.dtype.name} first: a recipe of one input",
            )
    return any(shape != stored.info.shape for shape, _ in _shapes(others, encoded))


def _check_rows(name: str, expected: tuple[int, ...], dense: list[Dense], encoded: list[Coded]) -> None:
    for shape, label in _shapes(dense, encoded):
        if shape != expected:
            raise IncompatibleError(
                f"tensor {quoted(name)}: expected shape {list(expected)}, found {list(shape)} in {label}; "
                "policy vocabulary: base has a meaning only where a model is the result"
            )


def _shapes(dense: list[Dense], encoded: list[Coded]) -> list[tuple[tuple[int, ...], str]]:
    """Return the shape and the label of each summand."""
    found = [(entry.stored.info.shape, entry.label) for entry in dense]
    return found + [(entry.encoded.shape, entry.label) for entry in encoded]
