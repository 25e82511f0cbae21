"""Data on stdout, everything else on stderr, a bar for people only; and help that is complete and quick."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest

from tests import tiny as models
from tests.cli.conftest import Run
from tests.cli.test_recipes import FLAGSHIP
from tests.conftest import Tiny
from weightarith.cli import cli

ROOT = Path(__file__).parents[2]
ENV = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100"}
WEIGHTARITH = [sys.executable, "-m", "weightarith"]
COMMANDS = sorted(cli.commands)
WRITING = {
    "diff": "diff finetuned base",
    "scale": "scale positive -0.5",
    "add": "add positive negative",
    "project": "project positive --onto negative",
    "reject": "reject positive negative --over model",
    "trim": "trim positive --density 0.2",
    "dare": "dare positive --density 0.5",
    "compress": "compress positive --rank 4",
    "apply": "apply base positive",
    "abliterate": "abliterate base --direction direction.safetensors",
    "merge": "merge flagship.yaml",
}
READING = {"inspect": "inspect base", "explain": "explain flagship.yaml"}
TELLING = {
    "convert": "convert mergekit.yaml",
    "operators": "operators ties",
    "check": "check positive --for peft",
}
STEERING = (
    "chat", "contrast", "data", "demo", "evaluate", "generate", "interference", "monitor", "report", "sweep",
    "train",
)  # fmt: skip
"""Commands that load a network, tried beside the parts that do their work."""
LOCKING = ("lock", "pull", "reproduce", "verify")
"""Commands about bytes, tried in test_locking.py."""
COMPARING = ("audit", "compare")
"""Tried in test_auditing.py and test_comparing.py."""
PUBLISHING = ("push",)
"""Tried in tests/push."""
MERGEKIT = """\
merge_method: linear
models: [{model: base, parameters: {weight: 1}}, {model: finetuned, parameters: {weight: 3}}]
dtype: bfloat16
"""


@pytest.fixture
def folder(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tiny.base.parent / "flagship.yaml").write_text(FLAGSHIP, encoding="utf-8")
    (tiny.base.parent / "mergekit.yaml").write_text(MERGEKIT, encoding="utf-8")
    models.save(tiny.base.parent / "direction.safetensors", {"r": np.ones(models.WIDTH)})
    monkeypatch.chdir(tiny.base.parent)
    return tiny.base.parent


def test_every_command_is_tried_here() -> None:
    assert sorted((*WRITING, *READING, *TELLING, *STEERING, *LOCKING, *COMPARING, *PUBLISHING)) == COMMANDS


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("command", WRITING.values(), ids=WRITING)
def test_a_writing_command_prints_data_only_where_asked(command: str, run: Run) -> None:
    words = [*command.split(), "-o", "out"]

    planned = run(*words, "--dry-run", "--json")
    assert (planned.status, planned.stderr, Path("out").exists()) == (0, "", False)
    silent = run(*words)
    assert (silent.status, silent.stdout) == (0, "")
    done = run(*words, "--json", "--overwrite")
    assert done.json["files"] == planned.json["files"]
    assert done.json["output"] == planned.json["output"] == "out"
    assert done.json["expression"] == planned.json["expression"]
    assert done.stderr == silent.stderr


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("command", READING.values(), ids=READING)
def test_a_reading_command_prints_to_stdout(command: str, run: Run) -> None:
    shown = run(*command.split())

    assert (shown.status, shown.stderr) == (0, "")
    assert shown.stdout
    assert run(*command.split(), "--json").json["kind"] == "checkpoint"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("command", TELLING.values(), ids=TELLING)
def test_a_telling_command_prints_to_stdout(command: str, run: Run) -> None:
    shown = run(*command.split())

    assert (shown.status, shown.stderr) == (0, "")
    assert shown.stdout


def test_what_stdout_cannot_encode_is_escaped(folder: Path) -> None:
    words = [*WEIGHTARITH, *WRITING["scale"].split(), "-o", "out", "--dry-run"]
    env = {**ENV, "PYTHONIOENCODING": "iso8859-1"}
    as_json = subprocess.run([*words, "--json"], cwd=folder, env=env, capture_output=True, check=True).stdout
    as_text = subprocess.run(words, cwd=folder, env=env, capture_output=True, check=True).stdout

    assert json.loads(as_json)["expression"] == "−0.5·positive"
    assert as_text.startswith(b"would write out: \\u22120.5\xb7positive")


def on_a_terminal(command: str, folder: Path) -> tuple[str, bytes]:
    """Return what a command shows on a terminal at stderr, and what it prints to a pipe at stdout."""
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [*WEIGHTARITH, *command.split()], cwd=folder, env=ENV, stdout=subprocess.PIPE, stderr=end
    )
    os.close(end)
    shown = b""
    try:
        while part := os.read(terminal, 1 << 16):
            shown += part
    except OSError:  # the other end is closed
        pass
    os.close(terminal)
    stdout, _ = process.communicate()
    assert process.returncode == 0
    return shown.decode(), stdout


@pytest.mark.parametrize("command", ["diff finetuned base -o out", "inspect base"])
def test_a_terminal_shows_bytes_rate_and_time_left(command: str, folder: Path) -> None:
    shown, stdout = on_a_terminal(command, folder)

    assert re.search(r"\d+(\.\d+)?/\d+(\.\d+)? [kM]?B", shown)
    assert re.search(r"(\?|[kM]?B/s)", shown)
    assert re.search(r"(-:--:--|\d:\d\d:\d\d)", shown)
    assert b"/s" not in stdout
    assert b"\x1b" not in stdout


def test_a_pipe_shows_nothing_of_the_bar(folder: Path) -> None:
    ran = subprocess.run(
        [*WEIGHTARITH, *["diff", "finetuned", "base", "-o", "out"]],
        cwd=folder,
        env=ENV,
        capture_output=True,
        check=True,
    )

    assert ran.stdout == b""
    assert b"\x1b" not in ran.stderr
    assert b"/s" not in ran.stderr
    assert ran.stderr.count(b"\r") == 0


def test_a_reader_that_has_seen_enough_is_no_error(folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)  # nobody reads

    ran = subprocess.run(
        [*WEIGHTARITH, "inspect", "base"],
        cwd=folder,
        env=ENV,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)

    assert (ran.returncode, ran.stderr) == (0, b"")


def test_messages_that_nobody_reads_stop_no_work(folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    ran = subprocess.run(
        [*WEIGHTARITH, *["diff", "base", "finetuned", "-o", "out"]],
        cwd=folder,
        env=ENV,
        stderr=writer,
        check=False,
    )
    os.close(writer)

    assert ran.returncode == 0
    assert Path("out", "weightarith.json").is_file()


@pytest.mark.parametrize("words", [["inspect", "base", "--headers"], ["--help"]])
def test_a_full_disk_under_stdout_is_told(words: list[str], folder: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [*WEIGHTARITH, *words], cwd=folder, env=ENV, stdout=full, stderr=subprocess.PIPE, check=False
        )

    assert ran.returncode == 6
    assert ran.stderr == b"Error: cannot write: No space left on device\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_told_in_full_sentences(name: str) -> None:
    command = cli.commands[name]

    assert command.help
    assert command.help.partition("\n")[0].endswith((".", "A."))
    assert not command.get_short_help_str(limit=58).endswith("...")
    for param in command.params:
        if isinstance(param, click.Option):
            told = (param.help or "").partition("  [")[0]
            assert re.match(r"[A-Z].+\.$", told), f"{name} {param.opts}: {told!r}"


@pytest.mark.parametrize("name", [[], *([command] for command in COMMANDS)])
def test_help_is_shown_and_imports_nothing_slow(name: list[str]) -> None:
    slow = ["huggingface_hub", "numba", "numpy", "rich", "torch", "transformers", "yaml"]
    code = f"""import sys; sys.argv = ["weightarith", *{name}, "-h"]
from weightarith.cli import main
main()
print([module for module in {slow} if module in sys.modules], file=sys.stderr)
"""
    ran = subprocess.run([sys.executable, "-c", code], env=ENV, capture_output=True, text=True, check=True)

    assert "--help" in ran.stdout
    assert ran.stderr == "[]\n"


def test_headers_are_inspected_without_numba_or_numpy(folder: Path) -> None:
    code = """import sys; sys.argv = ["weightarith", "inspect", "base", "--headers", "--tensors"]
from weightarith.cli import main
main()
slow = ["numba", "numpy", "torch", "rich", "yaml"]
print([module for module in slow if module in sys.modules], file=sys.stderr)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=ENV, capture_output=True, text=True, check=True
    )

    assert ran.stdout.startswith("base: checkpoint, 21 tensors")
    assert ran.stderr == "[]\n"


def test_the_version_is_that_of_the_package(run: Run) -> None:
    from importlib.metadata import version

    assert run("--version").stdout == f"weightarith, version {version('weightarith')}\n"
