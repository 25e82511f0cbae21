"""Ctrl-C and SIGTERM in the middle of a run, in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import tiny as models
from tests.conftest import Tiny

ROOT = Path(__file__).parents[2]
# The first write of a block says READY and waits until the main thread has seen the signal.
HELD = """
import signal, sys, threading
import weightarith.cli as command
from weightarith.engine.files import Outputs

seen, first, write = threading.Event(), threading.Lock(), Outputs.write

def noticed(handler):
    def handle(number, frame):
        seen.set()
        handler(number, frame)
    return handle

def held(self, index, offset, data):
    if threading.current_thread() is not threading.main_thread() and first.acquire(blocking=False):
        print("READY", flush=True)
        seen.wait()
    write(self, index, offset, data)

Outputs.write = held
command._terminated = noticed(command._terminated)
signal.signal(signal.SIGINT, noticed(signal.default_int_handler))
sys.argv[0] = "weightarith"
command.main()
"""


@pytest.mark.parametrize(
    ("number", "status", "said"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
@pytest.mark.parametrize("name", ["out", "out.safetensors"])
@pytest.mark.parametrize("stands", [False, True], ids=["new", "over an old one"])
def test_a_signal_in_the_middle_of_a_run_leaves_what_stood_there(
    number: int, status: int, said: str, name: str, stands: bool, tiny: Tiny
) -> None:
    folder = tiny.base.parent
    words = ["diff", "finetuned", "base", "-o", name]
    if stands:
        subprocess.run([sys.executable, "-m", "weightarith", *words], cwd=folder, env=_env(), check=True)
        words = ["diff", "other", "base", "-o", name, "--overwrite"]
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    places = sorted(folder.rglob("*"))

    process = subprocess.Popen(
        [sys.executable, "-c", HELD, *words], cwd=folder, env=_env(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "READY\n"
    process.send_signal(number)
    stdout, stderr = process.communicate()

    assert (process.returncode, stdout) == (status, "")
    assert f"Error: {said}: no partial output was left, and an output that stood there is whole" in stderr
    assert "Traceback" not in stderr
    assert sorted(folder.rglob("*")) == places
    assert {path: path.read_bytes() for path in before} == before


def test_the_run_after_an_interrupted_one_is_like_any_other(tiny: Tiny) -> None:
    folder = tiny.base.parent
    words = ["diff", "finetuned", "base", "-o", "out"]
    process = subprocess.Popen(
        [sys.executable, "-c", HELD, *words], cwd=folder, env=_env(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()  # nothing can be cleaned up
    process.communicate()

    subprocess.run([sys.executable, "-m", "weightarith", *words], cwd=folder, env=_env(), check=True)

    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
    assert len(models.load(folder / "out")) == 21


def _env() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT)}
