"""The operator of the examples, called by its recipe: a file that is no part of the package."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests import tiny as models
from tests.cli.conftest import Run
from tests.examples.conftest import ROOT
from tests.reference import Doubles, read, step

FOLDER = ROOT / "examples" / "operators"
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")
(BLOCK,) = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [shlex.split(line) for line in BLOCK.splitlines()]
SHARE = 0.02  # what the page says


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with the files of the example, and the models its recipe names."""
    for name in ("winsorise.py", "winsorise.yaml"):
        shutil.copy(FOLDER / name, tmp_path)
    base = models.weights()
    models.checkpoint(tmp_path / "base", base)
    models.checkpoint(tmp_path / "math-finetune", models.finetuned(base, seed=1))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def winsorised(change: Doubles) -> Doubles:
    """Return the change with its largest elements pulled in, by sorting all of them."""
    ranked = np.sort(np.abs(change), axis=None)[::-1]
    limit = ranked[int(SHARE * change.size)]
    return np.asarray(np.clip(change, -limit, limit))


def test_the_page_names_every_file_of_the_example() -> None:
    named = set(re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE))

    assert named == {path.name for path in FOLDER.iterdir()} - {"README.md", "__pycache__"}


def test_the_test_of_the_example_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    found = vars(importlib.import_module("test_winsorise"))
    tests = [test for name, test in found.items() if name.startswith("test_")]

    assert len(tests) == 2
    for test in tests:
        test()


@pytest.mark.parametrize("more", [(), ("--device", "torch"), ("--threads", "1")])
def test_the_commands_of_the_page_make_the_model_that_sorting_makes(
    more: tuple[str, ...], beside: Path, run: Run
) -> None:
    (_, *explain), (_, *merge), _ = COMMANDS

    told, ran = run(*explain), run(*merge, *more)

    assert (told.status, ran.status) == (0, 0), told.stderr + ran.stderr
    assert "base + winsorise(math − base, share=0.01)" in told.stdout
    base, tuned, made = (read(beside / name) for name in ("base", "math-finetune", "winsorised"))
    assert made.keys() == base.keys()
    for name, raw in base.items():
        values = raw.values + winsorised(tuned[name].values - raw.values)
        assert (np.abs(made[name].values - values) <= 0.5 * step(values, raw.code)).all()
        assert (made[name].values != tuned[name].values).any() == (raw.values.size > 1 / SHARE)


def test_without_its_file_the_operator_is_not_known(beside: Path, run: Run) -> None:
    ran = run("merge", beside / "winsorise.yaml")

    assert ran.status == 2
    assert "unknown function 'winsorise'" in ran.stderr
    assert not (beside / "winsorised").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("A = 1\n", "holds no operator"),
        ("1 / 0\n", "fails: ZeroDivisionError"),
        ("from weightarith.operators.ties import TIES\n", "holds no operator"),
    ],
)
def test_a_file_without_operators_is_refused(text: str, told: str, beside: Path, run: Run) -> None:
    (beside / "other.py").write_text(text, encoding="utf-8")

    ran = run("merge", "winsorise.yaml", "--operators", "other.py")

    assert ran.status == 2
    assert told in ran.stderr
    assert not (beside / "winsorised").exists()


def test_an_operator_takes_no_name_that_is_taken(beside: Path, run: Run) -> None:
    text = (beside / "winsorise.py").read_text(encoding="utf-8").replace('name="winsorise"', 'name="ties"')
    (beside / "winsorise.py").write_text(text, encoding="utf-8")

    ran = run("merge", "winsorise.yaml", "--operators", "winsorise.py")

    assert ran.status == 2
    assert "an operator cannot be called ties" in ran.stderr
