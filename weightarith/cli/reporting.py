"""report: the evidence as one page of HTML."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from weightarith.cli.options import Coefficient

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightarith.data import Conversation
    from weightarith.report import Samples, Subject, Sweep, Together


@click.command()
@click.argument("subject", metavar="RUN_OR_VECTOR")
@click.argument(
    "others",
    metavar="[SWEEP]...",
    nargs=-1,
    type=click.Path(path_type=Path, exists=True),
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default="report.html",
    show_default=True, help="The page to write.",
)  # fmt: skip
@click.option(
    "--samples", type=click.IntRange(0, 100), default=0, metavar="N",
    help="Put N questions to the model at several strengths, too; it takes --base.",
)  # fmt: skip
@click.option(
    "--base", help="The model that is asked, and that an adapter with modules trained whole is for."
)
@click.option(
    "--questions", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
    help="Pairs or chats whose questions are asked; by default those the run was trained on.",
)  # fmt: skip
@click.option(
    "--strengths", metavar="K,…",
    help="At which they are asked; by default what the first sweep recommends, else -1,1. 0 always is.",
)  # fmt: skip
@click.option(
    "--limit",
    type=click.IntRange(1, 4096),
    default=100,
    show_default=True,
    help="Tokens of an answer, at most.",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier report.")
def report(subject: str, others: tuple[Path, ...], output: Path, samples: int, base: str | None,
           questions: Path | None, strengths: str | None, limit: int, overwrite: bool) -> None:  # fmt: skip
    """Write what is known of a vector as one page of HTML.

    RUN_OR_VECTOR is a folder written by `contrast`, a vector or an adapter; each SWEEP a folder written by
    `sweep` or by `interference`, or a file written by `monitor -o`. The page holds the trade-off, the methods
    at equal cost, the safe range, samples, norms, cosines, spectrum, training, hashes and commands. It loads
    nothing, runs no scripts, and says what is missing.
    """
    from weightarith.cli.terminal import printable, progress, size, tell, warn
    from weightarith.report import check_out, open_subject, open_sweep, open_together, open_watch
    from weightarith.report import report as write_report

    if samples and base is None:
        raise click.UsageError("--samples asks a model: add --base BASE")
    check_out(output, overwrite=overwrite)
    opened, kinds = open_subject(subject, base), [_kind(one) for one in others]
    found = [open_sweep(one) for one, kind in zip(others, kinds, strict=True) if kind == "sweep"]
    beside = [open_together(one) for one, kind in zip(others, kinds, strict=True) if kind == "together"]
    watches = [open_watch(one) for one, kind in zip(others, kinds, strict=True) if kind == "watch"]
    warn(*_doubts(opened, found, beside))
    made = []
    if samples and base is not None:
        asked, source = _asked(opened, questions, samples)
        made = [_samples(opened, base, asked, source, _strengths(strengths, found), limit)]
    with progress(sum(file.stamp.size for file in opened.vector.source.files)) as moved:
        written = write_report(
            opened, output, found, made, beside=beside, watches=watches, overwrite=overwrite, progress=moved
        )
    tell(f"{printable(str(output))}: {size(written)}, {_told(len(found), len(beside), len(watches))}")


def _doubts(subject: Subject, found: Sequence[Sweep], beside: Sequence[Together]) -> Iterator[str]:
    """Yield what may not belong on the page, and why."""
    from weightarith.report import sweeps, together

    told = [(one.name, sweeps.foreign(one, subject)) for one in found]
    told += [(one.name, together.foreign(one, subject)) for one in beside]
    yield from (f"{name} may not belong here: {why}" for name, why in told if why)


def _kind(path: Path) -> str:
    """Return what is shown of a path: a sweep, unless it is a file or says that it is something else."""
    from weightarith.interference.folder import DOCUMENT

    if path.is_file():
        return "watch"
    return "together" if (path / DOCUMENT).is_file() else "sweep"


def _told(found: int, beside: int, watches: int) -> str:
    from weightarith.cli.terminal import counted

    told = [counted(found, "sweep")]
    told += [counted(beside, "look") + " at interference"] * bool(beside)
    return ", ".join([*told, *[counted(watches, "record") + " of a monitor"] * bool(watches)])


def _asked(subject: Subject, questions: Path | None, count: int) -> tuple[list[Conversation], str]:
    """Return the questions to put, and a sentence on where they are from."""
    from weightarith.data import Pair, read_rows
    from weightarith.report import chosen_prompts

    if questions is not None:
        rows = [row.sides[0] if isinstance(row, Pair) else row for row in read_rows(questions)]
        where = questions.name
    elif subject.run is not None:
        rows, where = subject.run.examples["positive"], "the run's own data, which the vector was trained on"
    else:
        raise click.UsageError("a vector alone has no questions of its own: add --questions FILE")
    asked = chosen_prompts(rows, count)
    return asked, f"{len(asked)} question{'s' * (len(asked) != 1)} evenly spread over {where}."


def _strengths(text: str | None, found: Sequence[Sweep]) -> list[float]:
    from weightarith.report import recommended

    if text is not None:
        given = [float(Coefficient().convert(part, None, None)) for part in text.split(",")]
    else:
        given = list(recommended(found[0]).values()) if found else []
    return [*(given or [-1.0, 1.0]), 0.0]


def _samples(
    subject: Subject, base: str, asked: list[Conversation], source: str, strengths: list[float], limit: int
) -> Samples:
    from weightarith.lm import load
    from weightarith.report import answered

    return answered(load(base), subject.vector, asked, strengths, source=source, limit=limit)
