"""A difference of two models on the Hub, streamed and downloaded first: bytes, seconds, memory, disk.

    python -m tests.benchmarks.hub_stream --size M FOLDER

makes two models that are cut differently into shards, serves them on the loopback from a process of its own,
and takes their difference with and without `--stream` in turns, each time with an empty cache. FOLDER needs
room for five models, and is empty again at the end. Needs no network.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.checkpoints import BASE, SIZES, write_model
from tests.benchmarks.measure import Cost, clear, cost_of
from tests.hubserver import Hub

TUNED = "a"
BYTES, TIME, MEMORY = 1.02, 1.5, 700_000_000
"""What is to be held: bytes by those of the models, seconds by those of downloading first, peak memory."""


@dataclass
class Server:
    """The Hub in a process of its own, asked over its standard streams."""

    process: subprocess.Popen[str]
    environment: Mapping[str, str]
    home: Path

    def sent(self) -> tuple[int, int]:
        """Return requests for weights, and bytes of weights, since it was last asked."""
        found = self._ask()
        return found["requests"], found["sent"]

    def _ask(self) -> dict[str, Any]:
        stdin, stdout = self.process.stdin, self.process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the server has no pipes")
        stdin.write("count\n")
        stdin.flush()
        found: dict[str, Any] = json.loads(stdout.readline())
        return found


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Start the server in another process, and stop it in the end."""
    command = [sys.executable, "-m", "tests.benchmarks.hub_stream", "--serve", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None:
            raise RuntimeError("the server has no pipes")
        environment = json.loads(process.stdout.readline())
        try:
            yield Server(process, environment, Path(environment["HF_HOME"]))
        finally:
            process.terminate()


def serve(folder: Path) -> None:
    """Serve both models; for each line that comes, say what went out since the last one."""
    with Hub(folder / "hub") as hub:
        for name in (BASE, TUNED):
            hub.add(f"org/{name}", folder / name)
        print(json.dumps(hub.environment()), flush=True)
        for _ in sys.stdin:
            asked = [one for one in hub.requests if one.method == "GET" and ".safetensors" in one.path]
            weights = [one for one in asked if not one.path.endswith(".json")]
            found = {"requests": len(weights), "sent": sum(one.sent for one in weights)}
            hub.requests.clear()
            print(json.dumps(found), flush=True)


WAYS = {"downloaded first": (), "streamed": ("--stream",)}


@dataclass
class Taken:
    """What one way took: a cost each round, and what the last one sent over the wire and left behind."""

    costs: list[Cost] = field(default_factory=list)
    requests: int = 0
    sent: int = 0  # bytes of weights
    left: int = 0  # bytes in the client's cache
    results: set[int] = field(default_factory=set)  # checksums of the output

    def row(self, way: str, needed: int) -> str:
        """Return a line of the table."""
        walls, cpus = [one.wall for one in self.costs], [one.cpu for one in self.costs]
        loads, peak = [one.load for one in self.costs], max(one.peak for one in self.costs)
        return (
            f"| {way} | {median(walls):.2f} ({min(walls):.2f}–{max(walls):.2f}) | {median(cpus):.2f} "
            f"| {peak / 1e6:.0f} | {self.requests} | {self.sent / needed:.4f} | {self.left / 1e6:.2f} "
            f"| {min(loads):.1f}–{max(loads):.1f} |"
        )


def measure(folder: Path, rounds: int) -> dict[str, Taken]:
    """Run both ways in turns, and return what each took."""
    output = folder / "v.safetensors"
    command = [sys.executable, "-m", "weightarith", "diff", f"org/{TUNED}", f"org/{BASE}"]
    command += ["--dtype", "bfloat16", "-o", str(output)]
    taken = {way: Taken() for way in WAYS}
    with serving(folder) as server:
        for number in range(1, rounds + 1):
            for way, options in WAYS.items():
                shutil.rmtree(server.home / "hub", ignore_errors=True)
                clear(output)
                server.sent()
                cost = cost_of([*command, *options], server.environment)
                taken[way].costs.append(cost)
                taken[way].requests, taken[way].sent = server.sent()
                taken[way].left = total(server.home / "hub", "blobs/*")
                taken[way].results.add(checksum(output))
                print(f"round {number}: {way}: {cost.wall:.2f} s, CPU {cost.cpu:.2f} s", file=sys.stderr)
    return taken


def report(taken: Mapping[str, Taken], needed: int) -> bool:
    """Print a table, and return whether what is to be held was held."""
    print("| way | wall s (range) | CPU s | peak MB | requests | bytes / needed | MB in the cache | load |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
    for way, one in taken.items():
        print(one.row(way, needed))
    streamed, whole = taken["streamed"], taken["downloaded first"]
    slower = median(own.wall / other.wall for own, other in zip(streamed.costs, whole.costs, strict=True))
    equal = len(streamed.results | whole.results) == 1
    print(f"\nstreamed by downloaded first, wall: {slower:.2f}; equal results: {equal}")
    peak = max(one.peak for one in streamed.costs)
    small = streamed.sent <= BYTES * needed and peak < MEMORY and streamed.left < 1_000_000
    return slower <= TIME and small and equal


def total(folder: Path, pattern: str) -> int:
    """Return the bytes of the files below a folder whose names are like a pattern."""
    return sum(path.stat().st_size for path in folder.rglob(pattern))


def checksum(path: Path) -> int:
    """Return a checksum of a file."""
    from zlib import crc32

    found = 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            found = crc32(piece, found)
    return found


def main() -> None:
    """Make the models, measure, and remove them."""
    parser = argparse.ArgumentParser(description="Take a difference over the loopback, streamed or not.")
    parser.add_argument("--size", choices=SIZES, default="S")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    if given.serve:
        serve(given.folder)
        return
    size = SIZES[given.size]
    given.folder.mkdir(parents=True)
    try:
        write_model(size, given.folder / BASE, BASE)
        write_model(replace(size, shard_bytes=size.shard_bytes * 7 // 10), given.folder / TUNED, TUNED)
        needed = sum(total(given.folder / name, "*.safetensors") for name in (BASE, TUNED))
        held = report(measure(given.folder, given.rounds), needed)
    finally:
        shutil.rmtree(given.folder)
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
