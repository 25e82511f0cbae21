"""chat on a terminal: a child behind a pseudo-terminal, told what to do as soon as it asks."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.conversing.conftest import write_vector
from tests.tinychat import instruct
from weightarith.algebra import Vector
from weightarith.cli.terminal import printable
from weightarith.conversing import Manner, Talk
from weightarith.lm import load

ROOT = Path(__file__).parents[2]
CODES = re.compile(r"(\x1b\[[0-9;?]*[A-Za-z])")
CODE = re.compile(r"\x1b\[(?P<number>[0-9;?]*)(?P<act>[A-Za-z])")
PROMPT = "> "
CHILD = """
import fcntl, runpy, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl+C is a signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell runs in the background ignores it
runpy.run_module("weightarith", run_name="__main__", alter_sys=True)
"""
STUCK = 120
"""Seconds without a sign of life after which a test gives up rather than hang."""


class Screen:
    """A `chat` behind a pseudo-terminal of a width; one question at a time."""

    def __init__(self, folder: Path, width: int, *words: str, term: str = "xterm") -> None:
        self.raw = b""
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (30, width))
        settings = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": term, "NO_COLOR": "1"}
        settings = {key: value for key, value in settings.items() if key not in ("COLUMNS", "LINES")}
        told = ["chat", "instruct", "--vector", "v.safetensors", *words]
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, *told], stdin=theirs, stdout=theirs, stderr=theirs,
            cwd=folder, env=settings, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.greeting = self.until(PROMPT)

    def until(self, mark: str) -> str:
        """Return what is shown up to and with a mark, or up to the end."""
        raw = b""
        while not shown(raw).endswith(mark):
            if not select.select([self._ours], [], [], STUCK)[0]:
                raise TimeoutError(f"waited for {mark!r} after {raw!r}")
            try:
                read = os.read(self._ours, 4096 if mark.endswith(PROMPT) else 1)
            except OSError:  # the child has left
                break
            raw, self.raw = raw + read, self.raw + read
        return shown(raw)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._ours, text.encode())

    def ask(self, line: str) -> list[str]:
        """Type a line, and return the lines shown until the next prompt, without it and its echo."""
        self.type(f"{line}\n")
        self.until(f"{line}\n")
        return self.until(f"\n{PROMPT}").removesuffix(f"\n{PROMPT}").split("\n")

    def leave(self, keys: str) -> int:
        """Press keys that end it, and return its status."""
        self.type(keys)
        self.until("no such mark")
        return self.process.wait()

    def close(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)


def shown(raw: bytes) -> str:
    """Return what stands on a screen that got `raw`: lines that were drawn over are gone."""
    lines, row, column = [""], 0, 0
    for part in CODES.split(raw.decode(errors="replace")):
        code = CODE.fullmatch(part)
        if code is None:
            for letter in part:
                if letter == "\n":
                    row += 1
                    lines += [""] * (row == len(lines))
                elif letter == "\r":
                    column = 0
                elif letter == "\b":
                    column -= 1
                else:
                    lines[row] = f"{lines[row][:column]:<{column}}{letter}{lines[row][column + 1 :]}"
                    column += 1
        elif code["act"] == "A":
            row -= int(code["number"] or 1)
        elif (code["act"], code["number"]) == ("K", "2"):
            lines[row] = ""
    return "\n".join(line.rstrip(" ") if place < row else line for place, line in enumerate(lines[: row + 1]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("chat")
    instruct(made / "instruct")
    write_vector(made / "v.safetensors")
    return made


@pytest.fixture(scope="module")
def wide(folder: Path) -> Iterator[Screen]:
    with closing(Screen(folder, 90, "--limit", "24")) as screen:
        yield screen


def columns(lines: list[str]) -> tuple[str, str]:
    """Return what stands in each column, lines joined."""
    cells = [line.partition("│") for line in lines]
    return "".join(left.strip() for left, _, _ in cells), "".join(right.strip() for _, _, right in cells)


def test_both_answers_stand_side_by_side_and_are_those_of_the_library(wide: Screen, folder: Path) -> None:
    assert "instruct and, steered, v at strength 1; /help lists the commands\n" in wide.greeting

    lines = wide.ask("hello")

    assert lines[0] == f"{'base':<43} │ steered"
    assert all(len(line) <= 90 for line in lines)
    with Talk(load(folder / "instruct"), Manner(limit=24)) as talk:
        talk.steer_by(Vector.open(folder / "v.safetensors"))
        answers = [said.text for said in dict(talk.ask("hello")).values()]
    for side, (name, said) in enumerate(zip(("base", "steered"), answers, strict=True)):
        told = columns(lines)[side].removeprefix(name).removesuffix("[…]")
        assert "".join(told.split()) == "".join(printable(said).split())


def test_the_strength_changes_live(wide: Screen) -> None:
    wide.ask("/reset")
    moved = columns(wide.ask("why?")[1:])
    assert wide.ask("/strength 0") == ["strength 0"]
    wide.ask("/reset")
    same = columns(wide.ask("why?")[1:])
    wide.ask("/strength 1")

    assert moved[0] == same[0] == same[1] != moved[1]


def test_a_slip_is_told_and_the_conversation_goes_on(wide: Screen) -> None:
    told = wide.ask("/strenght 2")

    assert told[0].startswith("Error: no command '/strenght', expected /strength, /vector")
    assert told[-1] == "  try: did you mean /strength?"
    assert wide.ask("/strength") == ["strength 1"]
    assert wide.ask("/help")[0].startswith("/strength K")


def test_ctrl_c_at_the_prompt_says_how_to_leave(wide: Screen) -> None:
    wide.type("half a quest")
    wide.until("half a quest")  # keys that are not read yet would be dropped, and their reader left to wait
    wide.type("\x03")

    assert "Ctrl+D or /quit leaves\n" in wide.until(f"leaves\n{PROMPT}")


def test_ctrl_c_stops_an_answer_which_stays(wide: Screen, folder: Path) -> None:
    wide.ask("/reset")
    wide.ask("/limit 900")
    wide.type("hello\n")
    wide.until("steered\n")
    wide.until("│")
    wide.type("\x03")

    assert "[stopped]" in wide.until(f"\n{PROMPT}")
    assert wide.ask(f"/save {folder}/stopped.jsonl")[0].endswith("1 question with both answers")


def test_ctrl_d_leaves(wide: Screen) -> None:
    assert wide.leave("\x04") == 0


@pytest.mark.slow  # it starts another one
def test_a_narrow_terminal_shows_one_answer_below_the_other(folder: Path) -> None:
    with closing(Screen(folder, 50, "--limit", "6")) as screen:
        lines = screen.ask("hello")
        assert [line for line in lines if line in ("base:", "steered:")] == ["base:", "steered:"]
        assert screen.leave("/quit\n") == 0


@pytest.mark.slow
def test_a_dumb_terminal_gets_no_control_codes(folder: Path) -> None:
    with closing(Screen(folder, 90, "--limit", "6", term="dumb")) as screen:
        screen.type("hello\n")
        screen.until("steered:\n")
        assert b"\x1b" not in screen.raw.partition(b"base:")[2]
