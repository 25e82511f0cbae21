"""The study of data size and label noise, run small on the tiny chat model."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.examples.conftest import ROOT
from tests.tinychat import instruct
from weightarith.data import read_pairs
from weightarith.data.sets import open_set

SCRIPT = ROOT / "examples" / "studies" / "size_and_noise.py"


@pytest.fixture(scope="module")
def study() -> ModuleType:
    """Return the script as a module."""
    spec = importlib.util.spec_from_file_location("size_and_noise", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_a_draw_has_as_many_pairs_as_asked_and_as_many_wrong_labels(study: ModuleType) -> None:
    pairs = read_pairs(open_set("sycophancy").trained_on("claims"))
    right = {study.opened(pair, opening) for pair in pairs for opening in study.OPENINGS}

    for size, flipped in ((50, 0.0), (200, 0.4), (1000, 0.1)):
        found = study.drawn(study.Setting(size, flipped), pairs)
        wrong = [pair for pair in found if study.opened(pair, "") not in right]
        alike = [pair for pair in found if pair.positive == pair.negative]

        assert len({pair.conversation for pair in found}) == size
        assert len(wrong) <= flipped * size
        assert len(wrong) >= flipped * size - len(alike)


def test_more_pairs_than_there_are_is_an_error(study: ModuleType) -> None:
    pairs = read_pairs(open_set("sycophancy").trained_on("claims"))

    with pytest.raises(SystemExit, match="there are 1180 pairs, and 1181 are asked for"):
        study.drawn(study.Setting(1181, 0.0), pairs)


def test_the_study_prints_a_line_for_every_setting_and_goes_on_where_it_was(
    study: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    base = instruct(tmp_path / "instruct")
    command = [
        "study",
        str(base),
        str(tmp_path / "out"),
        "--sizes",
        "8",
        "--noise",
        "0.5",
        "--noisy-size",
        "8",
    ]
    monkeypatch.setattr(sys, "argv", [*command, "--steps", "6"])
    study.main()
    first = capsys.readouterr().out.splitlines()
    monkeypatch.setattr(study, "contrast", None)  # what is trained is not trained again
    study.main()

    assert capsys.readouterr().out.splitlines() == first
    assert len(first) == 4
    assert first[2].startswith("| 8 | 0 % |")
    assert first[3].startswith("| 8 | 50 % |")
    assert all(line.count("|") == first[0].count("|") for line in first)
