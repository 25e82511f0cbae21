"""The command: a table, JSON, a picture, and the exit code of an alarm."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.monitor.world import mixed, training


@pytest.fixture
def turned(tmp_path: Path) -> Path:
    """A run that turns towards the vector called evil at its second checkpoint."""
    return training(tmp_path / "run", mixed(s9=1.0), mixed(s0=0.5, s9=1.0))


def test_an_alarm_exits_with_11_and_says_which_vector_and_when(
    run: Run, place: Path, turned: Path, controls: list[Path]
) -> None:
    done = run(
        "monitor", place / "base", turned, "--against", place / "evil.safetensors", "--control", *controls
    )

    assert done.status == 11
    assert "Alarm: step 20 turns towards evil: cosine +0.4" in done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(
        "2 checkpoints, 1 vector watched, 5 controls; false positives: at most 0.01 a run"
    )
    assert lines[1] == "  moved is counted from the base: no step 0 was kept"
    assert [line.split()[-1] == "ALARM" for line in lines[3:5]] == [False, True]
    assert lines[5].startswith("controls by evil: ")


def test_no_alarm_exits_with_0(run: Run, place: Path, tmp_path: Path, controls: list[Path]) -> None:
    calm = training(tmp_path / "calm", mixed(s9=1.0))

    done = run(
        "monitor", place / "base", calm, "--against", place / "evil.safetensors", "--control", *controls
    )

    assert (done.status, "Alarm" in done.stderr) == (0, False)


def test_json_is_the_record_that_is_written(run: Run, place: Path, turned: Path, tmp_path: Path) -> None:
    record, picture = tmp_path / "m.json", tmp_path / "m.svg"

    done = run(
        "monitor", place / "base", turned, "--against", place / "evil.safetensors",
        place / "honest.safetensors", "--opposite", "evil=honest", "--json", "-o", record, "--plot", picture,
    )  # fmt: skip

    written = json.loads(record.read_text(encoding="utf-8"))
    assert done.status == 11
    assert {"weightarith_monitor": 1, **done.json} == written
    assert written["alarms"] == [{"step": 20, "series": "", "vector": "evil"}]
    assert written["watched"] == {"evil": "honest"}
    assert picture.read_text(encoding="utf-8").startswith("<?xml")


def test_without_controls_the_limits_of_an_alarm_are_said(run: Run, place: Path, turned: Path) -> None:
    done = run("monitor", place / "base", turned, "--against", place / "evil.safetensors")

    assert "the rate of false positives holds against random copies alone" in done.stderr
    assert "0.02 must be exceeded in their place" in done.stderr
    assert "'evil' has no opposite" in done.stderr


def test_an_earlier_record_is_kept_unless_it_may_be_replaced(
    run: Run, place: Path, turned: Path, tmp_path: Path
) -> None:
    words = (
        "monitor",
        place / "base",
        turned,
        "--against",
        place / "evil.safetensors",
        "-o",
        tmp_path / "m.json",
    )
    assert run(*words).status == 11
    refused = run(*words)
    assert refused.status not in (0, 11)
    assert "exists" in refused.stderr
    assert "--overwrite" in refused.stderr
    assert run(*words, "--overwrite").status == 11


def test_a_file_that_is_no_record_is_never_replaced(
    run: Run, place: Path, turned: Path, tmp_path: Path
) -> None:
    notes = tmp_path / "notes.json"
    notes.write_text("{}", encoding="utf-8")

    done = run(
        "monitor", place / "base", turned, "--against", place / "evil.safetensors", "-o", notes, "--overwrite"
    )

    assert "and is not what monitor writes" in done.stderr
    assert notes.read_text(encoding="utf-8") == "{}"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--opposite", "evil"), "'evil' names no two vectors; write it like evil=honest"),
        (("--opposite", "evil=kind"), "'kind' is set against another vector and is not watched"),
        (("--false-positives", "2"), "a rate of false positives of 2 means nothing, expected 0 to 1"),
        (("--control", "gone.safetensors"), "gone.safetensors"),
    ],
)
def test_what_means_nothing_is_refused_without_a_traceback(
    run: Run, place: Path, turned: Path, words: tuple[str, ...], said: str
) -> None:
    done = run("monitor", place / "base", turned, "--against", place / "evil.safetensors", *words)

    assert done.status not in (0, 11)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
