"""chat over a pipe: plain lines in, plain lines out."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Protocol

import pytest

from tests import tiny as models
from tests.cli.conftest import Ran, Run
from tests.conversing.conftest import write_vector
from tests.tinychat import instruct
from weightarith.conversing import Manner, Talk
from weightarith.lm import load


class Asks(Protocol):
    """Runs `chat` with lines on stdin."""

    def __call__(self, lines: str | bytes, *words: object) -> Ran: ...


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("chat")
    instruct(made / "instruct")
    write_vector(made / "v.safetensors")
    return made


@pytest.fixture
def ask(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Asks:
    def asked(lines: str | bytes, *words: object) -> Ran:
        raw = lines.encode() if isinstance(lines, str) else lines
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8"))
        return run("chat", "instruct", "--vector", "v.safetensors", "--limit", 8, *words)

    monkeypatch.chdir(folder)
    return asked


def test_each_line_is_answered_by_a_pair_without_control_codes(ask: Asks) -> None:
    ran = ask("hello\n\nhow are you?")

    lines = ran.stdout.split("\n")
    assert ran.status == 0
    assert [line.partition(": ")[0] for line in lines] == ["base", "steered"] * 2 + [""]
    assert all(line.isprintable() for line in lines)
    assert "hello" not in ran.stdout


def test_the_answers_are_those_of_the_library(ask: Asks, folder: Path) -> None:
    from weightarith.algebra import Vector

    ran = ask("hello\nand?\n", "--json", "--strength", "-0.5", "--system", "be brief")

    with Talk(load(folder / "instruct"), Manner(strength=-0.5, limit=8, system="be brief")) as talk:
        talk.steer_by(Vector.open(folder / "v.safetensors", label="v"))
        for prompt in ("hello", "and?"):
            list(talk.ask(prompt))
    found = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [(one["base"], one["steered"]) for one in found] == [
        (one.base.text, one.steered.text) for one in talk.exchanges
    ]
    assert found[0] | {"base": "", "steered": ""} == {
        "prompt": "hello", "base": "", "steered": "", "ends": {"base": "limit", "steered": "limit"},
        "tokens": {"base": 8, "steered": 8}, "vector": "v", "strength": -0.5, "system": "be brief",
        "temperature": 0.0, "seed": 0, "limit": 8, "same": False,
    }  # fmt: skip


def test_commands_are_obeyed_and_answered_on_stderr(ask: Asks, folder: Path) -> None:
    ran = ask("hello\n/strength 0\n/kl\nagain\n/save said.jsonl\n/quit\nnot asked\n")

    assert ran.status == 0
    assert len(ran.stdout.splitlines()) == 4
    base, steered = ran.stdout.splitlines()[2:]
    assert "strength 0\nKL(base ‖ steered) 0 nats a token" in ran.stderr
    assert "said.jsonl: 2 questions with both answers\n" in ran.stderr
    saved = [json.loads(line) for line in (folder / "said.jsonl").read_text().splitlines()]
    assert [one["strength"] for one in saved] == [1.0, 0.0]
    assert (base.partition(": ")[2] == steered.partition(": ")[2]) == (
        saved[1]["base"] == saved[1]["steered"]
    )


@pytest.mark.parametrize(
    ("lines", "status", "said"),
    [
        ("hello\n/strenght 2\n", 2, "did you mean /strength?"),
        ("/strength x\n", 2, "'x' is no number"),
        ("/vector nowhere.safetensors\n", 3, "no such file or folder: 'nowhere.safetensors'"),
        (b"\xff\xfe\n", 3, "line 1 of what is asked is not UTF-8"),
        ("x" * 1200, 4, "takes 1,024 in all"),
    ],
)
def test_an_error_ends_the_run_with_its_status(ask: Asks, lines: str, status: int, said: str) -> None:
    ran = ask(lines)

    assert ran.status == status
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_one_seed_is_one_conversation(ask: Asks) -> None:
    said = [ask("hello\n", "--temperature", 1.5, "--seed", seed).stdout for seed in (3, 3, 4)]

    assert said[0] == said[1] != said[2]


def test_without_a_vector_both_are_the_base_until_one_is_named(run: Run, ask: Asks) -> None:
    ask("")
    sys.stdin = io.StringIO("hello\n/reset\n/vector v.safetensors\nhello\n")
    ran = run("chat", "instruct", "--limit", 8)

    base, steered, again, moved = (line.partition(": ")[2] for line in ran.stdout.splitlines())
    assert base == steered == again != moved


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("chat", "nowhere"), 3, "no such file or folder"),
        (("chat", "instruct", "--vector", "instruct"), 2, "expected a vector or an adapter"),
        (("chat", "instruct", "--strength", "nan"), 2, "'nan' is no number; write it like 1.5, -0.5 or 1/3"),
        (("chat", "instruct", "--limit", "0"), 2, "--limit"),
        (("chat", "instruct", "--temperature", "-1"), 2, "--temperature"),
        (("chat", "instruct", "--vector", "stray.safetensors"), 4, "'nowhere.weight'"),
    ],
)
def test_a_bad_argument_is_said_before_anything_is_asked(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], status: int, said: str
) -> None:
    stray = {"nowhere.weight": models.weights()["model.norm.weight"]}
    models.save(folder / "stray.safetensors", stray, metadata={"weightarith.kind": "vector"})
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "stdin", io.StringIO("hello\n"))

    ran = run(*words)

    assert (ran.status, ran.stdout) == (status, "")
    assert said in ran.stderr
