"""`make bench`: whole commands timed in turns, ours beside `cp` and mergekit, as Markdown.

    python -m tests.benchmarks.run --size S --rounds 5

Inputs lie in memory, outputs are new files. Ours are flushed to the disk and carry checksums and a receipt;
those of `cp` and mergekit are not. Ends with status 1 where results disagree or memory is over its bound.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks import cases
from tests.benchmarks.measure import Cost, alternate, clear, cost_of, read_through, table

MEMORY_BOUND = 300_000_000
"""Bytes that no command of ours may take, whatever the model."""

PACKAGES = ("weightarith", "numpy", "numba", "mergekit", "torch", "safetensors")


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.run", description="Time whole commands."
    )
    parser.add_argument(
        "--size", choices=("XS", "S", "M"), default="S", help="10 MB, 0.29 GB or 2.5 GB a model"
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each command runs")
    parser.add_argument(
        "--out", type=Path, help="keep inputs and results here, and use inputs found here again"
    )
    parser.add_argument("--no-mergekit", action="store_true", help="leave mergekit out")
    given = parser.parse_args()
    with _workplace(given.out) as place:
        sound = benchmark(place, given.size, given.rounds, mergekit=not given.no_mergekit)
    sys.exit(0 if sound else 1)


def benchmark(place: Path, size: str, rounds: int, *, mergekit: bool) -> bool:
    """Run everything in the folder `place`, print the report, and return whether all bounds hold."""
    inputs, work = _inputs(place, size), place / f"results-{size}"
    work.mkdir(exist_ok=True)
    _say("compiling kernels, if they are not cached")
    _warm_up(place)
    timed = cases.main_cases(inputs, work)
    rivals = cases.mergekit_cases(inputs, work) if mergekit else []
    timed += rivals
    costs = alternate(timed, rounds, before=lambda: read_through(_files(inputs)), report=_say)
    started = cases.start_cases(_inputs(place, "many"), work)
    costs |= alternate(started, rounds, before=lambda: None, report=_say)

    print(f"Size {size}, {rounds} rounds, {_machine()}\n")
    references = [cases.CP, *([cases.MERGEKIT] if rivals else [])]
    print(table(timed, costs, references), table(started, costs, [cases.BARE_PYTHON]), sep="\n\n", end="\n\n")
    sound = _memory(costs)
    if rivals:
        sound &= _agreement(work)
    for case in timed:
        if case.output is not None:
            clear(case.output)
    return sound


@contextmanager
def _workplace(folder: Path | None) -> Iterator[Path]:
    if folder is None:
        with TemporaryDirectory(prefix="weightarith-bench-") as scratch:
            yield Path(scratch)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder.resolve()


def _inputs(place: Path, size: str) -> Path:
    """Return the folder of the models of one size, made if it is not there."""
    folder = place / f"inputs-{size}"
    if not folder.exists():
        _say(f"writing models: {size}")
        # Another process makes them, so that this one stays small.
        unfinished = place / f"inputs-{size}.partial"
        clear(unfinished)
        command = [sys.executable, "-m", "tests.benchmarks.checkpoints", "--size", size, str(unfinished)]
        subprocess.run(command, check=True)
        unfinished.rename(folder)
    return folder


def _warm_up(place: Path) -> None:
    inputs, work = _inputs(place, "XS"), place / "results-XS"
    work.mkdir(exist_ok=True)
    for case in cases.main_cases(inputs, work):
        if case.output is not None:
            clear(case.output)
            cost_of(case.command)
            clear(case.output)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _memory(costs: Mapping[str, Sequence[Cost]]) -> bool:
    ours = [cost.peak for name, runs in costs.items() if name.startswith("weightarith") for cost in runs]
    holds = max(ours) < MEMORY_BOUND
    words = f"{'under' if holds else '**OVER**'} its bound of {MEMORY_BOUND / 1e6:.0f} MB"
    print(f"Peak memory of weightarith: {max(ours) / 1e6:.0f} MB, {words}.")
    return holds


def _agreement(work: Path) -> bool:
    from tests.benchmarks.agreement import compare

    found = compare(work / "merged", work / "mergekit32")
    print(
        f"Against {cases.MERGEKIT}: {found.differing:,} of {found.elements:,} elements differ, "
        f"by at most {found.furthest} units in the last place."
    )
    return found.differing <= found.elements * 1e-4


def _machine() -> str:
    packages = []
    for name in PACKAGES:
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            packages.append(f"no {name}")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return (
        f"{len(os.sched_getaffinity(0))} cores of {_processor()}, {memory / 1e9:.0f} GB of memory, "
        f"Linux {platform.release()}, Python {platform.python_version()}, {', '.join(packages)}."
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
