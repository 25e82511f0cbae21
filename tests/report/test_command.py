"""report as a command, and the commands that its page shows."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import tiny
from tests.cli.conftest import Run, run  # noqa: F401  (the fixture)
from tests.conversing.conftest import write_vector
from tests.report.reading import read
from tests.tinychat import instruct
from weightarith.cli import cli
from weightarith.report import commands, open_subject, open_sweep


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(folder)
    yield folder
    for made in folder.glob("*.html"):
        made.unlink()


def test_the_page_is_written_and_its_size_is_said(run: Run, here: Path) -> None:  # noqa: F811
    ran = run("report", "run", "work/swept", "-o", "page.html")

    assert (ran.status, ran.stdout) == (0, "")
    doubt, told = ran.stderr.splitlines()
    assert doubt.startswith(
        "Warning: swept may not belong here: it measured other, and this page is about run; "
    )
    assert told.startswith("page.html: ")
    assert told.endswith(" kB, 1 sweep")
    assert (here / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>\n")
    assert run("report", "run", "-o", "page.html").status == 5
    assert run("report", "run", "-o", "page.html", "--overwrite").status == 0


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("report nowhere", 3, "no such file or folder"),
        ("report run nowhere", 2, "nowhere"),
        ("report run run", 3, "holds no sweep.json"),
        ("report run --samples 2", 2, "--samples asks a model: add --base BASE"),
        ("report v.safetensors --samples 2 --base x", 2, "a vector alone has no questions of its own"),
        ("report v.safetensors -o nowhere/page.html", 6, "does not exist"),
        ("report run --samples 1 --base x --strengths a", 2, "'a' is no number"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_written(
    run: Run, here: Path, words: str, status: int, said: str  # noqa: F811
) -> None:  # fmt: skip
    ran = run(*words.split())

    assert ran.status == status
    assert said in ran.stderr
    assert not list(here.glob("*.html"))


def test_new_answers_are_asked_for_at_the_strengths_given(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    instruct(Path("instruct"))
    write_vector(Path("v.safetensors"))
    rows = '{"prompt": "hello <b>?", "positive": "a", "negative": "b"}\n'
    Path("q.jsonl").write_text(rows, encoding="utf-8")

    ran = run(
        "report", "v.safetensors", "--samples", 4, "--base", "instruct", "--questions", "q.jsonl",
        "--strengths", "-2,0.5", "--limit", 5,
    )  # fmt: skip

    assert ran.status == 0
    page = read(Path("report.html").read_text(encoding="utf-8"))
    assert "1 question evenly spread over q.jsonl. Greedy answers of at most 5 tokens" in page.text
    [asked] = page.all("article")
    assert asked.text.split("\n")[1] == "userhello <b>?"
    marks = [one.text for one in page.all("p") if one.attributes.get("class") == "k"]
    assert marks == ["k = −2", "base", "k = 0.5"]


def test_the_commands_a_page_shows_are_understood(here: Path) -> None:
    subject, sweep = open_subject("run"), open_sweep(Path("work/swept"))
    (here / "SUITE.yaml").touch()
    lines = [
        *commands.again(subject),
        commands.swept_again(subject, sweep),
        *commands.uses(subject, -0.5).values(),
    ]

    assert len([line for line in lines if line.startswith("weightarith ")]) == 4
    for line in lines:
        if line.startswith("weightarith "):
            _, name, *words = shlex.split(line)
            cli.commands[name].make_context(name, words)  # or it raises a usage error
    contrast = shlex.split(commands.again(subject)[0])
    assert contrast[contrast.index("--lr") + 1] == "0.001,0.01"
    assert contrast[contrast.index("--steps") + 1] == "3"
    assert contrast[contrast.index("--seed") + 1] == "7"
    assert "--epochs" not in contrast
    sweeping = shlex.split(commands.swept_again(subject, sweep))
    assert "--strengths=-1,0.5,1" in sweeping
    assert sweeping[sweeping.index("--match-kl") + 1] == "0.1"


def test_the_python_a_page_shows_is_python(here: Path) -> None:
    subject = open_subject("run")

    compile(commands.uses(subject, 1.0)["Steer in Python"], "shown", "exec")
    tiny.save(here / "odd 'name\".safetensors", {"w": tiny.weights()["model.norm.weight"]},
              metadata={"weightarith.kind": "vector"})  # fmt: skip
    odd = open_subject("odd 'name\".safetensors")
    compile(commands.uses(odd, 1.0)["Steer in Python"], "shown", "exec")
    assert shlex.split(commands.uses(odd, 1.0)["Talk to it"])[4] == "odd 'name\".safetensors"
