"""What `audit` found, for people."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from weightarith.cli.terminal import counted, escaped, printable

if TYPE_CHECKING:
    from weightarith.audit import Audit


LEAST = 1e-9
"""Chances below it are not told apart: bounds on them are, and models of chance are not as good."""


def print_audit(audit: Audit) -> None:
    """Print what changed by role, findings and notes, and how the change lies to known vectors."""
    for line in _lines(audit):
        click.echo(printable(line).rstrip())


def _lines(audit: Audit) -> Iterator[str]:
    from weightarith.audit.alike import overall
    from weightarith.audit.finding import percent

    reading, laid = audit.reading, audit.laid
    changed, every = len(reading.changed), len(reading.looks)
    size = percent(overall(list(reading.looks.values())))
    tensors = f"{changed} of {counted(every, 'tensor')}"
    yield f"{laid.other.label} against {laid.base.label}: {tensors} changed, by {size}"
    if changed:
        yield from _roles(audit)
    yield from _findings(audit)
    for note in audit.notes:
        yield f"note: {note}"
    yield from _known(audit)


def _roles(audit: Audit) -> Iterator[str]:
    from weightarith.audit.alike import overall
    from weightarith.audit.finding import percent

    rows = [("role", "tensors", "changed", "change", "largest", "rank")]
    for name, group in audit.reading.groups.items():
        moved = [one for one in group if one.changed]
        ranks = [one.spectrum for one in moved if one.spectrum is not None]
        rank = "–"
        if ranks:
            low, high = min(one.rank for one in ranks), max(one.rank for one in ranks)
            least = any(one.full for one in ranks)
            rank = f"{low}" if low == high else f"{low}–{high}"
            rank += "+" if least else ""
        largest = max((one.relative for one in moved if math.isfinite(one.relative)), default=0.0)
        cells = (percent(overall(list(group))), percent(largest), rank) if moved else ("0 %", "0 %", "–")
        rows.append((name, str(len(group)), str(len(moved)), *cells))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        first, *others = (f"{cell:<{width}}" if not place else f"{cell:>{width}}"
                          for place, (cell, width) in enumerate(zip(row, widths, strict=True)))  # fmt: skip
        yield f"  {'  '.join([first, *others])}"


def _findings(audit: Audit) -> Iterator[str]:
    if not audit.findings:
        yield "nothing stands out"
        return
    yield f"{counted(len(audit.findings), 'finding')}:"
    for number, one in enumerate(audit.findings, start=1):
        yield f"{number}. {one.kind}: {escaped(one.where)}"
        yield f"     {one.what}"
        by_chance = "" if one.chance is None else f"; by chance in {_chance(one.chance)} of audits"
        yield f"     why: {one.why}{by_chance}"


def _chance(chance: float) -> str:
    return f"at most {chance:.2g}" if chance > LEAST else f"less than {LEAST:g}"


def _known(audit: Audit) -> Iterator[str]:
    if not audit.matches:
        return
    width = max(len(escaped(one.label)) for one in audit.matches)
    yield "known vectors: cosine, deviations from rotated copies, from copies of random signs"
    for one in audit.matches:
        yield f"  {escaped(one.label):<{width}}  {one.cosine:+.4f}  {one.rotated:+8.1f}  {one.signed:+6.1f}"
