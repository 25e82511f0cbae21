"""Elements that are not zero, counted before a vector is stored sparsely: a pass of its own, on request only.

Where a file's tensors begin depends on how many elements are kept, so that has to be known first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from weightarith.engine.blocks import Block, bundles_of
from weightarith.engine.crew import share_out
from weightarith.engine.packing import Displacement, count_nonzeros, main_of
from weightarith.engine.plan import Plan
from weightarith.engine.settle import Machine, Settled, settle
from weightarith.engine.survey import survey


class Maker(Machine, Protocol):
    """A machine that makes numbers to be encoded."""

    def displacement(self, settled: Settled, block: Block) -> Displacement:
        """Return the numbers of a tensor that is stored encoded; `block` is one of its main part."""
        ...

    def clear(self) -> None:
        """Let go of what was laid out for the forms of one job."""
        ...


def count(plan: Plan, makers: Sequence[Maker], progress: Callable[[int], None]) -> dict[str, int]:
    """Return how many elements of each tensor that is stored sparsely are not zero, by name.

    Args:
        plan: with room for every element.
        makers: one for each thread.
        progress: called now and then with the bytes read so far.

    Raises:
        WeightArithError: see the engines.
    """
    found: dict[str, int] = {}
    moved = [0]
    states = survey(plan, makers[0])

    def worker(maker: Maker) -> Callable[[tuple[Block, ...]], None]:
        def work(bundle: tuple[Block, ...]) -> None:
            main = main_of(bundle)
            job = main.job
            settled = settle(job.form, job.tensor, job.tensor_shape, maker, states, job.anchor)
            found[job.tensor] = count_nonzeros(maker.displacement(settled, main))
            maker.clear()
            moved[0] += job.read_bytes

        return work

    bundles = (bundle for bundle in bundles_of(plan) if bundle[0].job.encoding == "sparse")
    share_out(bundles, [worker(maker) for maker in makers], lambda: progress(moved[0]))
    return found
