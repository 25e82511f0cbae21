"""The documents in `recipes/mergekit`, run as they are: ids are folders, or models in the Hub's cache."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tests.cli.conftest import Run
from tests.mergekit.both import Both, assert_near, by_mergekit, config_of
from tests.mergekit.models import moved
from tests.reference import read
from weightarith.mergekit import convert

DOCUMENTS = {path.stem: path for path in (Path(__file__).parents[2] / "recipes" / "mergekit").glob("*.yaml")}
BASE = "mistralai/Mistral-7B-v0.1"
IDS = {BASE: 0, "teknium/OpenHermes-2.5-Mistral-7B": 1, "HuggingFaceH4/zephyr-7b-beta": 2}
DEPTH = 32
COMMIT = "7e27bd9f9532".ljust(40, "0")


def make(folder: Path) -> Path:
    """Write a model of every id into a folder; return it."""
    base = tiny.weights(depth=DEPTH)
    for name, seed in IDS.items():
        tiny.checkpoint(folder / name, moved(base, seed=seed) if seed else base, dtype="BF16")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("ids"))


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder, the working folder being the one that the ids are folders of."""
    monkeypatch.chdir(made)
    return tmp_path


def test_there_are_some_and_they_say_what_they_are() -> None:
    assert sorted(DOCUMENTS) == ["dare-ties", "frankenmerge", "slerp"]
    for path in DOCUMENTS.values():
        assert f"weightarith merge {path.name}" in path.read_text(encoding="utf-8").split("\n")[0]


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["frankenmerge", "slerp"])
def test_a_document_of_the_hub_makes_the_model_that_mergekit_makes(name: str, here: Path, run: Run) -> None:
    ran = run("merge", DOCUMENTS[name], "-o", here / "ours")

    theirs = by_mergekit(DOCUMENTS[name].read_text(encoding="utf-8"), here)
    assert (ran.status, ran.stdout) == (0, "")
    configs = [config_of(here / "ours"), config_of(theirs)]
    assert configs[0]["num_hidden_layers"] == {"frankenmerge": 48, "slerp": 32}[name]
    assert_near(Both(read(here / "ours"), read(theirs), configs[0], configs[1], here))


def test_dare_keeps_of_each_fine_tune_what_its_density_says(here: Path, run: Run) -> None:
    ran = run("merge", DOCUMENTS["dare-ties"], "-o", here / "ours")

    assert (ran.status, ran.stdout) == (0, "")
    base, merged = read(Path(BASE)), read(here / "ours")
    same = np.mean([np.mean(raw.values == base[name].values) for name, raw in merged.items()])
    assert 0.47**2 < same < 0.47**2 + 0.1  # or moved by less than bfloat16 holds


def test_ids_are_looked_for_in_the_cache_of_the_hub(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    from huggingface_hub import constants

    for name in IDS:
        cached = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
        shutil.copytree(made / name, cached / "snapshots" / COMMIT)
        (cached / "refs").mkdir()
        (cached / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)

    ran = run("merge", DOCUMENTS["slerp"], "-o", "out")

    assert (ran.status, ran.stdout) == (0, "")
    assert len(read(tmp_path / "out")) == len(tiny.weights(depth=DEPTH))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_it_is_converted_to_a_recipe_that_makes_the_same(name: str, here: Path, run: Run) -> None:
    (here / "recipe.yaml").write_text(convert(DOCUMENTS[name]), encoding="utf-8")
    for model in {each.split("/")[0] for each in IDS}:
        (here / model).symlink_to(Path.cwd() / model)

    results = []
    for path in (DOCUMENTS[name], here / "recipe.yaml"):
        assert run("merge", path, "-o", here / path.stem).status == 0
        results.append(read(here / path.stem))

    assert results[0] == results[1]
