"""Dtype damage: tensors whose values went through a coarser format, some of them or all alike."""

from __future__ import annotations

from collections.abc import Iterator

from weightarith.audit.finding import Finding, listed, percent
from weightarith.audit.grain import PRECISION
from weightarith.audit.look import Look
from weightarith.audit.pairs import role
from weightarith.audit.reading import Reading

ALL = 0.5
"""The share of the changed tensors from which on they are told together."""

_VALUES = 64
"""Elements that must have changed: so many are on a coarser grid by chance once in 2^64 times."""

_SHARE = 0.01  # of the elements that must have changed: half of them would need the last bit


def rounded(reading: Reading, skip: frozenset[str]) -> Iterator[Finding]:
    """Yield a finding for each tensor that was rounded, or one for all where most were.

    Args:
        reading: all tensors.
        skip: names of tensors that are explained.
    """
    found = [one for one in reading.changed if one.name not in skip and is_rounded(one)]
    weights = [one for one in reading.changed if one.grain is not None]
    if len(found) > 1 and len(found) > ALL * len(weights) and len(found) > ALL * len(reading.looks):
        yield _all(found, len(weights))
        return
    for one in found:
        yield _one(one, reading)


def is_rounded(one: Look) -> bool:
    """Return whether the values of a tensor are spaced more coarsely than they were and than its dtype is."""
    own = one.grain
    if own is None or not own.coarser or one.changed < max(_VALUES, _SHARE * one.pair.count):
        return False
    integers = own.form.startswith(("int8", "4 bits"))
    return integers or (own.after is not None and own.after < PRECISION[one.pair.dtypes[1]])


def _words(one: Look) -> str:
    own = one.grain
    if own is None or own.after is None:
        return ""
    if own.form.startswith(("int8", "4 bits")):
        return own.form
    bits = f"{own.after} significant bits"
    return bits if own.form in ("", bits) else f"{own.form}, {bits}"


def _one(one: Look, reading: Reading) -> Finding:
    own = one.grain
    equal = f"; {percent(own.equal)} of its sampled values are the old ones so rounded" if own else ""
    peers = [other for other in reading.peers(one) if not is_rounded(other)]
    return Finding(
        "rounded", one.name,
        f"its values are those of {_words(one)}, stored as {one.pair.dtypes[1]}; {percent(one.share)} of its "
        f"elements changed, by {percent(one.relative)} of its norm",
        f"before, it needed {own.before if own else 0} significant bits, and {len(peers)} peers still need "
        f"what they did{equal}",
        (one.name,), None, _numbers(one),
    )  # fmt: skip


def _all(found: list[Look], among: int) -> Finding:
    forms = sorted({_words(one) for one in found})
    stored = sorted({one.pair.dtypes[1] for one in found})
    names = sorted({role(one.name) for one in found})
    return Finding(
        "rounded", f"{len(found)} tensors",
        f"their values are those of {listed(forms, 3)}, stored as {listed(stored)}",
        f"{len(found)} of {among} tensors that changed are so: the model was converted, in the roles "
        f"{listed(names, 10)}",
        tuple(one.name for one in found), None,
        {"forms": forms, "relative": max(one.relative for one in found)},
    )  # fmt: skip


def _numbers(one: Look) -> dict[str, object]:
    own = one.grain
    if own is None:
        return {}
    return {
        "form": own.form, "bits_before": own.before, "bits_after": own.after, "equal": own.equal,
        "relative": one.relative,
    }  # fmt: skip
