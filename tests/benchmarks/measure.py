"""What commands cost, measured as whole processes and in turns.

One round runs every case once. Other work on a shared machine then falls on all of them alike, so ratios are
formed within a round, and CPU seconds say more than the clock.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True)
class Case:
    """One command, the output it makes afresh each time, and the cases it is compared with."""

    name: str
    command: tuple[str, ...]
    output: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    against: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cost:
    """What one run took: seconds, bytes, and how busy the machine was when it began."""

    wall: float
    user: float
    system: float
    peak: int
    load: float

    @property
    def cpu(self) -> float:
        """CPU seconds, those of the kernel included."""
        return self.user + self.system


class CommandError(Exception):
    """A command that was to be measured failed."""


def cost_of(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Cost:
    """Run a command and return its cost, its own children included.

    Python may keep the bytecode that it compiles: an installed package has its own, a checkout does not.

    Raises:
        CommandError: it did not end with status 0; the end of what it printed is in the message.
    """
    with TemporaryDirectory() as scratch:
        result = Path(scratch, "cost.json")
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(LAUNCHER), str(result), *command],
            env={**os.environ, **(environment or {})} | {"PYTHONDONTWRITEBYTECODE": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CommandError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout[-2000:]}")
        return Cost(**json.loads(result.read_text(encoding="utf-8")))


def alternate(
    cases: Sequence[Case], rounds: int, *, before: Callable[[], None], report: Callable[[str], None]
) -> dict[str, list[Cost]]:
    """Run every case once a round, and return the costs of each case by its name.

    Args:
        cases: what to run; each round begins with the next of them, since one pays for the memory that the
            one before it used up.
        rounds: how often.
        before: called at the start of each round, to read the inputs into memory.
        report: called with a line of text after each run.
    """
    costs: dict[str, list[Cost]] = {case.name: [] for case in cases}
    for number in range(1, rounds + 1):
        before()
        first = (number - 1) % len(cases)
        for case in (*cases[first:], *cases[:first]):
            if case.output is not None:
                clear(case.output)
            os.sync()  # or what the case before left unwritten would be written during this one
            cost = cost_of(case.command, case.environment)
            costs[case.name].append(cost)
            report(
                f"round {number}: {case.name}: {cost.wall:.2f} s, CPU {cost.cpu:.2f} s, load {cost.load:.1f}"
            )
    return costs


def clear(output: Path) -> None:
    """Remove a file or folder, and the receipt beside a file, if they are there."""
    if output.is_dir():
        shutil.rmtree(output)
    else:
        output.unlink(missing_ok=True)
        output.with_suffix(".weightarith.json").unlink(missing_ok=True)


def read_through(files: Iterable[Path]) -> None:
    """Read files to their end, so that the next to read them finds them in memory."""
    buffer = bytearray(1 << 20)
    for path in files:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def table(cases: Sequence[Case], costs: Mapping[str, Sequence[Cost]], references: Sequence[str]) -> str:
    """Return the medians of every case as a Markdown table, one column a reference.

    A ratio is the median of those of the rounds: this case's CPU seconds over the reference's, then the wall
    times' alike.
    """
    heads = ["case", "wall s (range)", "CPU s (user + system)", "peak MB"]
    heads += [f"× {reference}: CPU, wall" for reference in references] + ["load"]
    lines = [_row(heads), _row(["---"] + ["---:"] * (len(heads) - 1))]
    for case in cases:
        own = costs[case.name]
        walls = [cost.wall for cost in own]
        loads = [cost.load for cost in own]
        cells = [
            case.name,
            f"{median(walls):.2f} ({min(walls):.2f}–{max(walls):.2f})",
            f"{median(c.cpu for c in own):.2f} ({median(c.user for c in own):.2f} + "
            f"{median(c.system for c in own):.2f})",
            f"{max(cost.peak for cost in own) / 1e6:.0f}",
        ]
        cells += [_ratios(own, costs[name]) if name in case.against else "" for name in references]
        lines.append(_row([*cells, f"{min(loads):.1f}–{max(loads):.1f}"]))
    return "\n".join(lines)


def ratio(own: Sequence[Cost], other: Sequence[Cost], of: Callable[[Cost], float]) -> float:
    """Return the median over the rounds of what one case took as a multiple of another."""
    return median(of(mine) / of(theirs) for mine, theirs in zip(own, other, strict=True))


def _ratios(own: Sequence[Cost], other: Sequence[Cost]) -> str:
    cpu = ratio(own, other, lambda cost: cost.cpu)
    return f"{cpu:.3g}, {ratio(own, other, lambda cost: cost.wall):.3g}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
