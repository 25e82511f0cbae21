"""The truncated decomposition that extraction rests on, timed against a full one on matrices of a real size.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m tests.benchmarks.svd

One thread, CPU seconds; the error is compared with that of the best approximation there is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from weightarith.operators.svd import truncated

ROWS, COLUMNS, RANK = 8192, 2048, 16
Singles = NDArray[np.float32]
Made = TypeVar("Made")


def lora_like(random: np.random.Generator) -> Singles:
    """Return a change of rank 16 with noise a hundred times smaller, as fine-tunes leave it."""
    signal = random.standard_normal((ROWS, RANK)) @ random.standard_normal((RANK, COLUMNS))
    return (signal + 0.01 * random.standard_normal((ROWS, COLUMNS))).astype(np.float32)


def power_law(random: np.random.Generator) -> Singles:
    """Return a change whose singular values fall like 1/√k: hard, since no rank is enough."""
    left, _ = np.linalg.qr(random.standard_normal((ROWS, COLUMNS)))
    right, _ = np.linalg.qr(random.standard_normal((COLUMNS, COLUMNS)))
    made: Singles = ((left / np.sqrt(np.arange(1, COLUMNS + 1))) @ right).astype(np.float32)
    return made


def timed(work: Callable[[], Made]) -> tuple[float, Made]:
    """Return the CPU seconds of a call, and its result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def main() -> None:
    """Measure, and print what was found."""
    random = np.random.default_rng(0)
    print("| change | full, CPU s | truncated, CPU s | times less | error ÷ smallest possible |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for make in (lora_like, power_law):
        matrix = make(random)
        truncated(matrix, RANK)  # warms up
        full, values = timed(partial(np.linalg.svd, matrix, full_matrices=False))
        ours, found = timed(partial(truncated, matrix, RANK))
        rest = np.asarray(values[1], np.float64)[RANK:]
        ratio = float(found.error) / float(np.sqrt(np.sum(rest**2)))
        name = (make.__doc__ or "").split(",")[0].removeprefix("Return a ")
        print(f"| {name} | {full:.2f} | {ours:.3f} | {full / ours:.0f} | {ratio:.5f} |")


if __name__ == "__main__":
    main()
