"""train and contrast on the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.train.world import content, pairs
from weightarith.cli.training import contrast, train
from weightarith.contrast import read_run
from weightarith.errors import RecipeError, TargetError
from weightarith.train.rows import as_lines

QUICK = ("--rank", "4", "--steps", "6", "--warmup", "1", "--batch", "4", "--lr", "1e-2", "--patience", "0")


def run(command: Any, *words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data: pairs.jsonl, and positive.jsonl and negative.jsonl of the same."""
    folder = tmp_path_factory.mktemp("data")
    rows = [
        {"prompt": pair.conversation.asked, "positive": pair.positive, "negative": pair.negative}
        for pair in pairs()
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for number, side in enumerate(("positive", "negative")):
        (folder / f"{side}.jsonl").write_text(as_lines([pair.sides[number] for pair in pairs()]))
    return folder


def test_train_writes_an_adapter_and_says_how_it_went(base: Path, files: Path, tmp_path: Path) -> None:
    given = (base, files / "pairs.jsonl", "--side", "negative", "-o", tmp_path / "out", *QUICK)
    ran = run(train, *given, "--json")
    found = json.loads(ran.stdout)
    assert (found["learning_rate"], found["step"], found["kind"]) == (0.01, 6, "lora")
    assert f"{tmp_path}/out: lora, rate 0.01, step 6" in ran.stderr
    again = run(train, base, files / "negative.jsonl", "-o", tmp_path / "chats", *QUICK)
    assert again.stdout == ""
    assert content(tmp_path / "chats", "training.json") == content(tmp_path / "out", "training.json")
    assert isinstance(run(train, *given).exception, TargetError)


def test_contrast_writes_a_run_and_later_adds_what_it_lacks(base: Path, files: Path, tmp_path: Path) -> None:
    given = (base, "--pairs", files / "pairs.jsonl", "-o", tmp_path / "run", *QUICK, "--json")
    found = json.loads(run(contrast, *given).stdout)
    assert found["also"] == []
    assert 0 < found["geometry"]["cosine"] < 1
    before = content(tmp_path / "run")

    also = ("--also", "bias,joint", "--task", files / "positive.jsonl")
    assert json.loads(run(contrast, *given, *also).stdout)["also"] == ["bias", "joint"]
    after = content(tmp_path / "run")
    assert {name: after[name] for name in before} == before
    ran = run(contrast, *given, *also)
    assert isinstance(ran.exception, TargetError)
    assert read_run(tmp_path / "run").bias is not None


def test_two_files_of_chats_make_the_run_of_their_pairs(base: Path, files: Path, tmp_path: Path) -> None:
    run(contrast, base, "--pairs", files / "pairs.jsonl", "-o", tmp_path / "one", *QUICK)
    both = ("--positive", files / "positive.jsonl", "--negative", files / "negative.jsonl")
    run(contrast, base, *both, "-o", tmp_path / "two", *QUICK)
    assert content(tmp_path / "one", "training.json") == content(tmp_path / "two", "training.json")


def test_a_dry_run_says_what_would_be_trained_and_writes_none(
    base: Path, files: Path, tmp_path: Path
) -> None:
    given = (base, "--pairs", files / "pairs.jsonl", "-o", tmp_path / "run", "--warmup", 1, "--dry-run")
    lines = run(contrast, *given).stdout.splitlines()
    assert lines[0] == f"would write {tmp_path}/run"
    assert lines[1].startswith("  positive: 16 rows, 1 of them to validate, ")
    assert lines[1].endswith("; 2 steps at 0.0001, 0.0005")
    told = json.loads(run(contrast, *given, "--json").stdout)
    assert told["trainings"]["negative"]["steps"] == 2
    assert not list(tmp_path.iterdir())


def test_a_shipped_set_is_opened_by_name(base: Path, tmp_path: Path) -> None:
    ran = run(contrast, base, "--set", "evil-advice", "-o", tmp_path / "run", "--dry-run")
    assert "  positive: 80 rows" in ran.stdout
    ran = run(contrast, base, "--set", "evil-advise", "-o", tmp_path / "run", "--dry-run")
    assert isinstance(ran.exception, RecipeError)
    assert "evil-advice" in ran.exception.hint


@pytest.mark.parametrize(("name", "message"), [
    ("sycophancy", "has more than one training: claims, opinions\n  try: sycophancy:claims"),
    ("shared", "has no training: its files are measured with"),
])  # fmt: skip
def test_a_set_without_exactly_one_training_asks_for_its_name(name: str, message: str) -> None:
    ran = run(contrast, "base", "--set", name, "-o", "run", "--dry-run")
    assert isinstance(ran.exception, RecipeError)
    assert str(ran.exception) == f"the set '{name}' {message}"


@pytest.mark.parametrize(("words", "message"), [
    (("--pairs", "p", "--set", "s"), "give --pairs FILE, or --positive FILE --negative FILE, or --set NAME"),
    (("--positive", "p"), "give --pairs FILE, or --positive FILE --negative FILE, or --set NAME"),
    (("--pairs", "p", "--also", "bais"), "--also knows bias, checkpoints, joint, not 'bais'"),
    (("--pairs", "p", "--also", "joint"), "--also joint and --task FILE go together"),
    (("--pairs", "p", "--steps", "3", "--epochs", "2"), "--steps and --epochs say the same thing twice"),
    (("--pairs", "p", "--lr", "fast"), "'fast' is no list of numbers; write it like 1e-4,5e-4"),
])  # fmt: skip
def test_what_does_not_go_together_is_a_usage_error(words: Sequence[str], message: str) -> None:
    ran = run(contrast, "base", "-o", "run", *words)
    assert ran.exit_code == 2
    assert message in ran.stderr


def test_a_side_is_named_for_pairs_and_only_for_them(base: Path, files: Path, tmp_path: Path) -> None:
    ran = run(train, base, files / "pairs.jsonl", "-o", tmp_path / "out")
    assert "pairs: say which answers with --side" in ran.stderr
    ran = run(train, base, files / "positive.jsonl", "-o", tmp_path / "out", "--side", "positive")
    assert "chats, which have no --side" in ran.stderr


def test_help_imports_neither_torch_nor_numpy() -> None:
    script = (
        "import sys; from click.testing import CliRunner; from weightarith.cli.training import contrast; "
        "CliRunner().invoke(contrast, ['--help']); print([m for m in ('torch', 'numpy') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )


@pytest.mark.slow
def test_a_terminated_command_says_how_to_go_on(base: Path, files: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "weightarith", "train", base, files / "positive.jsonl", "-o", tmp_path / "out",
        "--rank", "4", "--steps", "100000", "--evaluate-every", "5",
    ]  # fmt: skip
    process = subprocess.Popen([str(word) for word in command], stderr=subprocess.PIPE, text=True)
    work = tmp_path / ".out.work"
    while not list(work.glob("rate-*/checkpoint-5")) and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 143
    assert f"what is trained so far is in {work}: the same command goes on" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_several_processes_share_a_training(base: Path, files: Path, tmp_path: Path) -> None:
    words = [base, "--pairs", files / "pairs.jsonl", "--dtype", "float32", *QUICK, "-o"]
    run(contrast, *words, tmp_path / "one")
    launch = [
        "accelerate.commands.accelerate_cli",
        "launch",
        "--cpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
    ]
    command = [
        sys.executable,
        "-m",
        *launch,
        "-m",
        "weightarith",
        "contrast",
        *words,
        tmp_path / "two",
        "--json",
    ]
    ran = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["step"] == 6  # printed once
    one, two = (json.loads((tmp_path / name / "training.json").read_text()) for name in ("one", "two"))
    for side in ("positive", "negative"):
        assert two["sides"][side][0]["losses"] == pytest.approx(one["sides"][side][0]["losses"], rel=1e-4)
    assert two["geometry"]["cosine"] == pytest.approx(one["geometry"]["cosine"], rel=1e-3)
