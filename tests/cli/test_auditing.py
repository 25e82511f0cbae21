"""audit: a table or JSON, a picture, and an exit code for those who ask for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import tiny
from tests.audit.edits import DEPTH, DOWN, row
from tests.cli.conftest import Run


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path]:
    tensors = tiny.weights(depth=DEPTH)
    base = tiny.checkpoint(tmp_path / "base", tensors)
    row(tensors)
    return base, tiny.checkpoint(tmp_path / "other", tensors)


def test_an_untouched_pair_says_that_nothing_stands_out(run: Run, models: tuple[Path, Path]) -> None:
    ran = run("audit", models[0], models[0], "--fail")

    assert ran.status == 0
    assert ran.stdout == "base against base: 0 of 93 tensors changed, by 0 %\nnothing stands out\n"
    assert ran.stderr == ""


def test_findings_are_numbered_and_say_what_how_much_and_why(run: Run, models: tuple[Path, Path]) -> None:
    ran = run("audit", *models)

    assert ran.status == 0
    assert ran.stdout.startswith("other against base: 1 of 93 tensors changed, by ")
    assert f"1 finding:\n1. scaled-rows: {DOWN}\n     row 5 is scaled by 1.499\n     why: " in ran.stdout


def test_findings_leave_11_where_that_is_asked_for(run: Run, models: tuple[Path, Path]) -> None:
    assert run("audit", *models, "--fail").status == 11


def test_json_holds_every_tensor_and_every_finding(run: Run, models: tuple[Path, Path]) -> None:
    found = run("audit", *models, "--json").json

    assert found["tensors_changed"] == 1
    assert found["findings"][0]["tensors"] == [DOWN]
    assert found["tensors"][DOWN]["spectrum"]["rank"] == 1
    assert found["by_role"]["down"]["changed"] == 1


def test_known_vectors_are_listed_with_their_scores(
    run: Run, models: tuple[Path, Path], tmp_path: Path
) -> None:
    tiny.adapter(tmp_path / "known" / "evil", depth=DEPTH)
    tiny.checkpoint(tmp_path / "known" / "model", tiny.weights())

    ran = run("audit", models[0], tmp_path / "known" / "evil", "--known", tmp_path / "known")

    assert "known: evil\n     the change has a cosine of +1.000 with it over 70 tensors" in ran.stdout
    assert "left out of" in ran.stderr
    assert "model: a model" in ran.stderr


def test_a_picture_is_written_and_never_over_another_file(
    run: Run, models: tuple[Path, Path], tmp_path: Path
) -> None:
    picture = tmp_path / "change.svg"

    assert run("audit", *models, "--plot", picture).status == 0
    assert "<svg" in picture.read_text(encoding="utf-8")
    assert run("audit", *models, "--plot", picture).status == 5
    assert run("audit", *models, "--plot", picture, "--overwrite").status == 0
    assert run("audit", *models, "--plot", tmp_path / "x.jpg").status == 2


def test_a_vector_in_the_place_of_the_model_is_refused(
    run: Run, models: tuple[Path, Path], tmp_path: Path
) -> None:
    ran = run("audit", tiny.adapter(tmp_path / "adapter", depth=DEPTH), models[0])

    assert ran.status == 2
    assert "is an adapter, expected a model" in ran.stderr
