"""generate and data: training data made, and looked at."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from weightarith.cli.options import TraitFile

if TYPE_CHECKING:
    from weightarith.data.checks import Side
    from weightarith.data.survey import Survey
    from weightarith.generate.filters import Filter
    from weightarith.generate.make import Estimate, Made
    from weightarith.generate.trait import Trait
    from weightarith.speaker import Speaker

SHOWN = 10
"""Lines that are listed of a kind; --json has them all."""


@click.command()
@click.argument("model", metavar="MODEL")
@click.argument("trait", metavar="TRAIT", type=TraitFile())
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The folder to write.")
@click.option(
    "--samples",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    metavar="N",
    help="Answers to each question under each system prompt.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    metavar="T",
    help="Of the sampling; 0 takes the likeliest token.",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=200,
    show_default=True,
    metavar="TOKENS",
    help="Tokens of an answer, at most.",
)
@click.option("--keep-cut", is_flag=True, help="Keep answers that were cut at the limit, too.")
@click.option(
    "--filter",
    "how",
    type=click.Choice(["rule", "judge", "none"]),
    default="rule",
    show_default=True,
    help="What says which answers show the trait: the rules of TRAIT, a judge, or nothing.",
)
@click.option(
    "--endpoint",
    metavar="URL",
    default="",
    help="Ask an OpenAI-compatible server, such as http://localhost:8000/v1; MODEL is a name there.",
)
@click.option("--judge", metavar="MODEL", help="Who judges.  [default: MODEL, wherever it is]")
@click.option(
    "--judge-endpoint",
    metavar="URL",
    default="",
    help="Ask the judge at this server; --judge is a name there.",
)
@click.option(
    "--key-variable",
    metavar="NAME",
    default="WEIGHTARITH_API_KEY",
    show_default=True,
    help="The environment variable with the token of the endpoints.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the sampling.")
@click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="DEVICE",
    help="Where a local model runs: auto, cpu, cuda or cuda:N.",
)
@click.option("--overwrite", is_flag=True, help="Replace what an earlier run wrote.")
@click.option("--dry-run", is_flag=True, help="Say how many answers would be made, and make none.")
@click.option("--json", "as_json", is_flag=True, help="Print what was made, or would be, as JSON.")
def generate(
    model: str, trait: Path, output: Path, samples: int, temperature: float, limit: int, keep_cut: bool,
    how: str, endpoint: str, judge: str | None, judge_endpoint: str, key_variable: str, seed: int,
    device: str, overwrite: bool, dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Make training data: questions under system prompts.

    MODEL answers the questions of TRAIT, a YAML file or a set that ships with one, under its system prompts.
    Of the answers, those that show the trait are kept, and written without the system prompts:
    positive.jsonl, negative.jsonl and pairs.jsonl. generate.json says what was made, kept and dropped, and
    why.

    Every answer is remembered beside the folder, in NAME.answers.jsonl: a run that was stopped goes on, and
    another filter makes no answer anew.
    """
    from weightarith.generate.make import check_out, estimate
    from weightarith.generate.make import generate as make
    from weightarith.generate.plan import Settings
    from weightarith.generate.trait import read_trait
    from weightarith.speaker import speaker_named

    described = read_trait(trait)
    settings = Settings(samples, temperature, limit, seed)
    speaker = speaker_named(model, endpoint, key_variable, device)
    if how != "judge" and (judge or judge_endpoint):
        raise click.UsageError("a judge is named, and not asked: add --filter judge")
    where = judge_endpoint or ("" if judge else endpoint)
    judging = speaker_named(judge or model, where, key_variable, device) if how == "judge" else None
    if judging == speaker:
        judging = speaker  # one model in memory is enough
    check_out(output, overwrite=overwrite)
    planned = estimate(described, settings, speaker, output)
    if dry_run:
        _say_estimate(planned, as_json=as_json)
        return
    keep = _filter(how, described, speaker, judging, output)
    with _progress(planned.answers) as answered:
        made = make(
            described, settings, speaker, keep, output, keep_cut=keep_cut, overwrite=overwrite,
            told={"filter": how, "judge": judging.label if judging else None}, progress=answered,
        )  # fmt: skip
    _say_made(made, as_json=as_json)


def _filter(how: str, trait: Trait, speaker: Speaker, judging: Speaker | None, output: Path) -> Filter:
    from weightarith.errors import RecipeError, UnsupportedError
    from weightarith.generate.filters import JudgeFilter, KeepAll, RuleFilter
    from weightarith.speaker import FolderSpeaker

    if judging is not None:
        from weightarith.data.journal import Journal
        from weightarith.evaluate.judge import Judge, Rubric

        verdicts = Journal(output.with_name(f"{output.name}.verdicts.jsonl"))
        return JudgeFilter(Judge(judging, Rubric(trait.name, trait.description), verdicts))
    if how == "none":
        return KeepAll()
    if not trait.has_rule:
        raise RecipeError(
            "the trait has no rules to filter by",
            hint="add keep: to it, or choose --filter judge, or --filter none to keep every answer",
        )
    if trait.margin is None:
        return RuleFilter(trait)
    if not isinstance(speaker, FolderSpeaker):
        raise UnsupportedError(
            "a margin is measured in a model's log-probabilities, and an endpoint does not tell them",
            hint="leave margin out of the trait's keep, or use a local model",
        )
    return RuleFilter(trait, speaker.model)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Yield what to call with the answers so far: a bar on a terminal, silence elsewhere."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)


def _say_estimate(found: Estimate, *, as_json: bool) -> None:
    from weightarith.cli.terminal import counted, print_json

    if as_json:
        print_json({"answers": found.answers, "remembered": found.remembered})
        return
    known = f", {found.remembered:,} of them remembered" if found.remembered else ""
    click.echo(f"would make {counted(found.answers, 'answer')}{known}")


def _say_made(made: Made, *, as_json: bool) -> None:
    from weightarith.cli.terminal import counted, print_json, printable, tell, warn
    from weightarith.generate.make import journal_path
    from weightarith.generate.trait import SIDES

    counts: dict[str, Any] = {
        side: {"kept": len(made.kept(side)), "dropped": made.dropped(side)} for side in SIDES
    }
    warn(*made.checks.warnings)
    if as_json:
        print_json({"output": str(made.folder), **counts, "checks": made.checks.to_json()})
    tell(printable(str(made.folder)))
    for side, found in counts.items():
        dropped = ", ".join(f"{number} {reason}" for reason, number in found["dropped"].items()) or "nothing"
        tell(f"  {side}: {counted(found['kept'], 'answer')} kept; dropped: {dropped}")
    tell(f"  answers are remembered in {printable(str(journal_path(made.folder)))}")


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--eval",
    "evaluation",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A file to measure with, whatever it looks like; may be given several times.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print everything, each repeated row included, as JSON."
)
def data(files: tuple[Path, ...], evaluation: tuple[Path, ...], as_json: bool) -> None:
    """Say what training data hold, and what is wrong with them.

    A FILE is JSON Lines: pairs; chats, of which the first of two files is the positive side and the second
    the negative one; or prompts to measure with. Said are repeated rows, what one side has and the other has
    not (first words, length, prompts), and prompts that are both trained on and measured with.
    """
    from weightarith.cli.terminal import print_json, warn
    from weightarith.data.survey import survey

    found = survey(files, evaluation)
    if as_json:
        print_json(found.to_json())
    else:
        _print_survey(found)
    warn(*found.warnings)


def _print_survey(found: Survey) -> None:
    from weightarith.cli.terminal import counted, printable

    for one in found.holdings:
        prompts = counted(len(set(one.asked)), "different prompt")
        click.echo(f"{printable(str(one.path))}: {counted(len(one.asked), one.kind[:-1])}, {prompts}")
    for name, report in found.contrasts.items():
        click.echo(f"{printable(name)}:")
        _print_side("positive", report.positive)
        _print_side("negative", report.negative)
        alike = f"{report.equal} of {report.positive.rows} ({report.equal_share:.0%})"
        click.echo(f"  answered alike by both sides: {alike}")
    for name, side in found.sides.items():
        _print_side(printable(name), side)
    for both in found.shared[:SHOWN]:
        (file, line), (other, number) = both.training, both.evaluation
        places = f"{printable(file)}:{line} and {printable(other)}:{number}"
        click.echo(f"shared: {places}: {printable(both.asked)}")
    if len(found.shared) > SHOWN:
        click.echo(f"  and {len(found.shared) - SHOWN:,} more; --json lists them all")


def _print_side(name: str, side: Side) -> None:
    from weightarith.cli.terminal import counted

    openings = ", ".join(f"{way} {share:.0%}" for way, share in side.openings.items() if share)
    answers = f"{counted(side.rows, 'answer')} of {side.characters:.0f} characters"
    click.echo(f"  {name}: {answers}; open with: {openings}")
    for what, lines in (("repeats", side.duplicates), ("repeats in other marks", side.alike)):
        if lines:
            shown = ", ".join(f"{line} (as {first})" for line, first in lines[:SHOWN])
            click.echo(f"    {what}: line {shown}{_more(len(lines))}")
    if side.degenerate:
        shown = ", ".join(f"{line} ({reason})" for line, reason in side.degenerate[:SHOWN])
        click.echo(f"    degenerate: line {shown}{_more(len(side.degenerate))}")


def _more(count: int) -> str:
    return f" and {count - SHOWN:,} more" if count > SHOWN else ""
