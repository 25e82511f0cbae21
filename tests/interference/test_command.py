"""The command: what it writes, prints and refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run, run

__all__ = ["run"]


def asked(world: Path, *words: object) -> tuple[object, ...]:
    return ("interference", world / "base", world / "v.safetensors", world / "w.safetensors", *words)


def test_two_suites_are_measured_and_people_are_told(world: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    suites = f"{world / 'suite.yaml'},{world / 'more.yaml'}"

    ran = run(*asked(world, "--suite", suites, "--strength", "-0.5", "--ways", "none", "--only",
                     "claims,divergence", "-o", out))  # fmt: skip

    assert ran.status == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0] == "base: v, w together"
    assert "suite 1.0.0, strength −0.5: effects, and what is beyond their sum" in lines
    assert "more 1.0.0, strength −0.5: effects, and what is beyond their sum" in lines
    assert "text.perplexity" not in ran.stdout
    assert {path.name for path in out.iterdir()} == {
        "effects-2.png", "effects-2.svg", "effects.png", "effects.svg", "interference.csv",
        "interference.json", "interference.png", "interference.svg", "points",
    }  # fmt: skip


def test_weights_turn_a_vector_and_json_prints_the_document(world: Path, tmp_path: Path, run: Run) -> None:
    words = ("--suite", world / "suite.yaml", "--weights", "-1,1/2", "--ways", "ties", "--only", "divergence")

    ran = run(*asked(world, *words, "-o", tmp_path / "out", "--json"))

    assert ran.status == 0, ran.stderr
    assert ran.json["vectors"] == ["−v", "0.5·w"]
    assert [one["label"] for one in ran.json["combinations"]] == [
        "−v", "0.5·w", "−v + 0.5·w", "ties([−v, 0.5·w])"
    ]  # fmt: skip
    again = run(*asked(world, *words, "-o", tmp_path / "out"))
    assert again.status == 5
    assert "holds a finished look at interference" in again.stderr


def test_one_vector_is_refused_before_the_model_is_looked_at(world: Path, tmp_path: Path, run: Run) -> None:
    words = ("--suite", world / "suite.yaml", "-o", tmp_path / "out")

    ran = run("interference", world / "base", world / "v.safetensors", *words)

    assert ran.status == 2
    assert ran.stderr.startswith("Error: one vector alone has nothing to interfere with\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ways", "rejet"), "no way to combine is called 'rejet'"),
        (("--strengths", "0"), "a strength must be a finite number, and not 0"),
        (("--weights", "1"), "1 weights for 2 vectors"),
        (("--weights", "1,0"), "a weight of 0 leaves its vector out"),
        (("--only", "nothing"), "no suite has a metric 'nothing'"),
        (("--only", "claims", "--all-metrics"), "give one of them"),
        (("--suite", "no-such-suite"), "no-such-suite"),
    ],
)
def test_what_means_nothing_is_said_before_the_model_is_loaded(
    words: tuple[str, ...], said: str, world: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weightarith.lm.load", None)

    ran = run(*asked(world, "--suite", world / "suite.yaml", "-o", tmp_path / "out", *words))

    assert ran.status == 2
    assert said in ran.stderr


def test_one_vector_and_a_model_in_place_of_one_are_refused(world: Path, tmp_path: Path, run: Run) -> None:
    rest = ("--suite", world / "suite.yaml", "-o", tmp_path / "out", "--only", "divergence")

    alone = run("interference", world / "base", world / "v.safetensors", *rest)
    assert alone.status == 2
    assert "one vector alone has nothing to interfere with" in alone.stderr
    model = run("interference", world / "base", world / "v.safetensors", world / "other-v", *rest)
    assert model.status == 2
    assert "is a model, expected a vector or an adapter" in model.stderr
