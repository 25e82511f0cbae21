"""What comparing costs: two models beside `cat` of their files, and a matrix over adapters of a 7B model.

    python -m tests.benchmarks.compare [--rounds N] [--only dense|adapters]

One round runs the reference and the command one after the other, files in memory; ratios are formed within a
round. The pass alone is timed in this process, the command as a process of its own, interpreter and all. What
is compared is written into the folder for temporary files, and removed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np

from tests.benchmarks.checkpoints import SIZES, Size, header_of, linears, write_model
from tests.benchmarks.measure import Cost, cost_of, read_through

ADAPTERS, RANK = 10, 32
LLAMA_7B = Size(4096, 11008, 32, 32, 32, 32_000, 5_000_000_000)
"""The shape of Llama 2 7B."""

COMPARE = (sys.executable, "-m", "weightarith", "compare")
CAT = ("sh", "-c", 'cat "$@" > /dev/null', "cat")
Made = TypeVar("Made")


def dense(folder: Path, rounds: int, size: str) -> list[str]:
    """Compare two models as they are; return lines of a table."""
    from weightarith.algebra import Checkpoint
    from weightarith.geometry import apart

    one, other = folder / "a", folder / "base"
    for path in (one, other):
        write_model(SIZES[size], path, path.name)
    files = [path for model in (one, other) for path in sorted(model.glob("*.safetensors"))]
    total = sum(path.stat().st_size for path in files)
    models = Checkpoint.open(one), Checkpoint.open(other, label="base")
    apart(*models)  # loads the kernels
    read_through(files)
    passes, commands, cats = [], [], []
    for _ in range(rounds):
        cats.append(cost_of((*CAT, *map(str, files))))
        passes.append(timed(lambda: apart(*models)))
        commands.append(cost_of((*COMPARE, str(one), str(other), "--json")))
    return [
        f"two models of {total / 2e9:.2f} GB, {rounds} rounds, load {os.getloadavg()[0]:.1f}",
        "| case | wall s | CPU s | GB/s | speed against cat, wall | CPU s against cat |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        row("cat", [cost.wall for cost in cats], [cost.cpu for cost in cats], cats, total),
        row("the pass", [wall for wall, _ in passes], [cpu for _, cpu in passes], cats, total),
        row("compare A B", [cost.wall for cost in commands], [cost.cpu for cost in commands], cats, total),
        f"peak of compare A B: {max(cost.peak for cost in commands) / 1e6:.0f} MB",
    ]


def row(name: str, walls: list[float], cpus: list[float], cats: list[Cost], total: int) -> str:
    """Return a line of the table, ratios as medians of those of the rounds."""
    speed = median(cat.wall / wall for cat, wall in zip(cats, walls, strict=True))
    cpu = median(own / cat.cpu for cat, own in zip(cats, cpus, strict=True))
    cells = [name, f"{median(walls):.2f}", f"{median(cpus):.2f}", f"{total / median(walls) / 1e9:.1f}"]
    return "| " + " | ".join([*cells, f"{100 * speed:.0f} %", f"{cpu:.2f}"]) + " |"


def timed(work: Callable[[], Made]) -> tuple[float, float]:
    """Return wall and CPU seconds of a call."""
    start, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - cpu


def adapters(folder: Path, rounds: int) -> list[str]:
    """Compare adapters of a 7B model with one another; return lines that say what it took."""
    paths = [folder / f"adapter-{number}" for number in range(ADAPTERS)]
    for number, path in enumerate(paths):
        write_adapter(path, number)
    files = [path / "adapter_model.safetensors" for path in paths]
    read_through(files)
    costs = [cost_of((*COMPARE, *map(str, paths), "--json")) for _ in range(rounds)]
    total = sum(path.stat().st_size for path in files)
    return [
        f"{ADAPTERS} adapters of rank {RANK}, float32, Llama 2 7B's shapes, {total / 1e9:.2f} GB, "
        f"{rounds} rounds, load {os.getloadavg()[0]:.1f}",
        f"wall {median(cost.wall for cost in costs):.1f} s, CPU {median(cost.cpu for cost in costs):.1f} s, "
        f"peak {max(cost.peak for cost in costs) / 1e6:.0f} MB",
    ]


def write_adapter(folder: Path, seed: int) -> None:
    """Write a PEFT LoRA over every linear module, its numbers random."""
    folder.mkdir(parents=True)
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(LLAMA_7B.layers):
        for linear, (rows, columns) in linears(LLAMA_7B).items():
            prefix = f"base_model.model.model.layers.{layer}.{linear}"
            shapes |= {f"{prefix}.lora_A.weight": (RANK, columns), f"{prefix}.lora_B.weight": (rows, RANK)}
    random = np.random.default_rng(seed)
    with (folder / "adapter_model.safetensors").open("xb") as file:
        file.write(header_of(shapes, "F32", 4))
        for shape in shapes.values():
            file.write(random.standard_normal(shape, np.float32).data)
    settings = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "base", "r": RANK,
        "lora_alpha": RANK, "lora_dropout": 0.0, "bias": "none",
        "target_modules": sorted(linear.split(".")[1] for linear in linears(LLAMA_7B)),
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(settings), encoding="utf-8")


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description="Measure what comparing costs.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", choices=[*SIZES], default="M", help="of the two models")
    parser.add_argument("--only", choices=["dense", "adapters"])
    given = parser.parse_args()
    if given.only != "adapters":
        with TemporaryDirectory() as scratch:
            print("\n".join(dense(Path(scratch), given.rounds, given.size)))
    if given.only != "dense":
        with TemporaryDirectory() as scratch:
            print("\n".join(adapters(Path(scratch), min(given.rounds, 2))))


if __name__ == "__main__":
    main()
