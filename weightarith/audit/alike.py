"""What is true of many tensors alike: it tells what was done to the model, and stands out of nothing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from weightarith.audit.finding import Finding, listed, percent
from weightarith.audit.look import Look
from weightarith.audit.pairs import role
from weightarith.audit.reading import Reading

_MOST, _FEWEST = 0.5, 4
"""The share of a role's tensors, and their number, from which on a finding is one of all alike."""

_ADAPTED = 0.9  # share of the squared change that so few singular values of an adapter hold
_MOVED = 0.5  # share of the elements, below which it is said that most did not change
_NARROW = 1 / 3  # of the shorter side, the rank of an adapter at most
_SEPARATE = frozenset({"swapped", "rounded"})  # told one by one, or grouped where they are made


def alike(findings: list[Finding], reading: Reading) -> tuple[list[Finding], list[Finding]]:
    """Return findings of single tensors, and for each kind that most of a role have alike one in their place.

    Args:
        findings: of kinds that explain a tensor.
        reading: all tensors.
    """
    single = [one for one in findings if _single(one)]
    counts = Counter((one.kind, role(one.tensors[0])) for one in single)
    overall_counts = Counter(one.kind for one in single)
    everywhere = {kind for kind, count in overall_counts.items() if _most(count, len(reading.looks))}
    common = {
        key for key, count in counts.items()
        if key[0] in everywhere or _most(count, len(reading.groups[key[1]]))
    }  # fmt: skip
    own = [one for one in findings if not _single(one) or (one.kind, role(one.tensors[0])) not in common]
    told = []
    for kind in sorted({kind for kind, _ in common}):
        roles = sorted(name for each, name in common if each == kind)
        group = [
            one for one in findings if _single(one) and one.kind == kind and role(one.tensors[0]) in roles
        ]
        names = tuple(name for one in group for name in one.tensors)
        text = f"{kind} in {len(group)} tensors alike, of the roles {listed(roles, 12)}; {names[0]}: "
        text += group[0].what
        told.append(replace(group[0], what=text, tensors=names, numbers={}))
    return own, told


def _most(count: int, among: int) -> bool:
    return count >= _FEWEST and count >= _MOST * among


def _single(one: Finding) -> bool:
    return one.kind not in _SEPARATE and len(one.tensors) == 1


def character(reading: Reading, skip: frozenset[str]) -> list[str]:
    """Return notes on the change as a whole: of which rank, how much of the tensors it moved.

    Args:
        reading: all tensors.
        skip: names of tensors whose change is explained, and tells nothing of the others.
    """
    notes: list[str] = []
    changed = [one for one in reading.changed if one.name not in skip]
    if len(changed) >= _FEWEST:
        notes += _change(changed, models=reading.laid.models)
    broken = [one for one in reading.looks.values() if one.nonfinite[0]]
    if broken:
        notes.append(
            f"{len(broken)} tensors hold NaN or infinity before, counted as 0 here: "
            f"{listed([one.name for one in broken], 3)}"
        )
    return notes


def _change(changed: list[Look], *, models: bool) -> Iterator[str]:
    matrices = [one for one in changed if one.spectrum is not None]
    if matrices:
        yield _ranks(matrices)
    share = sum(one.changed for one in changed) / sum(one.pair.count for one in changed)
    if models and share < _MOVED:
        yield (
            f"{percent(share)} of the elements of the tensors that changed are others: the change is "
            "near, or below, the distance of numbers in the dtype"
        )


def _ranks(matrices: list[Look]) -> str:
    spectra = [one.spectrum for one in matrices if one.spectrum]
    ranks = [each.rank for each in spectra]
    above = float(np.median([each.held(each.rank) for each in spectra]))
    full = sum(each.full for each in spectra)
    effective = float(np.median([each.effective for each in spectra]))
    if full > len(spectra) / 2:
        told = (
            f"more than {int(np.median(ranks))} in {full} of {len(spectra)} matrices, as of a full fine-tune"
        )
    else:
        low, middle, high = (int(np.quantile(ranks, at)) for at in (0.0, 0.5, 1.0))
        told = f"{low} to {high} (median {middle})" if low < high else f"{low}"
        told += f" in {len(spectra)} matrices"
        low_for = float(np.median([each.rank / each.side for each in spectra])) <= _NARROW
        if above > _ADAPTED and low_for and len(spectra) >= _FEWEST:
            told += ", as of a low-rank adapter"
    return (
        f"rank of the change: {told}; singular values above what rounding makes hold {percent(above)} of the "
        f"squared change, the effective rank is {effective:.3g} (medians)"
    )


def overall(looks: list[Look]) -> float:
    """Return the norm of a change over that of what it changed, over several tensors."""
    before, change = (math.hypot(*(one.norms[side] for one in looks)) for side in (0, 1))
    return change / before if before else math.inf if change else 0.0
