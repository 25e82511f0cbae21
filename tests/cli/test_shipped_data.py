"""Training data that ship with the package, named on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from weightarith.cli.options import DataFile, TraitFile
from weightarith.data.sets import open_set
from weightarith.errors import RecipeError


def meant(text: str) -> Path:
    return DataFile().convert(text, None, None)


def test_a_set_and_its_training_are_a_file_that_ships() -> None:
    assert meant("arithmetic:train") == open_set("arithmetic").trained_on("train")


def test_a_file_of_that_name_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("arithmetic:train").write_text("", encoding="utf-8")

    assert meant("arithmetic:train") == Path("arithmetic:train")


@pytest.mark.parametrize("text", ["rows.jsonl", "folder/rows:1.jsonl", "C:rows.jsonl", "no such file"])
def test_anything_else_is_a_path(text: str) -> None:
    assert meant(text) == Path(text)


@pytest.mark.parametrize(
    ("text", "nearest"), [("arithmetik:train", "'arithmetic'"), ("arithmetic:trian", "'train'")]
)
def test_a_slip_of_the_pen_is_told_the_nearest_name(text: str, nearest: str) -> None:
    with pytest.raises(RecipeError) as caught:
        meant(text)

    assert nearest in caught.value.hint


@pytest.mark.parametrize("text", ["shared", "somewhere/trait.yaml"])
def test_what_is_no_set_with_a_trait_is_a_path(text: str) -> None:
    assert TraitFile().convert(text, None, None) == Path(text)


def test_the_trait_of_a_set_goes_by_the_name_of_the_set() -> None:
    assert TraitFile().convert("sycophancy", None, None) == open_set("sycophancy").trait
