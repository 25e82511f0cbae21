"""sweep: strengths and methods, behaviour against cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from weightarith.cli.options import Coefficient, DataFile, TraitFile

if TYPE_CHECKING:
    from weightarith.contrast import Run
    from weightarith.lm import LanguageModel
    from weightarith.sweep import Ingredients, LineUp, Settings, Step
    from weightarith.sweep.walk import Walk

RUN = "run.json"
TRAIT = "trait.yaml"


class Numbers(click.ParamType[tuple[float, ...]]):
    """Numbers with commas between them: `-1,-0.5,0.5,1`."""

    name = "numbers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Return `value` as numbers."""
        if isinstance(value, tuple):
            return value
        return tuple(float(Coefficient().convert(part, param, ctx)) for part in str(value).split(","))


@click.command()
@click.argument("base")
@click.argument("vector", metavar="RUN_OR_VECTOR")
@click.option(
    "--suite",
    required=True,
    metavar="NAME[:WORD]|FILE",
    help="What is measured: by a shipped set's suite, or a file.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="The folder to write; a run that was killed goes on in it.",
)
@click.option(
    "--strengths",
    type=Numbers(),
    default="-2,-1,-0.5,0,0.5,1,2",
    show_default=True,
    metavar="K,…",
    help="What the vector is multiplied by; 0 is always measured, too.",
)
@click.option(
    "--baselines",
    default="none",
    show_default=True,
    metavar="all|none|NAME,…",
    help="What to compare it with: positive, negative, activation, activation-all, prompt, "
    "fine-tuning, joint, bias, random.",
)
@click.option(
    "--match-kl",
    type=Numbers(),
    default=(),
    metavar="COST,…",
    help="Compare the methods where the suite's cost, a divergence in nats, is this.",
)
@click.option("--also", default="", metavar="RUN,…", help="Runs with other seeds, to average over.")
@click.option(
    "--task",
    type=DataFile(),
    metavar="FILE|NAME:TRAINING",
    help="Chats of a task: joint fine-tuning is trained on them if the run has none.",
)
@click.option(
    "--trait",
    type=TraitFile(),
    metavar="FILE|NAME",
    help="A trait file, or a set that ships with one, whose first system prompts are the baseline "
    f"prompt; without it {TRAIT} beside the suite, where there is one.",
)
@click.option(
    "--prompts", nargs=2, metavar="POSITIVE NEGATIVE", help="System prompts for the baseline prompt, instead."
)
@click.option(
    "--allow-points",
    type=click.FloatRange(0, 100),
    default=2.0,
    show_default=True,
    help="Points a share among the capabilities may fall inside the safe range.",
)
@click.option(
    "--allow-percent",
    type=click.FloatRange(0),
    default=3.0,
    show_default=True,
    help="Per cent a mean among them, such as a perplexity, may worsen.",
)
@click.option(
    "--allow-off-target",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    help="Points or per cent an off-target number may move, either way.",
)
@click.option(
    "--allow-divergence",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="Nats an off-target divergence may be.",
)
@click.option(
    "--reach",
    type=float,
    metavar="LEVEL",
    help="Recommend the smallest safe strength at which the behaviour is this, a share as 0.8, and look for "
    "it between the strengths measured; without it the largest effect in the safe range.",
)
@click.option(
    "--all-metrics",
    is_flag=True,
    help="Measure every metric of the suite, and not those alone that it names a part for.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the random vector.")
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="Where to compute: cpu or cuda; auto takes a GPU if there is one.",
)
@click.option(
    "--dtype",
    type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
    default="auto",
    show_default=True,
    help="Load the model as this; auto is how it is stored.",
)
@click.option("--overwrite", is_flag=True, help="Replace a finished sweep; its measurements are used.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole result as JSON.")
def sweep(base: str, vector: str, output: Path, overwrite: bool, as_json: bool, **asked: Any) -> None:
    """Walk a vector's strength: behaviour against cost.

    BASE is the model; RUN_OR_VECTOR a folder written by `contrast`, or a vector alone. Every point has its
    behaviour and what it costs, each with a 95 % interval and against strength 0. Equal strengths of
    different methods mean nothing, so --match-kl finds for each the strength at which it costs the same.

    OUT gets sweep.json, sweep.csv, curve and strength as PNG and SVG, and points/, a file a measurement.
    """
    from weightarith.cli.terminal import print_json, printable, tell
    from weightarith.evaluate import prepare, read_suite
    from weightarith.lm import load
    from weightarith.sweep import as_lines, baselines_named, check_out
    from weightarith.sweep import sweep as walk_strengths

    names, settings = baselines_named(asked["baselines"]), _settings(asked)
    check_out(output, overwrite=overwrite)
    suite = read_suite(asked["suite"])
    prompts = _prompts(asked, suite.path.parent)
    runs = [_trained(one, names, asked) for one in (vector, *filter(None, asked["also"].split(",")))]
    model = load(base, dtype=asked["dtype"], device=asked["device"])
    made = [_ingredients(one, model, base, prompts, asked["seed"]) for one in runs]
    tell("looking at the model as it is")
    only = None if asked["all_metrics"] else {name.partition(".")[0] for name in suite.named}
    prepared = prepare(suite, model, only)
    with kept(output), steps() as told:
        document = walk_strengths(
            model, _entries(made, names, settings, told), prepared, output, settings,
            seed=asked["seed"], overwrite=overwrite, told=told,
        )  # fmt: skip
    if as_json:
        print_json(document)
        return
    click.echo("\n".join(printable(line) for line in as_lines(document)))
    tell(f"{printable(str(output))}: sweep.json, sweep.csv, curve.png, strength.png")


def _settings(asked: dict[str, Any]) -> Settings:
    from weightarith.sweep import Allowed, Settings

    off_target = asked["allow_off_target"] / 100
    points, percent = asked["allow_points"] / 100, asked["allow_percent"] / 100
    allowed = Allowed(points, percent, off_target, off_target, asked["allow_divergence"])
    return Settings(asked["strengths"], asked["match_kl"], allowed, asked["reach"])


def _prompts(asked: dict[str, Any], beside: Path) -> tuple[str, str] | None:
    """Return the system prompts of the baseline, None where none are given."""
    from weightarith.generate.trait import read_trait

    if asked["prompts"]:
        positive, negative = asked["prompts"]
        return positive, negative
    path = asked["trait"] or beside / TRAIT
    if asked["trait"] is None and not path.is_file():
        return None
    trait = read_trait(path)
    return trait.positive[0], trait.negative[0]


@contextmanager
def kept(output: Path) -> Iterator[None]:
    """Say, where the command is interrupted, that what was measured is kept."""
    from weightarith.cli.terminal import printable, tell
    from weightarith.errors import Interrupted

    try:
        yield
    except (KeyboardInterrupt, Interrupted):
        points = output / "points"
        if points.is_dir():
            tell(f"what is measured so far is in {printable(str(points))}: the same command goes on")
        raise


def _trained(text: str, names: Sequence[str], asked: dict[str, Any]) -> Run | Path:
    """Return a run, with what the baselines need trained, or the path of a vector alone."""
    from weightarith.cli.terminal import tell
    from weightarith.contrast import add_bias, add_joint, read_run
    from weightarith.data import read_examples
    from weightarith.hub import locate

    path = locate(text)
    if not (path / RUN).is_file():
        return path
    run, device = read_run(path), "cpu" if asked["device"] == "cpu" else "auto"
    if "bias" in names and run.bias is None:
        tell(f"training biases for {path.name}")
        run = add_bias(run, device=device)
    if "joint" in names and run.joint is None and asked["task"] is not None:
        tell(f"training jointly for {path.name}")
        run = add_joint(run, read_examples(asked["task"]), device=device)
    return run


def _ingredients(
    found: Run | Path, model: LanguageModel, base: str, prompts: tuple[str, str] | None, seed: int
) -> Ingredients:
    from weightarith.cli.opening import opened_vector
    from weightarith.sweep import Ingredients

    if isinstance(found, Path):
        opened_vector(str(found), found.name)  # refuses a model, and says what to do
        return Ingredients(found.name.removesuffix(".safetensors"), found, model, base, None, prompts, seed)
    return Ingredients(found.folder.name, found.vector, model, base, found, prompts, seed)


def _entries(
    made: Sequence[Ingredients], names: Sequence[str], settings: Settings, told: Callable[[Step], None]
) -> Callable[[Walk], LineUp]:
    from weightarith.cli.terminal import warn
    from weightarith.sweep import Step, line_up

    def entries(walk: Walk) -> LineUp:
        first, *others = made
        found = line_up(walk, first, names, settings, others, lambda what: told(Step(0, 1, what)))
        warn(*(f"no baseline {name}: {why}" for name, why in found.missing.items()))
        return found

    return entries


@contextmanager
def steps() -> Iterator[Callable[[Step], None]]:
    """Yield what to call before each measurement: a bar with the time left on a terminal."""
    import sys

    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _step: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda step: bar.update(
            task, completed=step.done, total=step.total, description=escape(step.what)
        )
