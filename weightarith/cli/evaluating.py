"""evaluate: what a model does, and what steering costs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from weightarith.cli.options import Coefficient

if TYPE_CHECKING:
    from weightarith.algebra import Vector
    from weightarith.evaluate import Evaluation, Suite
    from weightarith.evaluate.table import Row
    from weightarith.lm import LanguageModel

FORMAT = 1
_HEADER = ("outcome", "value", "95 % interval", "n")
_CHANGE = ("change", "95 % interval", "p")


@dataclass(frozen=True)
class _Asked:
    """What stands on the command line."""

    model: str
    suite: Suite
    only: tuple[str, ...]
    against: str | None
    vector: Vector | None
    strength: Fraction
    system: str | None
    device: str
    dtype: str

    @property
    def has_base(self) -> bool:
        return self.against is not None or self.vector is not None

    def load(self, model: str, system: str | None) -> LanguageModel:
        from weightarith.lm import load

        return load(model, dtype=self.dtype, device=self.device, system=system)


@click.command()
@click.argument("model", metavar="MODEL")
@click.option(
    "--suite",
    required=True,
    metavar="NAME[:WORD]|FILE",
    help="What to measure: a set that ships with the package, or a suite of your own.",
)
@click.option("--vector", metavar="V", help="Steer MODEL with a vector or an adapter, and compare.")
@click.option("--strength", type=Coefficient(), metavar="K", help="What V is multiplied by.  [default: 1]")
@click.option("--against", metavar="BASE", help="Compare with another model, item by item.")
@click.option("--only", metavar="METRIC,…", help="Take only these metrics of the suite.")
@click.option("--system", metavar="TEXT", help="A system prompt for MODEL; BASE goes without.")
@click.option(
    "--device", default="auto", show_default=True, help="Where to compute: auto, cpu, cuda or cuda:N."
)
@click.option(
    "--dtype",
    type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
    default="auto",
    show_default=True,
    help="To compute in; auto is what the model is stored in.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write everything here as JSON: each item's value, and what was answered.",
)
@click.option("--overwrite", is_flag=True, help="Replace FILE.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def evaluate(
    model: str, suite: str, vector: str | None, strength: Fraction | None, against: str | None,
    only: str | None, system: str | None, device: str, dtype: str, output: Path | None,
    overwrite: bool, as_json: bool,
) -> None:  # fmt: skip
    """Measure what MODEL does, with 95 % intervals.

    MODEL is a transformers folder with a chat template. With --vector it is measured twice, as it is and
    steered; with --against, beside another model. Changes are those of the same items: shares with McNemar's
    exact test, means with a paired bootstrap. A divergence is a distance from a base, and left out where
    there is none.
    """
    from weightarith.cli.terminal import print_json
    from weightarith.evaluate import read_suite
    from weightarith.evaluate.table import rows

    if strength is not None and vector is None:
        raise click.UsageError("--strength is that of a vector: add --vector V")
    _check_output(output, overwrite=overwrite)
    read = read_suite(suite)
    asked = _Asked(
        model, read, _metrics(read, only, has_base=bool(vector or against)), against,
        _opened(model, vector) if vector else None, Fraction(1) if strength is None else strength,
        system, device, dtype,
    )  # fmt: skip
    found, before = _measured(asked)
    table = rows(read, found, before)
    if output is not None:
        _write(output, table, found, before)
    if as_json:
        print_json(_summary(table, found, before))
    else:
        click.echo(_text(table, found, before))


def _check_output(output: Path | None, *, overwrite: bool) -> None:
    from weightarith.errors import TargetError, quoted

    if output is None:
        return
    if output.is_dir():
        raise TargetError(f"{quoted(str(output))} is a folder, expected a file to write")
    if output.exists() and not overwrite:
        raise TargetError(f"{quoted(str(output))} exists", hint="add --overwrite, or write elsewhere")
    if not output.absolute().parent.is_dir():
        raise TargetError(f"no folder {quoted(str(output.absolute().parent))} to write into")


def _metrics(suite: Suite, only: str | None, *, has_base: bool) -> tuple[str, ...]:
    """Return the names of the metrics to take; those that need a base are left out, aloud, without one."""
    from weightarith.cli.terminal import tell
    from weightarith.errors import RecipeError, quoted

    named = [name.strip() for name in only.split(",")] if only is not None else None
    chosen = suite.chosen(named)
    relative = [name for name, spec in chosen.items() if spec.known.is_relative]
    if has_base or not relative:
        return tuple(chosen)
    kept = tuple(name for name in chosen if name not in relative)
    told = ", ".join(map(quoted, relative))
    if named is not None or not kept:
        raise RecipeError(
            f"no base to compare with, as {told} must",
            hint="add --against BASE, or --vector V to steer MODEL",
        )
    tell(f"left out for want of a base (--against BASE, or --vector V): {told}")
    return kept


def _opened(model: str, vector: str) -> Vector:
    from weightarith.cli.opening import labels_for, opened_model, opened_vector
    from weightarith.cli.terminal import warn
    from weightarith.provenance import foreign_base

    first, second = labels_for([model, vector])
    base = opened_model(model, first)
    found = opened_vector(vector, second, base=base)
    warn(foreign_base(found.source, base.source))
    return found


def _measured(asked: _Asked) -> tuple[Evaluation, Evaluation | None]:
    """Return what is found in the model, and in what it is compared with."""
    import gc

    from weightarith.evaluate import prepare

    relative = sum(asked.suite.metrics[name].known.is_relative for name in asked.only)
    with _progress(len(asked.only) * (1 + asked.has_base) + relative) as told:
        before = None
        base = asked.load(*(asked.model, asked.system) if asked.against is None else (asked.against, None))
        prepared = prepare(asked.suite, base, asked.only, progress=told)
        if asked.has_base:
            before = prepared.measure(base, progress=told)
        if asked.against is None:
            model = base
        else:
            del base
            gc.collect()  # two models need not fit into memory
            model = asked.load(asked.model, asked.system)
        with _steered(asked, model) as steered:
            return prepared.measure(steered, progress=told), before


@contextmanager
def _steered(asked: _Asked, model: LanguageModel) -> Iterator[LanguageModel]:
    if asked.vector is None:
        yield model
        return
    from dataclasses import replace

    from weightarith.steer import steered
    from weightarith.wording import shown_sum

    label = shown_sum([(Fraction(1), model.label), (asked.strength, asked.vector.label)])
    with steered(model, asked.vector, float(asked.strength)):
        yield replace(model, label=label)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None]]:
    """Yield what to call with each metric before it begins: a bar on a terminal, silence elsewhere."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _metric: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("loading", total=total, completed=-1)

        def begun(metric: str) -> None:
            bar.update(task, description=metric.replace("[", r"\["), advance=1)

        yield begun


def _summary(table: list[Row], found: Evaluation, before: Evaluation | None) -> dict[str, Any]:
    return {
        "suite": found.suite,
        "model": found.model,
        "against": None if before is None else before.model,
        "outcomes": [row.to_json() for row in table],
    }


def _write(output: Path, table: list[Row], found: Evaluation, before: Evaluation | None) -> None:
    """Write the summary and the evaluations behind it, at once or not at all."""
    import json

    from weightarith.store.stage import disk_error, write_small

    evaluations = [one.to_json() for one in (found, before) if one is not None]
    content = {
        "weightarith_evaluations": FORMAT, **_summary(table, found, before), "evaluations": evaluations,
    }  # fmt: skip
    beside = output.with_name(f".{output.name}.partial")
    try:
        beside.unlink(missing_ok=True)
        write_small(beside, (json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n").encode())
        beside.replace(output)
    except OSError as error:
        raise disk_error(error, output) from error


def _text(table: list[Row], found: Evaluation, before: Evaluation | None) -> str:
    from weightarith.cli.terminal import printable

    title = f"{found.suite}: {found.model}" + (f", against {before.model}" if before is not None else "")
    lines = [(*_HEADER, *(_CHANGE if before is not None else ()), "")]
    lines += [_cells(row) for row in table]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    told = [
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in
                  zip(line[1:-1], widths[1:-1], strict=True)), line[-1]]).rstrip()
        for line in lines
    ]  # fmt: skip
    return "\n".join(map(printable, [title, *told]))


def _cells(row: Row) -> tuple[str, ...]:
    one, change = row.estimate, row.change
    cells = [
        f"{row.name} ({row.unit})" if row.unit else row.name,
        _number(one.value), f"{_number(one.low)} to {_number(one.high)}" if one.n else "", str(one.n),
    ]  # fmt: skip
    if change is not None:
        between = f"{_number(change.low, '+')} to {_number(change.high, '+')}" if change.n else ""
        n = f" (n {change.n})" if change.n != one.n else ""
        cells += [_number(change.difference, "+") + n, between, _p(change.p)]
    return (*cells, ", ".join(row.parts))


def _number(value: float, sign: str = "") -> str:
    if value != value:  # NaN
        return "none"
    digits = 3 if abs(value) < 10 else 2 if abs(value) < 100 else 1
    return f"{value:{sign}.{digits}f}".replace("-", "−")


def _p(value: float) -> str:
    if value != value:  # NaN
        return ""
    return "<0.001" if value < 0.001 else f"{value:.3f}"
