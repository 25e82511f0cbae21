"""What `monitor` found, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from weightarith.cli.terminal import counted, escaped

if TYPE_CHECKING:
    from weightarith.monitor import Look, Monitored, Saved, Score

_TINY = 1e-9


def print_monitored(found: Monitored) -> None:
    """Print a line for each checkpoint and vector, and what they were held against."""
    watched, controls = found.known.watched, found.known.controls
    click.echo(
        f"{counted(len(found.looks), 'checkpoint')}, {counted(len(watched), 'vector')} watched, "
        f"{counted(len(controls), 'control')}; false positives: at most {found.rate:g} a run, "
        f"{found.allowed:.2g} a test"
    )
    click.echo(f"  moved is counted from {_origins(found)}")
    for one in watched:
        if one.opposite:
            click.echo(f"  {escaped(one.label)}: tested is the gap to {escaped(one.opposite)}")
    rows: list[tuple[str, ...]] = [
        ("step", "moved", "vector", "cosine", "gap", "chance", "alarm above", "z", "p", "z controls", "")
    ]
    rows += [_row(look, score) for look in found.looks for score in look.scores]
    _print_table(rows)
    for one in watched if controls else ():
        values = found.known.of_controls(one).values()
        click.echo(f"controls by {escaped(one.label)}: {min(values):+.4f} to {max(values):+.4f}")


def _origins(found: Monitored) -> str:
    """Return what moves are counted from: the base, as a LoRA begins there, unless step 0 was kept."""
    if len(set(found.origins.values())) > 1:
        return ", ".join(f"{origin} ({escaped(series)})" for series, origin in found.origins.items())
    origin = next(iter(found.origins.values()))
    return origin if origin == "step 0" else f"{origin}: no step 0 was kept"


def alarm_line(found: Monitored, saved: Saved, score: Score) -> str:
    """Return what an alarm says: which vector, at which step, how far above what."""
    tested = f"cosine {_signed(score.cosine)}" if score.gap is None else (
        f"gap {_signed(score.gap)} to its opposite, cosine {_signed(score.cosine)}"
    )  # fmt: skip
    controls = "" if score.controls_z is None else f", {score.controls_z:+.1f} from controls"
    return (
        f"Alarm: {saved} turns towards {escaped(score.vector)}: {tested}, above {_number(score.threshold)}; "
        f"z {_signed(score.z, 1)}{controls}; by chance in {_chance(score.chance)} of looks "
        f"(false positives: at most {found.rate:g} a run)"
    )


def _row(look: Look, score: Score) -> tuple[str, ...]:
    return (
        str(look.saved).removeprefix("step "), f"{look.norm:.4g}", escaped(score.vector),
        _signed(score.cosine), _signed(score.gap),
        "–" if score.band is None else f"±{score.band:.4f}", _number(score.threshold), _signed(score.z, 1),
        "–" if score.chance is None else _short(score.chance), _signed(score.controls_z, 1),
        "ALARM" if score.alarm else "",
    )  # fmt: skip


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (f"{cell:<{width}}" if place == 2 else f"{cell:>{width}}"
                 for place, (cell, width) in enumerate(zip(row, widths, strict=True)))  # fmt: skip
        click.echo("  ".join(cells).rstrip())


def _signed(number: float | None, digits: int = 4) -> str:
    return "–" if number is None else f"{number:+.{digits}f}"


def _number(number: float | None) -> str:
    return "–" if number is None else f"{number:.4f}"


def _short(chance: float) -> str:
    return f"{chance:.2g}" if chance > _TINY else f"<{_TINY:g}"


def _chance(chance: float | None) -> str:
    if chance is None:
        return "–"
    return f"at most {chance:.2g}" if chance > _TINY else f"less than {_TINY:g}"
