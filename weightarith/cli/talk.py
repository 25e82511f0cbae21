"""What commands say: warnings, progress and a summary on stderr, data on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import click

from weightarith.algebra import Linear, collect
from weightarith.cli.options import Writing
from weightarith.engine.plan import Plan
from weightarith.engine.settings import Output, Policy
from weightarith.receipt import Receipt, counts
from weightarith.save import REALISED_ENOUGH, Run, carry_out, draw, dtype_named
from weightarith.store.stage import receipt_path


def warn(*messages: str) -> None:
    """Print warnings; empty ones are none."""
    for message in messages:
        if message:
            click.echo(f"Warning: {message}", err=True)


def write(total: Linear, writing: Writing, *, meaning: str = "") -> None:
    """Carry out what a command asks for, or with `--dry-run` say what it would do."""
    write_output(total, with_overrides(None, writing), writing, meaning=meaning)


def write_output(
    total: Linear, output: Output, writing: Writing, *,
    policy: Policy | None = None, recipe: str = "", meaning: str = "",
) -> None:  # fmt: skip
    """Plan, run and report."""
    plan = draw(collect(total.terms), output, policy=policy)
    warn(*plan.warnings)
    if writing.dry_run:
        _say_plan(plan, as_json=writing.as_json)
        return
    with progress(plan.read_bytes + plan.write_bytes) as moved:
        receipt = carry_out(plan, Run(writing.device, writing.threads, moved), recipe=recipe)
    _say_receipt(plan, receipt, as_json=writing.as_json, meaning=meaning)


def size(count: int) -> str:
    """Return a number of bytes as people read it: `2.47 GB`."""
    for unit, base in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= base:
            return f"{count / base:.3g} {unit}"
    return f"{count} B"


@contextmanager
def progress(total: int) -> Iterator[Callable[[int], None]]:
    """Yield what to call with the bytes moved so far: a bar on a terminal, silence elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _moved: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda moved: bar.update(task, completed=moved)


def _say_plan(plan: Plan, *, as_json: bool) -> None:
    found = {
        "kind": plan.kind,
        "expression": str(plan.total),
        "output": str(plan.output.path),
        "read_bytes": plan.read_bytes,
        "write_bytes": plan.write_bytes,
        "files": {file.name: file.size for file in plan.files},
        "copies": [path.name for path in plan.copies],
        "counts": counts(plan),
        "warnings": list(plan.warnings),
    }
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    click.echo(f"would write {plan.output.path} ({plan.kind}): {plan.total}", err=True)
    click.echo(
        f"  reads {size(plan.read_bytes)}, writes {size(plan.write_bytes)}; {_counted(plan)}", err=True
    )
    for file in plan.files:
        click.echo(f"  {file.name}  {size(file.size)}, {len(file.jobs)} tensors", err=True)
    if plan.copies:
        click.echo(f"  copies {', '.join(path.name for path in plan.copies)}", err=True)


def _say_receipt(plan: Plan, receipt: Receipt, *, as_json: bool, meaning: str) -> None:
    change: dict[str, Any] = receipt["change"]
    if as_json:
        shown = {
            key: receipt[key]
            for key in ("kind", "expression", "anchor", "files", "change", "counts", "warnings")
        }
        click.echo(json.dumps({"output": str(plan.output.path), **shown}, indent=1))
    click.echo(f"{plan.output.path}: {meaning or plan.total}", err=True)
    click.echo(f"  {plan.kind}, {size(plan.write_bytes)}; {_counted(plan)}", err=True)
    if change["gain"] is not None:
        click.echo(
            f"  change of norm {change['intended']:g} asked for, {change['realised']:g} left after rounding "
            f"(gain {change['gain']:.4f}, cosine {change['cosine'] or 0:.4f})",
            err=True,
        )
        if change["gain"] < REALISED_ENOUGH or (change["cosine"] or 0) < REALISED_ENOUGH:
            warn(
                "rounding to the output's dtype swallowed part of the change; --dtype float32 keeps all of it"
            )
    if change["elements_nonfinite"]:
        warn(f"{change['elements_nonfinite']} elements are not finite (policy nonfinite: allow)")
    click.echo(f"  receipt: {receipt_path(plan.output.path)}", err=True)


def _counted(plan: Plan) -> str:
    found = counts(plan)
    return ", ".join(f"{number} tensors {fate}" for fate, number in found.items() if number) or "no tensors"


def with_overrides(output: Output | None, writing: Writing) -> Output:
    """Return a recipe's output with what the command line says in its place.

    Raises:
        click.UsageError: neither says where to write.
    """
    path = writing.output
    if path is None and output is not None:
        path = output.path
    if path is None:
        raise click.UsageError("the recipe names no output: add -o PATH, or output: {path: …} to the recipe")
    settled = replace(output if output is not None else Output(path), path=path, overwrite=writing.overwrite)
    if writing.dtype is not None:
        settled = replace(settled, dtype=dtype_named(writing.dtype))
    if writing.shard_size is not None:
        settled = replace(settled, shard_bytes=writing.shard_size)
    return settled
