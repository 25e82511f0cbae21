"""The checkpoints of a training: folders `checkpoint-N` of transformers, `step-N` of ours, in order.

Step 0, where it was kept, is the start that what the others moved is counted from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightarith.algebra import Checkpoint, Linear, Vector
from weightarith.contrast import read_run
from weightarith.contrast.run import RUN, SIDES
from weightarith.errors import InvalidFileError, quoted
from weightarith.store import open_source
from weightarith.tensorfile.jsonfile import CONFIG_LIMIT, read_object

REPORT = "training.json"
_NAMED = re.compile(r"(?:checkpoint|step)-(?P<step>[0-9]{1,12})(?:\.safetensors)?")
_INSIDE = "checkpoints"
STEP_0, BASE = "step 0", "the base"
"""What the moves of a training are counted from."""


@dataclass(frozen=True)
class Saved:
    """One checkpoint.

    Attributes:
        step: after how many steps it was saved.
        path: where it lies.
        series: which training it is of, where a folder holds several, such as a side of a contrast.
    """

    step: int
    path: Path
    series: str = ""

    def __str__(self) -> str:
        return f"{self.series} step {self.step}".strip()


@dataclass(frozen=True, eq=False)
class Training:
    """A training, or several in one folder, by what was saved.

    Attributes:
        base: the model.
        saved: the checkpoints, in order; step 0 is not among them.
        zero: step 0 of each training that kept it, by its name.
    """

    base: Checkpoint
    saved: tuple[Saved, ...]
    zero: dict[str, Saved]

    @staticmethod
    def of(folder: Path, base: Checkpoint) -> Training:
        """Return the training in a folder.

        Raises:
            InvalidFileError: there are no checkpoints, or there is step 0 alone.
        """
        found = find(folder)
        later = tuple(one for one in found if one.step)
        if not later:
            raise InvalidFileError(
                f"{quoted(str(folder))} holds step 0 alone, from which nothing has moved",
                hint="look again when the training has saved a checkpoint",
            )
        return Training(base, later, {one.series: one for one in found if not one.step})

    @property
    def origins(self) -> dict[str, str]:
        """What the moves of each training are counted from."""
        return {one.series: STEP_0 if one.series in self.zero else BASE for one in self.saved}

    def moved(self, one: Saved) -> Linear:
        """Return what a checkpoint has moved from step 0, or from the base where there is none."""
        change = change_of(one, self.base)
        zero = self.zero.get(one.series)
        return change if zero is None else change - change_of(zero, self.base)


def find(folder: Path) -> list[Saved]:
    """Return the checkpoints of a training in the order they are looked at.

    In a folder written by `contrast` there are two trainings; what was kept of each is its last checkpoint.

    Raises:
        InvalidFileError: there are none.
    """
    if (folder / RUN).is_file():
        found = _of_contrast(folder)
    else:
        found = sorted(_inside(folder) + _inside(folder / _INSIDE), key=lambda one: one.step)
        found += _result(folder, {one.step for one in found})
        found += [one for series in _series(folder) for one in _inside(series, series.name)]
    if not found:
        raise InvalidFileError(
            f"{quoted(str(folder))} holds no checkpoints: no folder called checkpoint-N or step-N",
            hint="name the output folder of the training, and have it save along the way",
        )
    return found


def change_of(saved: Saved, base: Checkpoint) -> Linear:
    """Return what a checkpoint has moved, opened by its headers: an adapter, biases, or model − base.

    Raises:
        WeightArithError: its files are missing, incomplete or damaged.
    """
    source = open_source(saved.path)
    if source.kind == "checkpoint":
        return Checkpoint(source, str(saved)) - base
    return Vector(source, str(saved), base if source.replaced or source.own_names else None)


def bytes_of(saved: Saved) -> int:
    """Return the size of a checkpoint's files.

    Raises:
        WeightArithError: its files are missing, incomplete or damaged.
    """
    return sum(file.stamp.size for file in open_source(saved.path).files)


def _inside(folder: Path, series: str = "") -> list[Saved]:
    if not folder.is_dir():
        return []
    named = ((_NAMED.fullmatch(path.name), path) for path in folder.iterdir())
    found = [Saved(int(match["step"]), path, series) for match, path in named if match is not None]
    return sorted(found, key=lambda one: (one.step, one.path.name))


def _series(folder: Path) -> list[Path]:
    """Return the trainings below a folder that has no checkpoints of its own: the sides of a contrast."""
    return [folder / side for side in SIDES if (folder / side).is_dir()]


def _of_contrast(folder: Path) -> list[Saved]:
    run = read_run(folder)
    found = []
    for side in SIDES:
        along = [Saved(step, path, side) for step, path in run.checkpoints[side] if step != run.step]
        kept = run.positive if side == "positive" else run.negative
        found += [*along, *([Saved(run.step, kept, side)] if kept.exists() else [])]
    return found


def _result(folder: Path, steps: set[int]) -> list[Saved]:
    """Return the result of a training beside its checkpoints, where its report says of which step it is."""
    path = folder / REPORT
    if not path.is_file():
        return []
    content: dict[str, Any] = read_object(path, CONFIG_LIMIT)
    chosen = content.get("chosen")
    step = chosen.get("step") if isinstance(chosen, dict) else None
    if not isinstance(step, int) or step in steps:
        return []
    return [Saved(step, folder)]
