"""A plan cut into parts, made one after the other, so that only a part of the result is ever on the disk.

What is made is the same, to the byte: files have nothing to do with one another but for a tensor that lies in
several of them in pieces, and those stay together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from weightarith.engine.blocks import Outcome
from weightarith.engine.plan import OutputFile, Plan
from weightarith.kernels.accounts import ACCOUNTS

UNKNOWN = "0" * 32
"""In place of a checksum that is not taken yet: it is as long."""


def parts_of(plan: Plan) -> tuple[Plan, ...]:
    """Return plans that make the files of `plan`, in their order; what is only compared is in the first.

    What an operator finds out over the whole model, the first of them to run finds out for all: they have to
    run on one device.
    """
    groups: list[list[OutputFile]] = []
    for file in plan.files:
        torn = [
            number for number, group in enumerate(groups) if not _tensors(group).isdisjoint(_tensors([file]))
        ]
        together = [one for group in groups[torn[0] :] for one in group] if torn else []
        groups = [*(groups[: torn[0]] if torn else groups), [*together, file]]
    seen: dict[str, Any] = {}
    return tuple(
        replace(
            plan,
            files=tuple(group),
            comparisons=() if number else plan.comparisons,
            surveyed=plan.jobs,
            seen=seen,
        )
        for number, group in enumerate(groups)
    )


def joined(parts: Sequence[Plan], outcomes: Sequence[Outcome]) -> Outcome:
    """Return what the parts of a plan came to, as if it had been made in one piece."""
    ends = [sum(len(file.jobs) for file in part.files) for part in parts]
    pairs = list(zip(outcomes, ends, strict=True))
    checksums = [one.checksums[:end] for one, end in pairs] + [one.checksums[end:] for one, end in pairs]
    accounts = [one.accounts[:end] for one, end in pairs] + [one.accounts[end:] for one, end in pairs]
    return Outcome(tuple(each for some in checksums for each in some), np.concatenate(accounts))


def unknown(plan: Plan) -> Outcome:
    """Return the outcome of a plan before it is run: nothing is known, and everything has its place."""
    count = len(plan.jobs)
    return Outcome((UNKNOWN,) * count, np.zeros((count, ACCOUNTS)))


def _tensors(files: Sequence[OutputFile]) -> set[str]:
    return {job.tensor for file in files for job in file.jobs}
