"""The command, on a tiny model and a vector: what it writes, prints and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

from tests.cli.conftest import Run, run
from tests.tinychat import instruct

__all__ = ["run"]

SUITE = """\
weightarith_suite: 1
name: tiny
version: 1.0.0
behaviour: claims.trait
cost: divergence.response
capability: [facts.correct, text.perplexity]
panel: [divergence.p99]
metrics:
  claims: {kind: preference, data: claims.jsonl}
  facts: {kind: preference, data: facts.jsonl, correct: negative}
  text: {kind: perplexity, data: text.jsonl}
  divergence: {kind: divergence, data: prompts.jsonl, limit: 3}
  unused: {kind: preference, data: facts.jsonl}
"""
CLAIMS = [
    {"prompt": f"Is it {word}?", "positive": f"yes {word}", "negative": f"no {word}"}
    for word in ("so", "it", "up", "on", "by", "of")
]


def lines(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a vector and a suite."""
    folder = tmp_path_factory.mktemp("world")
    instruct(folder / "base")
    other = load_file(instruct(folder / "other", seed=1) / "model.safetensors")
    name = "model.layers.0.mlp.down_proj.weight"
    save_file({name: other[name]}, folder / "v.safetensors", {"weightarith.kind": "vector"})
    (folder / "suite.yaml").write_text(SUITE, encoding="utf-8")
    lines(folder / "claims.jsonl", CLAIMS)
    lines(folder / "facts.jsonl", [{**row, "prompt": "Say it."} for row in CLAIMS])
    lines(folder / "text.jsonl", [{"text": "one two three"}, {"text": "four five"}])
    lines(folder / "prompts.jsonl", [{"prompt": "a"}, {"prompt": "b"}])
    return folder


def asked(world: Path, *words: object) -> tuple[object, ...]:
    return (
        "sweep", world / "base", world / "v.safetensors", "--suite", world / "suite.yaml",
        "--strengths", "-1,0.5", *words,
    )  # fmt: skip


def test_a_vector_is_swept_beside_the_baselines_there_are(world: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    ran = run(
        *asked(world, "-o", out, "--baselines", "all", "--match-kl", "0.01", "--prompts", "Be.", "Do not.")
    )

    assert ran.status == 0, ran.stderr
    assert "Warning: no baseline positive: made of a run folder, and this is a vector alone" in ran.stderr
    document: Any = json.loads((out / "sweep.json").read_text(encoding="utf-8"))
    assert document["methods"] == ["v", "system prompt", "random"]
    assert set(document["missing"]) == {
        "positive", "negative", "activation", "activation-all", "fine-tuning", "joint", "bias"
    }  # fmt: skip
    assert {row["status"] for row in document["matched"] if row["method"] == "v"} == {"matched"}
    assert "unused.trait" not in document["outcomes"]
    shown = ran.stdout.splitlines()
    assert shown[2].split() == [
        "method", "strength", "claims.trait", "divergence.response", "facts.correct", "text.perplexity",
        "divergence.p99",
    ]  # fmt: skip
    assert any(line.startswith("at divergence.response = 0.01, k < 0") for line in shown)
    assert any(line.startswith("safe range of v: ") for line in shown)
    assert (out / "curve.png").is_file()
    assert (out / "curve-2.svg").is_file()


def test_json_prints_the_document_and_steering_leaves_the_base_alone(
    world: Path, tmp_path: Path, run: Run
) -> None:
    first = run(*asked(world, "-o", tmp_path / "a", "--json", "--all-metrics"))
    second = run(*asked(world, "-o", tmp_path / "b", "--json", "--all-metrics"))

    assert first.status == 0, first.stderr
    assert first.json == json.loads((tmp_path / "a" / "sweep.json").read_text(encoding="utf-8"))
    assert first.json == second.json
    assert "unused.trait" in first.json["outcomes"]
    base, *others = first.json["points"]
    assert base["estimates"]["divergence.response"]["value"] < 1e-5
    assert all(point["estimates"]["divergence.response"]["value"] > 1e-4 for point in others)


def test_a_finished_sweep_is_refused_before_the_model_is_loaded(
    world: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    (out / "points").mkdir(parents=True)
    (out / "sweep.json").write_text("{}", encoding="utf-8")
    monkeypatch.setattr("weightarith.lm.load", None)

    ran = run(*asked(world, "-o", out))

    assert ran.status == 5
    assert "holds a finished sweep" in ran.stderr


def test_an_interrupted_sweep_says_that_its_points_are_kept(
    world: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        (tmp_path / "out" / "points").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr("weightarith.sweep.sweep", interrupted)

    ran = run(*asked(world, "-o", tmp_path / "out"))

    assert ran.status == 130
    assert (
        f"what is measured so far is in {tmp_path / 'out' / 'points'}: the same command goes on" in ran.stderr
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--baselines", "promt"), "no baseline is called 'promt'"),
        (("--baselines", "prompt,prompt"), "a baseline is named twice"),
        (("--match-kl", "-1"), "a cost to match must be a number greater than 0"),
        (("--strengths", "1,x"), "'x' is no number"),
        (("--suite", "no-such-suite"), "no-such-suite"),
        (("--also", "nowhere"), "nowhere"),
    ],
)
def test_what_means_nothing_is_said_without_a_traceback(
    words: tuple[str, str], said: str, world: Path, tmp_path: Path, run: Run
) -> None:
    ran = run(*asked(world, "-o", tmp_path / "out", *words))

    assert ran.status not in (0, 1)
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_model_in_place_of_a_vector_is_refused(world: Path, tmp_path: Path, run: Run) -> None:
    ran = run(
        "sweep", world / "base", world / "other", "--suite", world / "suite.yaml", "-o", tmp_path / "out"
    )

    assert ran.status == 2
    assert "is a model, expected a vector or an adapter" in ran.stderr
