"""A folder written by `contrast` as a run: each side is a training."""

from __future__ import annotations

import json
from pathlib import Path

from tests.tinychat import instruct
from tests.train.world import quick, sides
from weightarith.contrast import contrast
from weightarith.monitor.checkpoints import find


def test_of_a_contrast_every_step_of_both_sides_is_looked_at_once(tmp_path: Path) -> None:
    base = instruct(tmp_path / "base")
    made = contrast(
        base, *sides(), tmp_path / "run", quick(keep_checkpoints=True)
    )  # kept after 2, 3, 5 and 6 steps

    found = find(made.folder)

    assert [(one.series, one.step) for one in found] == [
        (side, step) for side in ("positive", "negative") for step in (2, 3, 5, 6)
    ]
    assert all(one.path.is_dir() for one in found)


def test_of_a_contrast_that_kept_an_earlier_step_that_one_is_looked_at_once(tmp_path: Path) -> None:
    base = instruct(tmp_path / "base")
    made = contrast(base, *sides(), tmp_path / "run", quick(keep_checkpoints=True))
    for name in ("run.json", "training.json"):
        text = json.loads((made.folder / name).read_text(encoding="utf-8"))
        text["chosen"]["step"] = 3
        (made.folder / name).write_text(json.dumps(text), encoding="utf-8")

    found = find(made.folder)

    assert sorted(one.step for one in found if one.series == "positive") == [2, 3, 5]
    assert [one.path for one in found if one.step == 3] == [made.positive, made.negative]
