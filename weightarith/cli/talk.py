"""What commands that write say: a plan or a receipt on stdout, warnings and a summary on stderr."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from weightarith.algebra import Linear, collect
from weightarith.cli.options import Writing
from weightarith.cli.terminal import counted, escaped, print_json, printable, progress, size, tell, warn
from weightarith.engine.plan import Plan
from weightarith.engine.settings import UNNAMED, Output, Policy
from weightarith.engine.twins import bytes_afar
from weightarith.receipt import Asked, Receipt, counts
from weightarith.saving import (
    REALISED_ENOUGH,
    Run,
    carry_out,
    draw,
    dtype_named,
    encoding_named,
    with_counts,
)
from weightarith.store.stage import receipt_path

SHOWN = ("kind", "expression", "anchor", "files", "change", "counts", "warnings")
"""What `--json` repeats of a receipt."""


def write(total: Linear, writing: Writing, *, meaning: str = "") -> None:
    """Carry out what a command asks for, or with `--dry-run` say what it would do."""
    write_output(total, with_overrides(None, writing), writing, meaning=meaning)


def write_output(
    total: Linear, output: Output, writing: Writing, *,
    policy: Policy | None = None, asked: Asked | None = None, meaning: str = "",
) -> None:  # fmt: skip
    """Plan, run and report."""
    plan = draw(collect(total.terms), output, policy=policy)
    warn(*plan.warnings)
    if writing.dry_run:
        say_plan(plan, as_json=writing.as_json)
        return
    plan = counted_in(plan, writing)
    with progress(plan.read_bytes + plan.write_bytes) as moved:
        receipt = carry_out(plan, Run(writing.device, writing.threads, moved), asked=asked)
    if writing.as_json:
        print_json(receipt_shown(plan, receipt))
    say_receipt(plan, receipt, meaning=meaning)


def counted_in(plan: Plan, writing: Writing) -> Plan:
    """Say what a run begins with, and return its plan with what is not zero in sparse tensors counted."""
    _say_streaming(plan)
    _say_compiling(plan)
    if not plan.uncounted:
        return plan
    tell("counting the elements that are not zero")
    with progress(plan.counting_bytes) as moved:
        return with_counts(plan, Run(writing.device, writing.threads, moved))


def _say_compiling(plan: Plan) -> None:
    """Announce the seconds that the first run on a processor takes longer."""
    from weightarith.kernels.machine import is_kept

    if not is_kept() and any(job.action in ("compute", "encode") for job in plan.jobs):
        tell("compiling the kernels for this processor, once (a few seconds)")


def _say_streaming(plan: Plan) -> None:
    """Announce what comes from the Hub, and what need not."""
    if any(file.afar is not None for file in plan.inputs):
        tell(f"reading {size(bytes_afar(plan))} from the Hub")
    if plan.spared:
        tell(
            f"{counted(len(plan.spared), 'tensor')} not read: the files are the same on both sides, "
            "and the difference is 0"
        )


def plan_shown(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON has it."""
    return {
        "kind": plan.kind,
        "expression": str(plan.total),
        "output": str(plan.output.path),
        "read_bytes": plan.read_bytes,
        "write_bytes": plan.write_bytes,
        "counting_bytes": plan.counting_bytes,
        "hub_bytes": bytes_afar(plan),
        "not_read": list(plan.spared),
        "files": {file.name: file.size for file in plan.files},
        **beside(plan),
        "counts": counts(plan),
        "warnings": list(plan.warnings),
    }


def say_plan(plan: Plan, *, as_json: bool = False, where: str = "") -> None:
    """Print a plan; `where` is what its output is called, if that is not its path."""
    if as_json:
        print_json(plan_shown(plan))
        return
    click.echo(f"would write {printable(where or str(plan.output.path))}: {plan.total}")
    _say_streaming(plan)
    most = "at most " if plan.uncounted else ""
    written = f"{most}{size(plan.write_bytes)}"
    click.echo(f"  {plan.kind}, {_counted(plan)}; reads {size(plan.read_bytes)}, writes {written}")
    if plan.uncounted:
        click.echo(
            f"  a pass before that reads {size(plan.counting_bytes)}, to count the elements that are not "
            "zero: sizes here have room for all of them"
        )
    for file in plan.files:
        click.echo(f"  {file.name}  {most}{size(file.size)}, {counted(len(file.jobs), 'tensor')}")
    say_beside(plan)


def beside(plan: Plan) -> dict[str, list[str]]:
    """Return the names of the small files beside the weights: those copied, and those written anew."""
    return {"copies": [path.name for path in plan.copies], "writes": sorted(plan.written)}


def say_beside(plan: Plan) -> None:
    """Print which small files are put beside the weights."""
    for how, names in beside(plan).items():
        if names:
            click.echo(f"  {how} {', '.join(map(escaped, names))}")


def receipt_shown(plan: Plan, receipt: Receipt) -> dict[str, Any]:
    """Return what of a receipt is printed as JSON."""
    return {"output": str(plan.output.path), **{key: receipt[key] for key in SHOWN}}


def say_receipt(plan: Plan, receipt: Receipt, *, meaning: str = "", where: str = "") -> None:
    """Tell what was made; `where` is what it is called, if it does not lie at the path of the plan."""
    tell(f"{printable(where or str(plan.output.path))}: {meaning or plan.total}")
    tell(f"  {plan.kind}, {_counted(plan)}, {size(plan.write_bytes)}")
    _say_change(receipt["change"], plan.output.encoding)
    if not where:
        tell(f"  receipt: {printable(str(receipt_path(plan.output.path)))}")


def _say_change(change: dict[str, Any], encoding: str | None) -> None:
    if change["gain"] is not None:
        cosine = change["cosine"] or 0
        tell(
            f"  change of norm {change['intended']:g} asked for, {change['realised']:g} left after "
            f"{f'encoding as {encoding}' if encoding else 'rounding'} "
            f"(gain {change['gain']:.4f}, cosine {cosine:.4f})"
        )
        if min(change["gain"], cosine) < REALISED_ENOUGH:
            warn(_lost(encoding))
    if change["elements_nonfinite"]:
        warn(f"{counted(change['elements_nonfinite'], 'element')} not finite (policy nonfinite: allow)")


def _lost(encoding: str | None) -> str:
    if encoding in ("sign", "int8"):
        return f"the encoding {encoding} lost part of the change; without one all of it is kept"
    return "rounding to the output's dtype swallowed part of the change; --dtype float32 keeps all of it"


def _counted(plan: Plan) -> str:
    found = [(number, fate) for fate, number in counts(plan).items() if number]
    if not found:
        return "no tensors"
    (number, fate), *others = found
    return ", ".join(
        [f"{counted(number, 'tensor')} {fate}", *(f"{more:,} {other}" for more, other in others)]
    )


def with_overrides(output: Output | None, writing: Writing) -> Output:
    """Return a recipe's output with what the command line says in its place.

    Raises:
        click.UsageError: neither says where to write.
    """
    path = writing.output
    if path is None and output is not None and output.path != UNNAMED:
        path = output.path
    if path is None:
        raise click.UsageError("the recipe names no output: add -o PATH, or output: {path: …} to the recipe")
    settled = replace(output if output is not None else Output(path), path=path, overwrite=writing.overwrite)
    if writing.dtype is not None:
        settled = replace(settled, dtype=dtype_named(writing.dtype))
    if writing.encoding is not None:
        settled = replace(settled, encoding=encoding_named(writing.encoding))
    if writing.shard_size is not None:
        settled = replace(settled, shard_bytes=writing.shard_size)
    return settled
