"""What is no run, no base, or not what was asked for is refused with the reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.train.world import quick, sides
from weightarith.contrast import Run, contrast, read_run
from weightarith.contrast.plan import is_made, plan_contrast
from weightarith.errors import IncompatibleError, InvalidFileError
from weightarith.train import Moment, train


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


def test_a_base_that_is_pickled_is_not_read(base: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(base, tmp_path / "pickled")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()

    with pytest.raises(InvalidFileError, match=r"transformers cannot read .*pickled"):
        train(folder, sides()[0], tmp_path / "out", quick())


def test_a_base_that_lacks_weights_is_not_filled_with_chance(base: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(base, tmp_path / "half")
    held = load_file(folder / "model.safetensors")
    held.pop("model.layers.1.mlp.up_proj.weight")
    save_file(held, folder / "model.safetensors", {"format": "pt"})

    with pytest.raises(InvalidFileError, match=r"lacks weights .*up_proj"):
        train(folder, sides()[0], tmp_path / "out", quick())


def test_work_on_another_base_of_the_same_name_is_not_gone_on_with(base: Path, tmp_path: Path) -> None:
    def kill(_moment: Moment) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(base, sides()[0], tmp_path / "out", quick(), progress=kill)
    other = shutil.copytree(base, tmp_path / "elsewhere" / base.name)

    with pytest.raises(IncompatibleError, match="a run with base folder"):
        train(other, sides()[0], tmp_path / "out", quick())


def test_a_run_of_another_base_of_the_same_name_is_not_the_one_asked_for(
    base: Path, made: Run, tmp_path: Path
) -> None:
    other = shutil.copytree(base, tmp_path / base.name)
    own, its = (plan_contrast(one, *sides(), made.settings) for one in (base, other))

    assert is_made(own, made.folder)
    assert not is_made(its, made.folder)


def test_an_adapter_is_no_base_and_what_to_do_is_said(made: Run, tmp_path: Path) -> None:
    positive, negative = sides()
    with pytest.raises(InvalidFileError, match="is an adapter, expected a model to train") as caught:
        contrast(made.positive, positive, negative, tmp_path / "out", quick())
    assert caught.value.hint == "put it into its base first: weightarith apply BASE ADAPTER -o MODEL"
