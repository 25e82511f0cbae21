"""A look at interference as a whole: what is measured is what a merge would be, and a run goes on."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.interference.made_up import NAMES, parts, tensors
from weightarith.algebra import Checkpoint
from weightarith.errors import InvalidFileError, RecipeError, TargetError
from weightarith.evaluate import Prepared, prepare, read_suite
from weightarith.interference import Settings, as_lines, interference, pictures, read_interference
from weightarith.interference.combinations import WAYS
from weightarith.lm import LanguageModel, load
from weightarith.saving import save

Document = dict[str, Any]


@pytest.fixture(scope="module")
def model(world: Path) -> LanguageModel:
    return load(str(world / "base"), device="cpu")


@pytest.fixture(scope="module")
def prepared(world: Path, model: LanguageModel) -> Prepared:
    return prepare(read_suite(world / "suite.yaml"), model, ("claims", "text", "divergence"))


@pytest.fixture(scope="module")
def folder(
    world: Path, model: LanguageModel, prepared: Prepared, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("looked") / "out"
    interference(model, parts(world), [prepared], out, Settings((0.5, -1.0), WAYS))
    return out


@pytest.fixture(scope="module")
def document(folder: Path) -> Document:
    return read_interference(folder)


def point(document: Document, label: str, strength: float) -> Document:
    (found,) = [
        one for one in document["suites"][0]["points"]
        if (one["combination"], one["strength"]) == (label, strength)
    ]  # fmt: skip
    return dict(found)


@pytest.mark.parametrize("label", ["v + w", "v + reject(w, onto=v)", "ties([v, w])"])
def test_a_combination_measures_as_the_model_it_would_be_merged_into(
    label: str, world: Path, document: Document, prepared: Prepared, tmp_path: Path
) -> None:
    from weightarith.interference import combinations

    base = Checkpoint.open(world / "base", label="base")
    made = {one.label: one.vector for one in combinations(parts(world), WAYS)}
    save(base + 0.5 * made[label], tmp_path / "merged")
    found = prepared.measure(load(str(tmp_path / "merged"), device="cpu"))

    told = point(document, label, 0.5)["estimates"]
    for name in ("claims.margin", "text.nats", "divergence.response"):
        values = found.outcomes[name].values
        assert np.isclose(told[name]["value"], np.mean(np.array(values, np.float64)), rtol=1e-3, atol=1e-5)


def test_every_number_is_told_of_every_combination(document: Document) -> None:
    suite = document["suites"][0]
    names = set(suite["outcomes"])

    assert {"claims.trait", "claims.margin", "text.perplexity", "divergence.p99"} <= names
    assert "unused.trait" not in names
    assert len(suite["points"]) == len(document["combinations"]) * 2
    assert all(set(one["estimates"]) == set(one["effects"]) == names for one in suite["points"])
    joint = [one for one in suite["points"] if one["way"] in ("sum", "reject", "ties")]
    assert all(set(one["additivity"]) == names for one in joint)
    assert all("against_sum" in one for one in joint if one["way"] != "sum")
    assert not any("additivity" in one for one in suite["points"] if one["way"] in ("alone", "project"))


def test_what_is_beyond_the_sum_is_what_effects_lack_to_it(document: Document) -> None:
    alone = [point(document, label, -1.0)["effects"] for label in "vw"]
    together = point(document, "v + w", -1.0)

    for name in ("claims.trait", "claims.margin", "text.perplexity", "divergence.response"):
        found = together["effects"][name]["difference"] - sum(each[name]["difference"] for each in alone)
        assert np.isclose(together["additivity"][name]["difference"], found, atol=1e-9)
        assert together["additivity"][name]["low"] <= found + 1e-9


def test_against_the_sum_is_the_difference_of_two_effects(document: Document) -> None:
    merged, added = point(document, "ties([v, w])", 0.5), point(document, "v + w", 0.5)

    found = merged["against_sum"]["claims.margin"]["difference"]
    effects = [each["effects"]["claims.margin"]["difference"] for each in (merged, added)]
    assert np.isclose(found, effects[0] - effects[1], atol=1e-9)


def test_the_geometry_is_that_of_the_files(world: Path, document: Document) -> None:
    v, w = (np.concatenate([tensors(world, label)[name].ravel() for name in NAMES]) for label in "vw")
    cosine = v @ w / np.sqrt((v @ v) * (w @ w))
    both = (v != 0) & (w != 0)

    geometry = document["geometry"]
    assert np.isclose(geometry["cosine"][0][1], cosine, atol=1e-6)
    assert np.isclose(geometry["signs"]["agreement"][0][1], (np.sign(v) == np.sign(w))[both].mean())
    assert set(geometry["layers"]) == {"0", "1"}
    assert geometry["overlap"][0]["matrices"] == len(NAMES)


def test_a_table_holds_every_number_and_pictures_name_every_combination(
    folder: Path, document: Document
) -> None:
    with (folder / "interference.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    suite = document["suites"][0]

    assert len(rows) == len(suite["outcomes"]) * (1 + len(suite["points"]))
    (row,) = [
        one for one in rows
        if (one["combination"], one["strength"], one["outcome"]) == ("v + w", "0.5", "claims.margin")
    ]  # fmt: skip
    found = point(document, "v + w", 0.5)["additivity"]["claims.margin"]
    assert float(row["beyond_sum_of_effects"]) == found["difference"]
    drawn = pictures(document)
    assert list(drawn) == ["interference", "effects"]
    assert all("reject(w, onto=v)" in one.svg for one in drawn.values())
    assert "<image" not in drawn["interference"].svg
    assert (folder / "effects.png").read_bytes() == drawn["effects"].png


def test_people_read_cosine_effects_and_what_is_beyond(document: Document) -> None:
    lines = as_lines(document)

    assert lines[0] == "base: v, w together"
    assert any(line.startswith("suite 1.0.0, strength −1: effects") for line in lines)
    assert sum(line.startswith("  beyond the sum") for line in lines) == 2 * 4
    assert any(line.startswith("cosine felt by divergence.response of v and w: ") for line in lines)


def test_a_killed_run_goes_on_and_ends_in_the_same_bytes(
    world: Path, model: LanguageModel, prepared: Prepared, folder: Path, tmp_path: Path
) -> None:
    out, seen = tmp_path / "out", []

    def stop(step: Any) -> None:
        seen.append(step.what)
        if len(seen) == 6:
            raise KeyboardInterrupt

    settings = Settings((0.5, -1.0), WAYS)
    with pytest.raises(KeyboardInterrupt):
        interference(model, parts(world), [prepared], out, settings, told=stop)
    kept = {path.name: path.read_bytes() for path in (out / "points").iterdir()}
    assert len(kept) == 4
    interference(model, parts(world), [prepared], out, settings)

    assert {name: (out / "points" / name).read_bytes() for name in kept} == kept
    for name in ("interference.json", "interference.csv", "interference.svg"):
        assert (out / name).read_bytes() == (folder / name).read_bytes()


def test_what_is_no_number_is_left_out_and_said(
    world: Path, model: LanguageModel, prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Prepared.measure

    def broken(self: Prepared, of: LanguageModel, *rest: Any, **more: Any) -> Any:
        found = whole(self, of, *rest, **more)
        if (found.outcomes["divergence.response"].values[0] or 0.0) > 1e-5:  # steered
            outcome = found.outcomes["claims.margin"]
            values = (float("nan"), *outcome.values[1:])
            outcomes = {**found.outcomes, "claims.margin": replace(outcome, values=values)}
            return replace(found, outcomes=outcomes)
        return found

    monkeypatch.setattr(Prepared, "measure", broken)
    found = interference(model, parts(world), [prepared], tmp_path / "out", Settings((1.0,), ()))

    left = found["suites"][0]["left_out"]
    assert left[0] == {
        "combination": "v", "strength": 1.0, "outcome": "claims.margin", "why": "NaN or infinite"
    }  # fmt: skip
    assert "left out: claims.margin of v + w: NaN or infinite" in as_lines(found)
    assert "claims.margin" not in point(found, "v + w", 1.0)["additivity"]
    json.dumps(found, allow_nan=False)


def test_what_stands_there_is_kept(
    world: Path, model: LanguageModel, prepared: Prepared, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(TargetError, match="holds a finished look at interference"):
        interference(model, parts(world), [prepared], folder)
    (tmp_path / "points").mkdir()
    (tmp_path / "sweep.json").write_text("{}")
    with pytest.raises(TargetError, match=r"holds a finished sweep, and no interference\.json"):
        interference(model, parts(world), [prepared], tmp_path, overwrite=True)
    with pytest.raises(InvalidFileError, match=r"holds no interference\.json"):
        read_interference(tmp_path)
    with pytest.raises(RecipeError, match="no suite, or one of them twice"):
        interference(model, parts(world), [prepared, prepared], tmp_path / "new")


@pytest.mark.parametrize("strengths", [(), (0.0,), (float("inf"),)])
def test_a_strength_that_means_nothing_is_refused(strengths: tuple[float, ...]) -> None:
    with pytest.raises(RecipeError, match="a strength must be a finite number, and not 0"):
        Settings(strengths)
    with pytest.raises(RecipeError, match="a strength is named twice"):
        Settings((1.0, 1.0))
