"""What a page shows beside the vector: methods at equal cost, other vectors, a monitor's record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run, run
from tests.interference import made_up as together_made_up
from tests.report import made_up
from tests.report.reading import read
from weightarith.errors import InvalidFileError
from weightarith.evaluate import prepare, read_suite
from weightarith.interference import Settings, interference
from weightarith.lm import load
from weightarith.report import open_subject, open_sweep, open_together, open_watch, render

__all__ = ["run"]

EVIL = made_up.EVIL


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = together_made_up.world(tmp_path_factory.mktemp("looked"))
    model = load(str(folder / "base"), device="cpu")
    prepared = prepare(read_suite(folder / "suite.yaml"), model, ("claims", "divergence"))
    interference(model, together_made_up.parts(folder), [prepared], folder / "out", Settings((0.5,)))
    return folder


def record(path: Path, **more: Any) -> Path:
    score = {"vector": EVIL, "tested": 0.1, "band": 0.05, "threshold": 0.06, "alarm": True}
    looks = [
        {"step": 1, "norm": 0.5, "vectors": [score]},
        {"step": 2, "norm": 0.7, "vectors": [{**score, "tested": 0.01, "alarm": False}]},
        {"step": 0, "norm": 0.0, "vectors": [{**score, "tested": None, "alarm": False}]},
    ]
    made_up.write(path, {
        "weightarith_monitor": 1, "looks": looks, "watched": {EVIL: None}, "controls": {EVIL: {"c": 0.01}},
        "false_positives": 0.01, "alarms": [{"step": 1, "series": "", "vector": EVIL}],
        "warnings": [f"few {EVIL}"], **more,
    })  # fmt: skip
    return path


def test_methods_at_equal_cost_stand_in_a_picture_and_a_table(folder: Path) -> None:
    html = render(open_subject(str(folder / "run")), [open_sweep(folder / "work" / "swept")])
    page = read(html)

    (figure,) = [one for one in page.all("figure") if "of every method where kl.response is 0.1" in one.text]
    assert "contrast" in figure.text
    assert f"other {EVIL}" in figure.text
    titles = [one.text for one in page.all("h4") if one.text.startswith("At kl.response = 0.1")]
    assert titles == ["At kl.response = 0.1: suppress (k < 0)", "At kl.response = 0.1: induce (k > 0)"]


def test_a_method_that_misses_the_cost_is_marked(folder: Path, tmp_path: Path) -> None:
    sweep = open_sweep(folder / "work" / "swept")
    document = json.loads(json.dumps(sweep.document))
    for row in document["matched"]:
        if row["method"] == "contrast":
            row["status"] = "above"
    made_up.write(tmp_path / "sweep.json", document)

    html = render(open_subject(str(folder / "run")), [open_sweep(tmp_path)])

    assert ">contrast *<" in html


def test_runs_that_were_averaged_over_are_named_by_the_command_that_measures_again(
    folder: Path, tmp_path: Path
) -> None:
    document = json.loads(json.dumps(open_sweep(folder / "work" / "swept").document))
    number = {"mean": 0.5, "low": None, "high": None, "values": [0.5, 0.5]}
    document["over_runs"] = [{
        "method": "contrast", "target": 0.1, "direction": "positive",
        "strengths": {document["run"]: 1.0, "second": 1.1}, "left_out": {},
        "estimates": dict.fromkeys(document["outcomes"], number),
    }]  # fmt: skip
    made_up.write(tmp_path / "sweep.json", document)

    html = render(open_subject(str(folder / "run")), [open_sweep(tmp_path)])

    assert "--also second" in html


def test_other_vectors_have_a_section_with_what_is_beyond_the_sum(folder: Path, looked: Path) -> None:
    page = read(render(open_subject(str(folder / "run")), beside=[open_together(looked / "out")]))

    assert "Together with other vectors" in page.text
    document = open_together(looked / "out").document
    (point,) = [one for one in document["suites"][0]["points"] if one["combination"] == "v + w"]
    found = point["additivity"]["divergence.response"]["difference"]
    shown = f"{'+' if found > 0 else ''}{found:.3g}".replace("-", "−")
    assert shown in page.text
    assert "cosine of v and w as divergence.response feels it" in page.text
    assert "beyond the sum of those alone" in page.text
    assert "This may not belong here: it measured v, w, and this page is about run; " in page.text
    assert not page.all("image")


def test_a_monitors_record_is_drawn_and_its_alarms_are_told(folder: Path, tmp_path: Path) -> None:
    watch = open_watch(record(tmp_path / "record.json"))

    page = read(render(open_subject(str(folder / "run")), watches=[watch]))

    assert "3 checkpoints held against 1 vector: 1 alarm. False positives: at most 0.01 a run." in page.text
    assert f"step 1: {EVIL}" in page.text
    assert f"few {EVIL}" in page.text
    (figure,) = [one for one in page.all("figure") if "The course of each watched vector" in one.text]
    assert "chance" in figure.text


def test_a_training_that_never_moved_has_no_course(folder: Path, tmp_path: Path) -> None:
    watch = open_watch(record(tmp_path / "record.json", looks=[], alarms=[]))

    html = render(open_subject(str(folder / "run")), watches=[watch])

    assert "No checkpoint has moved, so there is no course to draw." in html


def test_a_page_without_either_has_no_section_for_them(html: str) -> None:
    assert "Together with other vectors" not in html
    assert 'id="watched"' not in html


def test_what_is_something_else_is_refused(tmp_path: Path) -> None:
    made_up.write(tmp_path / "other.json", {"looks": []})
    with pytest.raises(InvalidFileError, match="is no record of a monitor"):
        open_watch(tmp_path / "other.json")
    made_up.write(tmp_path / "interference.json", {"weightarith_interference": 1})
    with pytest.raises(InvalidFileError, match="has no 'base'"):
        open_together(tmp_path)
    made_up.write(tmp_path / "interference.json", {"weightarith_interference": 2})
    with pytest.raises(InvalidFileError, match="has format 2, expected 1"):
        open_together(tmp_path)


def test_the_command_takes_all_kinds_in_any_order(
    folder: Path, looked: Path, tmp_path: Path, run: Run
) -> None:
    watch = record(tmp_path / "record.json")

    ran = run("report", folder / "run", watch, folder / "work" / "swept", looked / "out",
              "-o", tmp_path / "page.html")  # fmt: skip

    assert ran.status == 0, ran.stderr
    assert ran.stderr.endswith("1 sweep, 1 look at interference, 1 record of a monitor\n")
    assert "weightarith report run swept out record.json -o report.html" in (
        tmp_path / "page.html"
    ).read_text(encoding="utf-8")
