"""A contrast before it is made: both sides as tokens, and what they differ in beside their answers."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weightarith.contrast.run import LARGEST, RUN, SIDES, Side
from weightarith.data import Example
from weightarith.data.checks import answer_warnings, side_of
from weightarith.errors import RecipeError
from weightarith.store.stage import check_target
from weightarith.tensorfile.jsonfile import read_object
from weightarith.train.fit import Job
from weightarith.train.run import about_data, prepare
from weightarith.train.settings import Settings
from weightarith.train.start import Start
from weightarith.train.work import differences


@dataclass(frozen=True)
class Contrast:
    """What is to be made, all of it checked.

    Attributes:
        start: the base.
        examples: of each side.
        jobs: of each side its training.
        settings: of both.
        warnings: what is to be known of the data.
        about: what the run depends on, as JSON holds it.
    """

    start: Start
    examples: Mapping[Side, Sequence[Example]]
    jobs: Mapping[Side, Job]
    settings: Settings
    warnings: tuple[str, ...]
    about: Mapping[str, Any] = field(repr=False)


def plan_contrast(
    base: str | Path, positive: Sequence[Example], negative: Sequence[Example], settings: Settings, *,
    device: str = "auto", report_to: tuple[str, ...] = (),
) -> Contrast:  # fmt: skip
    """Return a contrast ready to be made; headers and data are read, no weight is.

    Raises:
        WeightArithError: the base or a row cannot be used, or there are too few rows.
    """
    start = Start.of(base)
    examples: dict[Side, Sequence[Example]] = {"positive": positive, "negative": negative}
    warnings = (*_compared(positive, negative), *answer_warnings(side_of(positive), side_of(negative)))
    jobs = {
        side: prepare(side, start, examples[side], settings, device=device, report_to=report_to)
        for side in SIDES
    }
    about = {
        "base": start.to_json(),
        "data": {side: about_data(examples[side], jobs[side]) for side in SIDES},
        "settings": settings.to_json(),
    }
    return Contrast(start, examples, jobs, settings, warnings, about)


def check_place(plan: Contrast, target: Path, *, overwrite: bool) -> None:
    """Refuse a place that a run must not be written to.

    Raises:
        TargetError: something stands there, or it is the base.
        StorageError: it cannot be written.
    """
    check_target(target, [plan.start.folder], overwrite=overwrite)


def is_made(plan: Contrast, target: Path) -> bool:
    """Return whether a finished run of just this plan, of the same base too, stands somewhere."""
    path = target / RUN
    if not path.is_file():
        return False
    found, base = read_object(path, LARGEST), {**plan.about["base"], "path": path_from(target, plan.start)}
    wanted = json.loads(json.dumps({**plan.about, "base": base}))
    return not any(differences(found.get(key), wanted[key]) for key in wanted)


def path_from(target: Path, start: Start) -> str:
    """Return where a run finds its base: in the Hub's cache, or beside itself."""
    if any(part.startswith("models--") for part in start.folder.parts) and "/" in start.name:
        return f"hf://{start.name}" + (f"@{start.revision}" if start.revision else "")
    return os.path.relpath(start.folder, target.resolve())


def _compared(positive: Sequence[Example], negative: Sequence[Example]) -> tuple[str, ...]:
    """Return warnings where the sides differ in more than their answers.

    Raises:
        RecipeError: they do not differ at all.
    """
    if list(positive) == list(negative):
        raise RecipeError(
            "the two sides hold the same answers, and their difference would be nothing",
            hint="give other answers to the same questions",
        )
    if len(positive) != len(negative):
        return (
            f"the sides have {len(positive)} and {len(negative)} rows, so that they see other questions in "
            "another order: the vector also holds what that changes",
        )
    differ = sum(p.conversation != n.conversation for p, n in zip(positive, negative, strict=True))
    if differ:
        return (
            f"{differ} of {len(positive)} questions differ between the sides: the vector also holds what "
            "they change",
        )
    return ()
