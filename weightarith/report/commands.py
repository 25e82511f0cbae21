"""The commands that make a run again, measure it again, and use it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from weightarith.contrast.run import VECTOR
from weightarith.report.subject import Subject
from weightarith.report.sweeps import Sweep
from weightarith.train.settings import Settings

FLAGS = {"trained_whole": "train-whole", "learning_rates": "lr"}
"""Settings whose option is called otherwise."""
ELSEWHERE = ("keep_checkpoints", "clip")
"""Settings without an option of their own name."""


def again(subject: Subject) -> list[str]:
    """Return the command that makes the run again, from the folder it lies in; none for a vector alone."""
    if subject.run is None:
        return []
    folder = subject.name
    words = ["weightarith", "contrast", subject.base or "BASE"]
    for side in subject.run.examples:
        words += [f"--{side}", f"{folder}/data/{side}.jsonl"]
    words += [*_settings(subject.run.settings), "-o", f"{folder}-again"]
    return [shlex.join(words)]


def _settings(settings: Settings) -> list[str]:
    """Return the options of all that is not as it comes."""
    plain, words = Settings(), list[str]()
    for name in (field.name for field in fields(Settings)):
        value = getattr(settings, name)
        if value == getattr(plain, name) or name in ELSEWHERE or (name == "epochs" and settings.steps):
            continue
        words.append(f"--{FLAGS.get(name, name.replace('_', '-'))}")
        if isinstance(value, tuple):
            words.append(",".join(map(_word, value)))
        elif not isinstance(value, bool):
            words.append(_word(value))
    return [*words, *(["--also", "checkpoints"] if settings.keep_checkpoints else [])]


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def swept_again(subject: Subject, sweep: Sweep) -> str:
    """Return the command that measures again; SUITE stands for the file of a suite that is not shipped."""
    document: Mapping[str, Any] = sweep.document
    sought = {row["strength"] for row in document["matched"] if row["looks"]}  # found by searching
    own = [one["strength"] for one in document["points"] if one["method"] == document["chosen"]]
    strengths = [k for k in own if k not in sought] or own
    words = [
        "weightarith",
        "sweep",
        subject.base or sweep.base,
        vector_of(subject),
        "--suite",
        suite_of(sweep),
    ]
    if strengths:
        words.append(f"--strengths={','.join(f'{k:g}' for k in strengths)}")
    if document["targets"]:
        words += ["--match-kl", ",".join(f"{target:g}" for target in document["targets"])]
    if len(document["methods"]) > 1:
        words += ["--baselines", "all"]
    also = {run for row in document["over_runs"] for run in row["strengths"]} - {document["run"]}
    if also:
        words += ["--also", ",".join(sorted(also))]
    return shlex.join([*words, "--seed", str(document["seed"]), "-o", f"{sweep.name}-again"])


def suite_of(sweep: Sweep) -> str:
    """Return the name of a shipped suite, or SUITE.yaml for one of somebody's own."""
    from weightarith.data.sets import shipped

    name = str(sweep.document["suite"]).rpartition(" ")[0]
    return name if name.partition(":")[0] in shipped() else "SUITE.yaml"


def vector_of(subject: Subject) -> str:
    """Return how the run, or the vector, is named on a command line."""
    return subject.name if subject.run is not None else subject.vector.source.path.resolve().name


def uses(subject: Subject, k: float) -> dict[str, str]:
    """Return ways to use the vector at a strength, by what they are for."""
    file = f"{subject.name}/{VECTOR}" if subject.run is not None else vector_of(subject)
    base, number = subject.base or "BASE", f"{k:g}"
    return {
        "Talk to it": shlex.join(["weightarith", "chat", base, "--vector", file, f"--strength={number}"]),
        "Write a steered model": shlex.join(
            ["weightarith", "apply", base, file, f"--strength={number}", "-o", "steered"]
        ),
        "Steer in Python": (
            "from weightarith.algebra import Vector\n"
            "from weightarith.lm import load\n"
            "from weightarith.steer import steered\n\n"
            f"model = load({base!r})\n"
            f"with steered(model, Vector.open({file!r}), {number}) as dial:\n"
            "    ...  # model.network answers steered; dial.strength changes live"
        ),
    }
