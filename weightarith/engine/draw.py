"""What is done at one tensor name: a job that makes its bytes, and a ledger entry that says why. Pure.

Only tensors that something is added to are computed; all others are copied, bits and all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import prod

from weightarith.algebra import ZERO, Leaf, shown
from weightarith.engine.gather import Dense, Gathered
from weightarith.engine.plan import Entry, Group, Job, LowRank, Operand
from weightarith.engine.settings import Policy
from weightarith.errors import DegreeError, IncompatibleError, RecipeError, UnsupportedError, quoted
from weightarith.tensorfile.dtypes import DTYPES, DType
from weightarith.tensorfile.model import Stored

_SUMMABLE = "arithmetic is on F64, F32, F16 and BF16"


@dataclass
class Drawing:
    """A plan being drawn: jobs and ledger entries as they are settled."""

    jobs: list[Job] = field(default_factory=list)
    comparisons: list[Job] = field(default_factory=list)
    ledger: list[Entry] = field(default_factory=list)


def draw_weight(
    drawing: Drawing, name: str, found: Gathered, anchor: Leaf, dtype: DType | None, policy: Policy
) -> None:
    """Settle one tensor of a checkpoint: `anchor` and what is added to it, stored as `dtype` or as it is.

    Raises:
        DegreeError: a selection leaves the weight of the models at something else than 1.
        UnsupportedError: something is to be added to, or of, a dtype without arithmetic.
        IncompatibleError: buffers, or rows that are not there, do not fit.
    """
    own = found.dense.pop((anchor.key, "dense"))
    own.coefficient += found.folded
    others = [entry for entry in found.dense.values() if entry.coefficient]
    factors = _low_rank(name, found) if own.stored.info.count else ()
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
    drawing.jobs.append(
        Job(name, "compute", wanted, stored.info.shape, stored, groups=_groups(name, others), factors=factors)
    )
    found.dense = {(anchor.key, "dense"): own, **found.dense}
    reason = found.formula()
    if _check_missing_rows(name, stored, anchor, others):
        reason += f" over the rows in common, the other rows as in {anchor.label} (policy vocabulary: base)"
    drawing.ledger.append(Entry(name, "changed", reason))


def _low_rank(name: str, found: Gathered) -> tuple[LowRank, ...]:
    return tuple(LowRank(factored, _double(name, number)) for _, factored, number in found.factors if number)


def _groups(name: str, entries: list[Dense], *, anchored: bool = True) -> tuple[Group, ...]:
    """Return the summands by the size of their coefficient, points measured from the anchor if there is one.

    The anchor's own coefficient follows from that: what the points weigh, it weighs less.
    """
    found: dict[Fraction, list[Dense]] = {}
    for entry in entries:
        found.setdefault(abs(entry.coefficient), []).append(entry)
    return tuple(
        Group(
            _double(name, size),
            tuple(
                Operand(one.stored, 1 if one.coefficient > 0 else -1, "anchor" if one.point else "zero")
                for one in members
            ),
            sum(1 if one.coefficient > 0 else -1 for one in members if one.point) if anchored else 0,
        )
        for size, members in found.items()
    )


def _double(name: str, coefficient: Fraction) -> float:
    try:
        return float(coefficient)
    except OverflowError:
        raise RecipeError(f"a coefficient at {quoted(name)} is too large for a float64") from None


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
    drawing: Drawing, name: str, shape: tuple[int, ...], found: Gathered, anchor: Leaf | None,
    dtype: DType | None, policy: Policy,
) -> None:  # fmt: skip
    """Settle one tensor of a vector; what came in factored alone stays factored.

    Raises:
        DegreeError: a selection leaves a weight of the models other than 0.
        UnsupportedError: a dtype without arithmetic.
        IncompatibleError: buffers or shapes do not fit.
    """
    if found.folded and anchor is not None:
        found.dense[anchor.key, "dense"].coefficient += found.folded
    dense = [entry for entry in found.dense.values() if entry.coefficient]
    factors = _low_rank(name, found)
    degree = sum((entry.coefficient for entry in dense if entry.point), ZERO)
    if degree != 0:
        raise DegreeError(
            f"at {quoted(name)} the coefficients on checkpoints sum to {shown(degree)} and not to 0",
            hint="apply the selection to a difference: name one under let",
        )
    if any(not entry.stored.info.dtype.arithmetic for entry in dense):
        _draw_comparison(drawing, name, dense, bool(factors), anchor, policy)
        return
    _check_rows(name, shape, dense)
    if not dense and not factors:
        lacking = "a model lacks it (policy names: base)" if found.folded else "every coefficient is 0"
        drawing.ledger.append(Entry(name, "absent", lacking))
        return
    double = any(entry.stored.info.dtype.code == "F64" for entry in dense)
    wanted = dtype or DTYPES["F64" if double else "F32"]
    drawing.ledger.append(Entry(name, "changed", found.formula()))
    if dense:
        drawing.jobs.append(_dense_job(name, shape, found, anchor, factors, wanted))
    else:
        _draw_factors(drawing, name, wanted, factors)


def _dense_job(
    name: str,
    shape: tuple[int, ...],
    found: Gathered,
    anchor: Leaf | None,
    factors: tuple[LowRank, ...],
    dtype: DType,
) -> Job:
    own = found.dense.pop((anchor.key, "dense"), None) if anchor is not None else None
    others = [entry for entry in found.dense.values() if entry.coefficient]
    only = others[0] if len(others) == 1 and own is None and not factors else None
    if only is not None and only.coefficient == 1 and only.stored.info.dtype is dtype:
        return Job(name, "copy", dtype, shape, anchor=only.stored)
    groups = _groups(name, others, anchored=own is not None)
    measured = any(group.origin for group in groups)
    return Job(
        name, "compute", dtype, shape, own.stored if own is not None and measured else None, kept=False,
        groups=groups, factors=factors if prod(shape) else (),
    )  # fmt: skip


def _draw_factors(drawing: Drawing, name: str, dtype: DType, factors: tuple[LowRank, ...]) -> None:
    rank = sum(low.factored.rank for low in factors)
    rows, columns = factors[0].factored.shape
    drawing.jobs.append(Job(f"{name}::A", "right", dtype, (rank, columns), factors=factors))
    drawing.jobs.append(Job(f"{name}::B", "left", dtype, (rows, rank), factors=factors))


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


def _check_arithmetic(name: str, entries: list[Dense]) -> None:
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


def _check_missing_rows(name: str, stored: Stored, anchor: Leaf, others: list[Dense]) -> bool:
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
    return any(entry.stored.info.shape != stored.info.shape for entry in others)


def _check_rows(name: str, shape: tuple[int, ...], dense: list[Dense]) -> None:
    for entry in dense:
        if entry.stored.info.shape != shape:
            raise IncompatibleError(
                f"tensor {quoted(name)}: expected shape {list(shape)}, found "
                f"{list(entry.stored.info.shape)} in {entry.label}; policy vocabulary: base has a meaning "
                "only where a model is the result"
            )
