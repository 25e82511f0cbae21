"""What is no run, or not what its run.json says, is refused with the reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from weightarith.contrast import Run, read_run
from weightarith.errors import InvalidFileError


@pytest.fixture
def folder(made: Run, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made.folder, tmp_path / "run"))


def refusal(folder: Path) -> str:
    with pytest.raises(InvalidFileError) as caught:
        read_run(folder)
    return caught.value.message


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "run.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def test_a_folder_without_run_json_is_no_run(tmp_path: Path) -> None:
    assert "is no run: it has no run.json" in refusal(tmp_path)


@pytest.mark.parametrize(("edit", "message"), [
    (lambda run: run.update(weightarith_run=2), "says weightarith_run 2, expected 1"),
    (lambda run: run.update(colour="red"), "the key 'colour' is unknown"),
    (lambda run: run.pop("chosen"), "the key 'chosen' is missing"),
    (lambda run: run["chosen"].update(step="6"), "'chosen.step' is '\"6\"', expected int"),
    (lambda run: run["settings"].pop("rank"), "the settings lack 'rank'"),
    (lambda run: run["settings"].update(rank=-1), "the setting rank is '-1', expected a whole number"),
    (lambda run: run.update(settings=[]), "'settings' is no object"),
    (lambda run: run["base"].pop("path"), "'base.path' is 'null', expected str"),
    (lambda run: run["data"].pop("negative"), "'data.negative' is 'null', expected dict"),
    (lambda run: run.update(warnings="none"), "'warnings' is no list of texts"),
])  # fmt: skip
def test_a_run_json_that_says_something_else_is_refused(
    folder: Path, edit: Callable[[dict[str, Any]], object], message: str
) -> None:
    change(folder, edit)
    assert message in refusal(folder)


@pytest.mark.parametrize("name", ["vector.safetensors", "positive", "negative"])
def test_a_part_that_is_gone_is_named(folder: Path, name: str) -> None:
    (folder / name).rename(folder / "elsewhere")
    assert refusal(folder).endswith(f"has no {name!r}")


def test_data_that_were_changed_are_refused(folder: Path) -> None:
    path = folder / "data" / "negative.jsonl"
    path.write_text(path.read_text().replace("odd", "even"))
    assert "is not what was trained on: its SHA-256 is" in refusal(folder)


def test_a_run_finds_its_base_after_both_were_moved_together(made: Run, tmp_path: Path) -> None:
    shutil.copytree(made.folder.parent / "base", tmp_path / "moved" / "base")
    shutil.copytree(made.folder, tmp_path / "moved" / "made")
    assert read_run(tmp_path / "moved" / "made").base == str(tmp_path / "moved" / "base")
