"""The example's page: its commands run in the order shown, and it names every file there is."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.examples.conftest import SYCOPHANCY, WHEEL, main, script

PAGE = (SYCOPHANCY / "README.md").read_text(encoding="utf-8")
BLOCK = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0]
COMMANDS = [line for line in BLOCK.splitlines() if line and not line.startswith("#")]
MORE = re.findall(r"`(weightarith [^`]+)`", PAGE.replace("\n", " "))


def test_the_page_names_every_file_of_the_example() -> None:
    named = set(re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE))
    tracked = {f"{path.name}/" if path.is_dir() else path.name for path in SYCOPHANCY.iterdir()}
    assert named == tracked - {"README.md", "__pycache__/"}


def test_the_commands_run_in_the_order_shown(
    wheel: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    evaluate = script("evaluate")
    one = evaluate.questions()[:1]
    for name, value in {"questions": lambda: one, "PRINTED": 4, "JUDGED": 4}.items():
        monkeypatch.setattr(evaluate, name, value)
    shutil.copytree(trained, tmp_path / "examples" / "sycophancy" / "adapters")
    shutil.copy(SYCOPHANCY / "steer.yaml", tmp_path / "examples" / "sycophancy")
    monkeypatch.chdir(tmp_path)

    for program, *words in map(shlex.split, [*COMMANDS, *MORE]):
        if program == "pip":
            Path(".demo").mkdir()
            shutil.copy(wheel, Path(".demo", WHEEL))
        elif program == "python":
            few = ["--steps", "1"] if words[0].endswith("train.py") else []
            main(Path(words[0]).stem, *words[1:], *few)
        else:
            ran = run(*words)
            assert (program, ran.status) == ("weightarith", 0), ran.stderr

    made = {path.name for path in Path(".demo").iterdir() if path.is_dir()}
    assert made == {"base", "honest", "sycophantic", "steered", "honest-alone"}
