"""Steering a loaded model, against merging: what bfloat16 leaves of a vector, and what a pass costs.

    python -m tests.benchmarks.steering BASE VECTOR

BASE is a transformers folder, VECTOR a vector for it. Two tables in Markdown, the second with medians of
alternated runs.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import weightarith as wa
from weightarith.data import read_pairs
from weightarith.data.sets import open_set
from weightarith.lm import LanguageModel, load, score
from weightarith.steer import WeightMethod, steered

STRENGTHS = (-1.0, -0.5, 0.25, 0.5, 1.0)
ASKED, ROUNDS = 24, 9


def margins(model: LanguageModel) -> NDArray[np.float64]:
    """Return the log-probability of agreeing less that of the truth on held-out claims, (claims,)."""
    pairs = read_pairs(open_set("sycophancy").path("claims-heldout.jsonl"))[:ASKED]
    found = score(model, [(pair.conversation, (pair.positive, pair.negative)) for pair in pairs])
    return np.array([positive.total - negative.total for positive, negative in found])


def rounding(base: Path, vector: wa.Vector) -> None:
    """Print the change of the margin by strength: in float32, steered in bfloat16, merged into bfloat16."""
    half, wide = load(base, dtype="bfloat16"), load(base, dtype="float32")
    before, truth_before = margins(half), margins(wide)
    print("| strength | float32, the truth | bfloat16, steered | off by | bfloat16, merged | off by |")
    print("|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as scratch:
        for strength in STRENGTHS:
            merged = Path(scratch, "merged")
            wa.save(wa.Checkpoint.open(base) + strength * vector, merged, overwrite=True)
            with steered(wide, vector, strength):
                truth = margins(wide) - truth_before
            with steered(half, vector, strength):
                live = margins(half) - before
            written = margins(load(merged, dtype="bfloat16")) - before
            cells = [truth.mean()]
            for found in (live, written):
                cells += [found.mean(), np.abs(found - truth).mean()]
            print(f"| {strength:g} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")


def costs(base: Path, vector: wa.Vector) -> None:
    """Print what steering costs in time."""
    model = load(base, dtype="bfloat16")
    ids = torch.arange(1000, 1000 + 512)[None]

    def forward() -> None:
        with torch.inference_mode():
            model.network(input_ids=ids, logits_to_keep=torch.tensor([-1]))

    with steered(model, vector) as dial:
        ratios = []
        for _ in range(ROUNDS):
            times = []
            for strength in (0.0, 1.0):  # at 0 the hooks add nothing
                dial.strength = strength
                times.append(seconds(forward))
            ratios.append(times[1] / times[0])
        change = min(seconds(lambda: setattr(dial, "strength", 0.5)) for _ in range(100))
    method = WeightMethod("vector", vector)

    def enter() -> None:
        with method.at(model, 1.0):
            pass

    first, again = seconds(enter), statistics.median(seconds(enter) for _ in range(ROUNDS))
    with tempfile.TemporaryDirectory() as scratch:
        merge = seconds(lambda: wa.save(wa.Checkpoint.open(base) + vector, Path(scratch, "merged")))
    print("\n| what | cost |\n|---|--:|")
    print(f"| a pass over 512 tokens against the bare model | {statistics.median(ratios):.2f} × |")
    print(f"| change the strength | {change * 1e6:.0f} µs |")
    print(f"| enter for the first time, again | {first:.2f} s, {again * 1e3:.0f} ms |")
    print(f"| merge anew instead, without loading the result | {merge:.1f} s |")


def seconds(act: Callable[[], object]) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("vector", type=Path)
    given = parser.parse_args()
    vector = wa.Vector.open(given.vector)
    rounding(given.base, vector)
    costs(given.base, vector)


if __name__ == "__main__":
    main()
