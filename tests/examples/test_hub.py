"""The example that goes from one machine to another, its commands run against a Hub of our own."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.examples.conftest import ROOT
from tests.hubserver import Hub
from tests.push.hurry import hurry
from tests.tinychat import instruct

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]
FOLDER = ROOT / "examples" / "hub"
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")
BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"
CARD = "---\nlicense: apache-2.0\n---\n# a model\n"
SHORT = {"--steps": "6"}
"""Options of a training that are cut."""


def commands(section: str) -> list[list[str]]:
    """Return the commands below a heading of the page."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines()]


def shortened(command: list[str]) -> list[str]:
    pairs = zip(["", *command], command, strict=False)
    return [SHORT.get(before, word) for before, word in pairs]


def machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a new folder with the recipes, on a machine with nothing in its cache."""
    folder.mkdir()
    for path in FOLDER.glob("*.yaml"):
        shutil.copy(path, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder / "cache"))
    return folder


def test_the_page_names_every_file_of_the_example() -> None:
    named = set(re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE))

    assert named == {path.name for path in FOLDER.iterdir()} - {"README.md"}


def test_a_vector_gives_the_same_bytes_on_another_machine_and_everything_can_be_checked(
    any_hub: Hub, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    model = instruct(tmp_path / "model")
    (model / "README.md").write_text(CARD, encoding="utf-8")
    any_hub.add(BASE, model)
    here = machine(tmp_path / "here", monkeypatch)
    for command in commands("Here"):
        done = run(*shortened(command))
        assert done.status == 0, (command, done.stderr)
    there = machine(tmp_path / "there", monkeypatch)
    for command in commands("There"):
        done = run(*command)
        assert done.status == 0, (command, done.stderr)
        assert any_hub.token not in done.stdout + done.stderr
    elsewhere = machine(tmp_path / "elsewhere", monkeypatch)
    shutil.copy(there / "steer.lock", elsewhere)
    assert run(*["merge", "steer.yaml", "--locked", "--stream", "-o", "streamed"]).status == 0
    assert not list((elsewhere / "cache").rglob("*.safetensors"))

    expected = {path.name: path.read_bytes() for path in (here / "steered").iterdir()}
    assert "model.safetensors" in expected
    made = {"steered": there / "steered", "streamed": elsewhere / "streamed"}
    found = {
        **{way: {path.name: path.read_bytes() for path in place.iterdir()} for way, place in made.items()},
        "the Hub": any_hub.files("your-name/steered"),
    }
    for way, files in found.items():
        for name in expected.keys() - {"weightarith.json"}:
            assert files[name] == expected[name], (way, name)
    card = found["the Hub"]["README.md"].decode()
    assert f"base_model:\n- {BASE}\n- your-name/refusal-vector\n" in card
    assert any_hub.refs("your-name/steered").keys() >= {"refs/tags/v1"}
