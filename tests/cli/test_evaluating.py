"""evaluate as a command: the table, the file, and what it says where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.evaluate.test_suite import TEXT
from tests.tinychat import instruct
from weightarith.evaluate import Evaluation, compare, estimate


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    pairs = [{"prompt": f"{number}?", "positive": "yes", "negative": "no"} for number in range(4)]
    for name, rows in (("pairs", pairs), ("prompts", [{"prompt": "Why?"}, {"prompt": "How?"}])):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    path = tmp_path / "tiny.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return instruct(tmp_path / "base")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return instruct(tmp_path / "other", seed=1)


def test_a_model_alone_has_a_table_and_what_needs_a_base_is_left_out_aloud(
    base: Path, suite: Path, run: Run
) -> None:
    ran = run("evaluate", base, "--suite", suite)

    assert ran.status == 0
    title, header, *rows = ran.stdout.splitlines()
    assert title == f"tiny 0.1.0: {base}"
    assert header.split() == ["outcome", "value", "95", "%", "interval", "n"]
    assert [row.split()[0] for row in rows] == [
        *(f"claims.{name}" for name in ("trait", "margin", "log_odds")),
        *(f"facts.{name}" for name in ("trait", "margin", "log_odds", "correct")),
    ]
    assert rows[0].endswith("4  behaviour")
    assert rows[-1].endswith("4  capability")
    assert "left out for want of a base (--against BASE, or --vector V): 'moved'" in ran.stderr


def test_against_another_model_changes_are_those_of_the_same_items(
    base: Path, other: Path, suite: Path, tmp_path: Path, run: Run
) -> None:
    path = tmp_path / "found.json"
    ran = run("evaluate", other, "--suite", suite, "--against", base, "--json", "-o", path)

    assert ran.status == 0
    whole = json.loads(path.read_text(encoding="utf-8"))
    found, before = (Evaluation.from_json(one) for one in whole["evaluations"])
    assert (found.model, before.model) == (str(other), str(base))
    shown = {row["outcome"]: row for row in ran.json["outcomes"]}
    assert whole["outcomes"] == ran.json["outcomes"]
    assert list(shown) == list(found.outcomes)
    for name, row in shown.items():
        assert row["value"] == estimate(found.outcomes[name]).value
        assert row["change"] == compare(found.outcomes[name], before.outcomes[name]).to_json()
    assert shown["moved.response"]["parts"] == ["cost"]
    assert shown["moved.response"]["change"]["difference"] == pytest.approx(
        shown["moved.response"]["value"], abs=1e-5
    )


def test_a_vector_steers_as_merging_it_would(
    base: Path, other: Path, suite: Path, tmp_path: Path, run: Run
) -> None:
    vector, merged = tmp_path / "v.safetensors", tmp_path / "merged"
    assert run("diff", other, base, "-o", vector).status == 0
    assert run("apply", base, vector, "--strength", "-0.5", "-o", merged).status == 0

    steered = run("evaluate", base, "--suite", suite, "--vector", vector, "--strength", "-0.5", "--json")
    direct = run("evaluate", merged, "--suite", suite, "--against", base, "--json")

    assert (steered.status, direct.status) == (0, 0)
    assert steered.json["model"] == f"{base} − 0.5·v"
    for one, two in zip(steered.json["outcomes"], direct.json["outcomes"], strict=True):
        assert one["value"] == pytest.approx(two["value"], abs=2e-4)


def test_a_system_prompt_is_the_models_and_not_the_bases(base: Path, suite: Path, run: Run) -> None:
    ran = run("evaluate", base, "--suite", suite, "--against", base, "--system", "Be rude.", "--json")

    shown = {row["outcome"]: row for row in ran.json["outcomes"]}
    assert shown["moved.response"]["value"] > 1e-4
    assert shown["claims.margin"]["change"]["difference"] != 0


def test_a_table_against_a_base_shows_change_interval_and_p(base: Path, suite: Path, run: Run) -> None:
    ran = run("evaluate", base, "--suite", suite, "--against", base, "--only", "claims, moved")

    assert ran.stdout.splitlines()[1].split()[-5:] == ["change", "95", "%", "interval", "p"]
    row = next(row for row in ran.stdout.splitlines() if row.startswith("claims.margin (nats/token)"))
    assert "+0.000" in row
    assert "1.000" in row
    assert "facts" not in ran.stdout


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--strength", "2"], 2, "--strength is that of a vector: add --vector V"),
        (["--only", "moved"], 2, "no base to compare with, as 'moved' must"),
        (["--only", "claim"], 2, "'claims' instead of 'claim'"),
        (["--device", "tpu"], 2, "the device is 'tpu', expected auto, cpu, cuda or cuda:N"),
        (["-o", "nowhere/found.json"], 5, "no folder"),
        (["-o", "."], 5, "is a folder, expected a file"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_loaded(
    words: list[str], status: int, said: str, suite: Path, run: Run
) -> None:
    ran = run("evaluate", "no-such-model", "--suite", suite, *words)

    assert (ran.status, ran.stdout) == (status, "")
    assert said in ran.stderr


def test_an_existing_file_is_replaced_only_where_that_is_said(base: Path, suite: Path, run: Run) -> None:
    path = suite.with_name("found.json")
    path.write_text("mine", encoding="utf-8")

    refused = run("evaluate", base, "--suite", suite, "--only", "claims", "-o", path)
    assert (refused.status, path.read_text(encoding="utf-8")) == (5, "mine")
    assert "exists" in refused.stderr
    assert run("evaluate", base, "--suite", suite, "--only", "claims", "-o", path, "--overwrite").status == 0
    assert json.loads(path.read_text(encoding="utf-8"))["weightarith_evaluations"] == 1


def test_a_suite_that_is_none_is_a_recipe_error(base: Path, run: Run) -> None:
    ran = run("evaluate", base, "--suite", "sycophanci")

    assert (ran.status, ran.stdout) == (2, "")
    assert "no suite is called 'sycophanci'" in ran.stderr
