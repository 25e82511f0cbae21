"""Tensors known to be equal without a look at them, for they lie in files of one SHA-256.

Their difference is zero, so that nothing of it is read; only a tensor that is not finite would tell, as a
difference of NaN or infinities is no number.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from weightarith.engine.form import Group
from weightarith.engine.plan import Job, Plan
from weightarith.tensorfile.model import Stored


def without_twins(jobs: Iterable[Job]) -> tuple[list[Job], tuple[str, ...]]:
    """Return jobs that read no tensor whose every summand cancels, and the names of those tensors.

    Only whole tensors: of a longer sum, the order of its terms may show in the last bit.
    """
    found: list[Job] = []
    spared: list[str] = []
    for job in jobs:
        if _cancels(job):
            spared.append(job.name)
        found.append(replace(job, anchor=None, groups=()) if _cancels(job) else job)
    return found, tuple(spared)


def bytes_afar(plan: Plan) -> int:
    """Return the bytes that a plan needs of files from afar, those of equal files once."""
    stored = (one for job in plan.jobs for one in job.stored if one.file.afar is not None)
    unique = {(one.file.sha256 or id(one.file), one.info.start): one.info.nbytes for one in stored}
    return sum(unique.values())


def _cancels(job: Job) -> bool:
    if job.action != "compute" or job.kept or job.factors or not job.groups:
        return False
    return all(_is_zero(group, job.anchor) for group in job.groups)


def _is_zero(group: Group, anchor: Stored | None) -> bool:
    members = [(one.stored, int(one.sign)) for one in group.operands]
    if anchor is not None and group.origin:
        members.append((anchor, -group.origin))
    if group.made or group.packed or len(members) != 2:
        return False
    (one, sign), (other, against) = members
    return abs(sign) == 1 and sign == -against and _same(one, other)


def _same(one: Stored, other: Stored) -> bool:
    return bool(one.file.sha256) and one.file.sha256 == other.file.sha256 and one.info == other.info
