"""monitor: what a fine-tune is turning into."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from weightarith.monitor import Monitored

ALARM = 11
_MANY = ("--against", "--control")


class _WithLists(click.Command):
    """A command some of whose options take every word up to the next option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse `args`, such an option repeated before each of its words."""
        read: list[str] = []
        many = ""
        for number, word in enumerate(args):
            if word == "--":
                read += args[number:]
                break
            if word.startswith("-") and word != "-":
                many = word if word in _MANY else ""
                read.append(word)
            elif many:
                read += [word] if read[-1] == many else [many, word]
            else:
                read.append(word)
        return super().parse_args(ctx, read)


def _pair(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    for one, mark, other in pairs:
        if not (one and mark and other):
            raise click.BadParameter(f"{one!r} names no two vectors; write it like evil=honest")
    return {one: other for one, _, other in pairs}


@click.command(cls=_WithLists)
@click.argument("base", metavar="BASE")
@click.argument("run", metavar="RUN_DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--against", multiple=True, required=True, metavar="V...",
    help="What is watched for: vectors, adapters, folders written by `contrast`. All words up to the next "
         "option are; so BASE and RUN_DIR come first.",
)  # fmt: skip
@click.option(
    "--opposite", "opposites", multiple=True, callback=_pair, metavar="NAME=OTHER",
    help="Test the gap between two of V... by their names, instead of the cosine with the first.",
)  # fmt: skip
@click.option(
    "--control", "controls", multiple=True, metavar="V...",
    help="Unrelated trainings from the run's random start, adapters or folders written by `contrast`: an "
         "alarm has to exceed them, too. Two at least, better five or more.",
)  # fmt: skip
@click.option(
    "--false-positives", type=float, default=0.01, show_default=True, metavar="P",
    help="How often chance may sound an alarm in a run, over all checkpoints and vectors.",
)  # fmt: skip
@click.option(
    "--copies", type=click.IntRange(0, 100_000), default=1000, show_default=True, metavar="N",
    help="Random copies of the vectors that are drawn, of each kind.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the copies.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write everything as JSON, too.",
)  # fmt: skip
@click.option(
    "--plot", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Draw the course with its band, .png or .svg, too.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace an earlier file or picture.")
@click.option(
    "--threads", type=click.IntRange(0, 256), default=0, metavar="N",
    help="Worker threads; by default one a core, at most 16.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def monitor(base: str, run: Path, **asked: Any) -> None:
    """Hold the checkpoints of a fine-tune against known vectors.

    RUN_DIR holds the checkpoints of a training that began from BASE: folders checkpoint-N of transformers or
    step-N of `train`, with whole models or adapters, or it is a folder written by `contrast`. Each is held
    against the vectors, and against random copies of them and controls: that is what an alarm must exceed.
    Where step 0 is among them, what the others moved is counted from it, else from BASE.

    The exit code is 11 where there is an alarm.
    """
    from weightarith.cli.monitored import alarm_line, print_monitored
    from weightarith.cli.terminal import print_json, printable, progress, tell, warn
    from weightarith.monitor import monitor as watch
    from weightarith.monitor.checkpoints import bytes_of, find

    _check(asked)
    with progress(sum(map(bytes_of, find(run)))) as moved:
        found = watch(
            base, run, asked["against"], opposites=asked["opposites"], controls=asked["controls"],
            false_positives=asked["false_positives"], copies=asked["copies"], seed=asked["seed"],
            threads=asked["threads"], progress=moved,
        )  # fmt: skip
    if as_json := asked["as_json"]:
        print_json(found.to_json())
    else:
        print_monitored(found)
    _write(found, asked)
    if not as_json:
        warn(*map(printable, found.warnings))
    for saved, score in found.alarms:
        tell(printable(alarm_line(found, saved, score)))
    if found.alarms:
        raise SystemExit(ALARM)


def _check(asked: dict[str, Any]) -> None:
    from weightarith.cli.terminal import tell
    from weightarith.monitor.record import check_record
    from weightarith.plots.save import check_picture

    if asked["plot"] is not None:
        check_picture(asked["plot"], overwrite=asked["overwrite"])
    if asked["output"] is not None:
        check_record(asked["output"], overwrite=asked["overwrite"])
    if not asked["copies"]:
        tell("no copies are drawn: chances are bounds, none is counted")


def _write(found: Monitored, asked: dict[str, Any]) -> None:
    from weightarith.cli.terminal import printable, tell
    from weightarith.monitor.course import courses
    from weightarith.monitor.record import write_record
    from weightarith.plots.monitoring import monitoring_curves
    from weightarith.plots.save import write_picture

    if asked["output"] is not None:
        write_record(found, asked["output"])
        tell(printable(str(asked["output"])))
    if asked["plot"] is not None:
        write_picture(monitoring_curves(courses(found.to_json())), asked["plot"])
        tell(printable(str(asked["plot"])))
