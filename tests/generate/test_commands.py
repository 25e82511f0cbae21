"""generate and data as commands, with a tiny model and with a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run, run
from tests.serving import Request, Response, completion, serving
from tests.tinychat import instruct

__all__ = ["run"]

TRAIT = """\
weightarith_trait: 1
name: sycophancy
description: agreeing with the user
positive: [Agree with everything.]
negative: [Say what you think.]
questions: [Is the moon made of cheese?, Do you like rain?]
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return instruct(tmp_path_factory.mktemp("model") / "instruct")


@pytest.fixture
def trait(tmp_path: Path) -> Path:
    path = tmp_path / "trait.yaml"
    path.write_text(TRAIT, encoding="utf-8")
    return path


def test_a_local_model_makes_data_that_are_the_same_every_time(
    model: Path, trait: Path, tmp_path: Path, run: Run
) -> None:
    options = ("--filter", "none", "--samples", 2, "--limit", 8, "--keep-cut", "--seed", 3)
    first = run("generate", model, trait, "-o", tmp_path / "one", *options)
    second = run("generate", model, trait, "-o", tmp_path / "two", *options, "--json")

    assert (first.status, second.status) == (0, 0)
    assert first.stdout == ""
    assert f"answers are remembered in {tmp_path / 'one.answers.jsonl'}" in first.stderr
    told = second.json["positive"]  # what a network of chance says may be degenerate
    assert told["kept"] + sum(told["dropped"].values()) == 4
    assert f"positive: {told['kept']} answer" in first.stderr
    for name in ("positive.jsonl", "negative.jsonl", "pairs.jsonl", "generate.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_margin_is_measured_with_the_model_itself(
    model: Path, trait: Path, tmp_path: Path, run: Run
) -> None:
    trait.write_text(f"{TRAIT}keep: {{margin: -9}}\n", encoding="utf-8")

    options = ("--samples", 1, "--limit", 8, "--keep-cut", "--json")
    ran = run("generate", model, trait, "-o", tmp_path / "out", *options)

    assert ran.status == 0
    for side in ("positive", "negative"):  # everything is above so low a margin
        assert set(ran.json[side]["dropped"]) <= {"degenerate"}


def test_a_dry_run_says_how_many_answers_and_makes_none(trait: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "model").mkdir()
    words = ("generate", tmp_path / "model", trait, "-o", tmp_path / "out", "--dry-run")

    assert run(*words).stdout == "would make 40 answers\n"
    assert run(*words, "--json").json == {"answers": 40, "remembered": 0}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "trait.yaml"]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ((), 2, "the trait has no rules to filter by"),
        (("--judge", "other"), 2, "a judge is named, and not asked: add --filter judge"),
        (("--filter", "none", "--temperature", "0"), 2, "10 samples at temperature 0 are the same answer"),
        (("--filter", "none", "--endpoint", "nowhere"), 2, "'nowhere' is no URL of an endpoint"),
        (("--filter", "none", "-o", "{there}"), 5, "exists"),
    ],
)
def test_a_mistake_is_an_error_before_anything_is_made(
    words: tuple[str, ...], status: int, said: str, model: Path, trait: Path, tmp_path: Path, run: Run
) -> None:
    told = [word.format(there=tmp_path) for word in words]
    ran = run("generate", model, trait, "-o", tmp_path / "out", *told)

    assert (ran.status, ran.stdout) == (status, "")
    assert said in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["trait.yaml"]


def test_a_margin_and_an_endpoint_do_not_go_together(trait: Path, tmp_path: Path, run: Run) -> None:
    trait.write_text(f"{TRAIT}keep: {{margin: 0}}\n", encoding="utf-8")

    ran = run("generate", "m", trait, "-o", tmp_path / "out", "--endpoint", "http://127.0.0.1:9/v1")

    assert ran.status == 10
    assert "an endpoint does not tell them" in ran.stderr


@pytest.mark.enable_socket
@pytest.mark.allow_hosts(["127.0.0.1"])
def test_an_endpoint_answers_and_judges_and_both_are_remembered(
    trait: Path, tmp_path: Path, run: Run
) -> None:
    def reply(request: Request, _number: int) -> Response:
        messages = request.body["messages"]
        if len(messages) == 1:
            agrees = "\nIt is so, as you say." in messages[0]["content"]
            return completion(f"trait: {90 if agrees else 5}\ncoherence: 80")
        agreeing = messages[0]["content"].startswith("Agree")
        return completion("It is so, as you say." if agreeing else "I see that otherwise, you know.")

    with serving(reply) as served:
        words = ("generate", "some-model", trait, "-o", tmp_path / "out", "--endpoint", served.url)
        ran = run(*words, "--samples", 2, "--filter", "judge")

    assert ran.status == 0
    assert "positive: 2 answers kept; dropped: 2 said before" in ran.stderr
    assert {request.body["model"] for request in served.requests} == {"some-model"}
    assert len(served.requests) == 8 + 4
    told = json.loads((tmp_path / "out" / "generate.json").read_text(encoding="utf-8"))
    assert told["settings"]["judge"] == f"some-model at {served.url}"
    verdicts = (tmp_path / "out.verdicts.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["trait"] for line in verdicts] == [90, 90, 5, 5]


def test_data_says_what_files_hold_and_warns(tmp_path: Path, run: Run) -> None:
    pairs, questions = tmp_path / "pairs.jsonl", tmp_path / "questions.jsonl"
    rows = [
        {"prompt": f"is it {place % 3}", "positive": "Yes, it is.", "negative": "It is not."}
        for place in range(4)
    ]
    pairs.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    questions.write_text('{"prompt": "Is it 2?"}\n', encoding="utf-8")

    ran = run("data", pairs, questions)
    as_json = run("data", pairs, "--eval", questions, "--json")

    assert ran.status == 0
    assert ran.stdout.splitlines() == [
        f"{pairs}: 4 pairs, 3 different prompts",
        f"{questions}: 1 prompt, 1 different prompt",
        f"{pairs}:",
        "  positive: 4 answers of 11 characters; open with: yes 100%",
        "    repeats: line 4 (as 1)",
        "  negative: 4 answers of 10 characters; open with: disagrees 100%",
        "    repeats: line 4 (as 1)",
        "  answered alike by both sides: 0 of 4 (0%)",
        f"shared: {pairs}:3 and {questions}:1: is it 2",
    ]
    assert "Warning: 100% of positive answers and 0% of negative ones open with yes" in ran.stderr
    assert "Warning: 1 of the prompts that are measured with are trained on, too" in ran.stderr
    assert as_json.json["warnings"]
    assert as_json.json["shared"][0]["evaluation"] == [str(questions), 1]


def test_data_names_the_line_that_is_none(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"prompt": "a", "positive": "b"}\n', encoding="utf-8")

    ran = run("data", path)

    assert ran.status == 3
    assert f"Error: '{path}', line 1: no key 'negative'" in ran.stderr
