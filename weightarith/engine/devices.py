"""Which machine part runs a plan. All of them give the same bytes for sums of dense tensors."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from weightarith.engine.blocks import Outcome, reading_order
from weightarith.engine.files import Inputs, Outputs
from weightarith.engine.plan import Plan
from weightarith.errors import RecipeError, quoted

DEVICES = ("auto", "cpu", "cuda", "torch")
MOST_THREADS = 16
WORTH_A_GPU = 4_000_000_000
"""Output bytes below which starting a GPU takes longer than the work (`auto` only)."""


def execute(
    plan: Plan, folder: Path, *, device: str = "auto", threads: int = 0, progress: Callable[[int], None]
) -> Outcome:
    """Write the files of `plan` into `folder`, flushed to the disk, and return what came out.

    Raises:
        RecipeError: no device is called so, or it is not there, or there are to be fewer than no threads.
        WeightArithError: see the engines.
    """
    workers = _workers(threads)
    chosen = choose(device, plan.dense_bytes)
    with Inputs(plan.inputs, reading_order(plan)) as inputs, Outputs(folder, plan.files) as outputs:
        if chosen == "cpu":
            from weightarith.engine import cpu

            outcome = cpu.run(plan, inputs, outputs, threads=workers, progress=progress)
        else:
            from weightarith.engine import torch_device

            outcome = torch_device.run(
                plan, inputs, outputs, device=chosen, threads=workers, progress=progress
            )
        inputs.check_unchanged()
        outputs.flush()
    return outcome


def count_nonzeros(
    plan: Plan, *, device: str = "auto", threads: int = 0, progress: Callable[[int], None]
) -> dict[str, int]:
    """Return how many elements of each tensor that `plan` stores sparsely are not zero, by name.

    They are counted where they will be written, since products of factors may differ in the last bit.

    Raises:
        RecipeError: no device is called so, or it is not there, or there are to be fewer than no threads.
        WeightArithError: see the engines.
    """
    chosen, workers = choose(device, plan.dense_bytes), _workers(threads)
    with Inputs(plan.inputs, reading_order(plan)) as inputs:
        if chosen == "cpu":
            from weightarith.engine import cpu

            found = cpu.count(plan, inputs, threads=workers, progress=progress)
        else:
            from weightarith.engine import torch_device

            found = torch_device.count(plan, inputs, device=chosen, threads=workers, progress=progress)
        inputs.check_unchanged()
    return found


def _workers(threads: int) -> int:
    if threads < 0:
        raise RecipeError(f"{threads} threads can do no work", hint="0 is one for each core")
    return threads or cores()


def choose(device: str, write_bytes: int) -> str:
    """Return the device to use: `auto` takes a GPU only where one is and the work is worth its start.

    Raises:
        RecipeError: the name is none of `DEVICES`.
    """
    if device not in DEVICES:
        raise RecipeError(f"unknown device {quoted(device)}; known are {', '.join(DEVICES)}")
    if device != "auto":
        return device
    if write_bytes < WORTH_A_GPU or not Path("/dev/nvidiactl").exists():  # asked without importing torch
        return "cpu"
    try:
        import torch
    except ImportError:
        return "cpu"
    return "cuda" if torch.cuda.is_available() else "cpu"


def cores() -> int:
    """Return how many worker threads suit this process: its cores, at most `MOST_THREADS`."""
    return min(len(os.sched_getaffinity(0)), MOST_THREADS)
