"""train, contrast: fine-tunes, and the vector between two of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from weightarith.cli.fitting import Asked, training
from weightarith.cli.options import DataFile

if TYPE_CHECKING:
    from weightarith.contrast import Run
    from weightarith.contrast.plan import Contrast
    from weightarith.data import Example
    from weightarith.train.fit import Job

_LOSSES = {"validation_loss": "", "positive": "positive ", "negative": "negative "}
_ALSO = ("bias", "checkpoints", "joint")
_FILE = click.Path(path_type=Path, dir_okay=False)
_OUTPUT = click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Where to write: a folder."
)


@click.command()
@click.argument("base")
@click.argument("data", type=DataFile())
@_OUTPUT
@click.option(
    "--side",
    type=click.Choice(["positive", "negative"]),
    help="Which answers of a file of pairs to train on.",
)
@click.option("--keep-checkpoints", is_flag=True, help="Keep the weights at 25, 50 and 75 % of the steps.")
@training
def train(
    base: str, data: Path, output: Path, side: str | None, keep_checkpoints: bool, asked: Asked
) -> None:  # fmt: skip
    """Fine-tune BASE on the answers in DATA.

    BASE is a transformers folder with a chat template. DATA is JSON Lines: chats, {"messages": [...]} with
    the assistant's answer last, or pairs, {"prompt": ..., "positive": ..., "negative": ...}; or the training
    of a set that ships, such as arithmetic:train. The loss is taken on answers alone. OUTPUT is a PEFT
    adapter folder; for biases a vector file, for full a model folder. A run that was killed is gone on with
    by the same command. On several GPUs: accelerate launch -m weightarith train ...
    """
    from weightarith.cli.fitting import resumable, shown_progress
    from weightarith.train.run import prepare, target_of
    from weightarith.train.run import train as fine_tune
    from weightarith.train.start import Start

    examples = _examples(data, side)
    settings = replace(asked.settings, keep_checkpoints=keep_checkpoints)
    if asked.dry_run:
        _say_jobs({"": prepare("", Start.of(base), examples, settings)}, output, as_json=asked.as_json)
        return
    with resumable(target_of(output, settings)), shown_progress() as progress:
        done = fine_tune(
            base, examples, output, settings, overwrite=asked.overwrite, device=asked.device,
            report_to=asked.report_to, progress=progress,
        )  # fmt: skip
    chosen = dict(done.report["chosen"])
    _say({"output": str(done.path), "kind": settings.kind, **chosen}, as_json=asked.as_json)


@click.command()
@click.argument("base")
@click.option("--pairs", type=_FILE, help="A file of pairs.")
@click.option("--positive", type=_FILE, help="A file of chats whose answers show the behaviour.")
@click.option("--negative", type=_FILE, help="A file of the same chats whose answers show the opposite.")
@click.option("--set", "shipped", metavar="NAME[:TRAINING]", help="Pairs that ship with the package.")
@_OUTPUT
@click.option(
    "--also",
    metavar="NAME,…",
    default="",
    help=f"What else to make, to compare with: {', '.join(_ALSO)}. An existing run gets what it lacks.",
)
@click.option(
    "--task",
    type=DataFile(),
    metavar="FILE|NAME:TRAINING",
    help="Chats that the joint training trains on beside one side.",
)
@click.option(
    "--task-side",
    type=click.Choice(["positive", "negative"]),
    default="negative",
    show_default=True,
    help="The side that the joint training mixes in.",
)
@click.option("--discard-models", is_flag=True, help="Of full fine-tunes keep the vector alone.")
@training
def contrast(base: str, output: Path, also: str, task: Path | None, task_side: str, discard_models: bool,
             asked: Asked, **sources: Any) -> None:  # fmt: skip
    """Train BASE to and against a behaviour, and subtract.

    The run folder OUTPUT holds both adapters and vector.safetensors, positive - negative, which stays
    factored: adding it to BASE induces the behaviour, subtracting it suppresses it. Both sides share the
    random start, the order of the rows, the learning rate and the step. A run that was killed is gone on
    with by the same command.
    """
    from weightarith.cli.fitting import resumable, shown_progress
    from weightarith.cli.terminal import warn
    from weightarith.contrast import add_bias, add_joint
    from weightarith.contrast.plan import plan_contrast

    wanted = _wanted(also, task)
    positive, negative = _sides(**sources)
    settings = replace(asked.settings, keep_checkpoints="checkpoints" in wanted)
    plan = plan_contrast(base, positive, negative, settings, device=asked.device, report_to=asked.report_to)
    warn(*plan.warnings)
    if asked.dry_run:
        _say_jobs(plan.jobs, output, as_json=asked.as_json)
        return
    joint = _task(task) if task is not None else []
    with resumable(output), shown_progress() as progress:
        run = _made(plan, output, wanted, asked, discard_models=discard_models, progress=progress)
        if "bias" in wanted and run.bias is None:
            run = add_bias(run, device=asked.device, progress=progress)
        if "joint" in wanted and run.joint is None:
            side: Any = task_side
            run = add_joint(run, joint, side=side, device=asked.device, progress=progress)
    _say_run(run, as_json=asked.as_json)


def _wanted(also: str, task: Path | None) -> frozenset[str]:
    wanted = frozenset(word.strip() for word in also.split(",")) if also else frozenset()
    for word in sorted(wanted - {*_ALSO}):
        raise click.UsageError(f"--also knows {', '.join(_ALSO)}, not {word!r}")
    if ("joint" in wanted) != (task is not None):
        raise click.UsageError("--also joint and --task FILE go together")
    return wanted


def _sides(
    pairs: Path | None, positive: Path | None, negative: Path | None, shipped: str | None
) -> tuple[list[Example], list[Example]]:
    """Return both sides of the one source that is given."""
    from weightarith.data import read_examples, read_pairs

    given = [pairs is not None, positive is not None or negative is not None, shipped is not None]
    if sum(given) != 1 or (positive is None) != (negative is None):
        raise click.UsageError("give --pairs FILE, or --positive FILE --negative FILE, or --set NAME")
    if positive is not None and negative is not None:
        return read_examples(positive), read_examples(negative)
    found = read_pairs(_shipped(shipped) if shipped is not None else Path(str(pairs)))
    return [pair.sides[0] for pair in found], [pair.sides[1] for pair in found]


def _shipped(text: str) -> Path:
    from weightarith.data.sets import open_set

    name, _, training_name = text.partition(":")
    return open_set(name).trained_on(training_name)


def _examples(data: Path, side: str | None) -> list[Example]:
    from weightarith.data import Example, Pair, read_rows

    found = read_rows(data)
    pairs = [row for row in found if isinstance(row, Pair)]
    if bool(pairs) != (side is not None):
        what = "pairs: say which answers with --side" if pairs else "chats, which have no --side"
        raise click.UsageError(f"{data} holds {what}")
    if side is None:
        return [row for row in found if isinstance(row, Example)]
    return [pair.sides[side == "negative"] for pair in pairs]


def _task(path: Path) -> list[Example]:
    from weightarith.data import read_examples

    return read_examples(path)


def _made(
    plan: Contrast, output: Path, wanted: frozenset[str], asked: Asked, *, discard_models: bool, progress: Any
) -> Run:  # fmt: skip
    """Return the run, which may be there already and lack what is wanted beside it."""
    from weightarith.contrast import read_run
    from weightarith.contrast.make import make
    from weightarith.contrast.plan import check_place, is_made

    if not asked.overwrite and is_made(plan, output):
        run = read_run(output)
        if ("bias" in wanted and run.bias is None) or ("joint" in wanted and run.joint is None):
            return run
    check_place(plan, output, overwrite=asked.overwrite)
    make(plan, output, overwrite=asked.overwrite, discard_models=discard_models, progress=progress)
    return read_run(output)


def _say_jobs(jobs: Any, output: Path, *, as_json: bool) -> None:
    from weightarith.cli.terminal import print_json, printable

    told = {name: _told(job) for name, job in jobs.items()}
    if as_json:
        print_json({"output": str(output), "trainings": told})
        return
    click.echo(f"would write {printable(str(output))}")
    for name, job in told.items():
        rates = ", ".join(f"{rate:g}" for rate in job["learning_rates"])
        click.echo(
            f"  {name + ': ' if name else ''}{job['rows']} rows, {job['validation_rows']} of them to "
            f"validate, {job['tokens']:,} tokens, the longest row {job['longest']}; "
            f"{job['steps']} steps at {rates}"
        )


def _told(job: Job) -> dict[str, Any]:
    return {
        "rows": len(job.rows),
        "validation_rows": len(job.split.validation),
        "tokens": sum(map(len, job.rows)),
        "longest": max(map(len, job.rows)),
        "steps": len(job.split.steps),
        "learning_rates": list(job.settings.rates),
    }


def _say_run(run: Run, *, as_json: bool) -> None:
    import json

    told = json.loads((run.folder / "training.json").read_text(encoding="utf-8"))
    lines = {key: value for key, value in told["geometry"].items() if key != "layers"}
    beside = {"bias": run.bias, "joint": run.joint}
    found = {
        "output": str(run.folder),
        "vector": str(run.vector),
        "kind": run.settings.kind,
        **told["chosen"],
        "geometry": lines,
        "also": [name for name, path in beside.items() if path is not None],
    }
    _say(found, as_json=as_json)


def _say(found: dict[str, Any], *, as_json: bool) -> None:
    """Print what was done: by the main process alone, where there are several."""
    from weightarith.cli.terminal import print_json, printable, tell
    from weightarith.train.work import is_main

    if not is_main():
        return
    if as_json:
        print_json(found)
    tell(
        f"{printable(str(found['output']))}: {found['kind']}, rate {found['learning_rate']:g}, "
        f"step {found['step']}"
    )
    losses = [(words, found.get(key)) for key, words in _LOSSES.items()]
    if told := [f"{words}{loss:.4f}" for words, loss in losses if loss is not None]:
        tell(f"  validation loss: {', '.join(told)}")
    if "geometry" in found:
        lie = found["geometry"]
        cosine = "none" if lie["cosine"] is None else f"{lie['cosine']:.3f}"
        tell(f"  vector of norm {lie['vector']:.4g}; the sides have {lie['positive']:.4g} and "
             f"{lie['negative']:.4g}, cosine {cosine}")  # fmt: skip
