"""A plan carried out but for its output: what rounding leaves of every change, and nothing written."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from weightarith.engine.bench import Bench
from weightarith.engine.blocks import block_elements
from weightarith.engine.plan import Job, Plan
from weightarith.engine.settle import States, settle
from weightarith.engine.visit import go_through
from weightarith.kernels.accounts import ACCOUNTS


def rehearse(
    plan: Plan, *, threads: int = 0, progress: Callable[[int], None] = lambda _moved: None
) -> dict[str, NDArray[np.float64]]:
    """Return the account of every tensor that a plan for a model computes, by name.

    Blocks are those of a run, so the sums are those of its receipt.

    Args:
        plan: of a model.
        threads: how many; 0 takes one a core.
        progress: called now and then with the bytes of the tensors done so far.

    Raises:
        WeightArithError: see the engines.
    """
    return go_through(plan, lambda job: job.action == "compute", _account, threads, progress)


def _account(job: Job, bench: Bench, states: States) -> NDArray[np.float64]:
    settled = settle(job.form, job.tensor, job.tensor_shape, bench, states, job.anchor)
    most, total = block_elements(job), np.zeros(ACCOUNTS)
    room = bench.room(settled, job.anchor, job.dtype, min(most, max(job.count, 1)))
    for start in range(0, job.count, most):
        account = np.zeros(ACCOUNTS)
        room.combine(start, min(most, job.count - start), account, kept=job.kept)
        total += account
    return total
