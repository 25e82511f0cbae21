"""How often vectors move a weight the same way: signs compared element by element.

Where one of two is exactly zero there is nothing to agree on. Two unrelated vectors agree on half.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from weightarith.algebra import Linear
from weightarith.engine.plan import Plan
from weightarith.engine.settings import Policy
from weightarith.engine.together import Together, plan_of_all, visit_all
from weightarith.geometry.products import Doubles, Gram
from weightarith.operators.statistics import on_host


@dataclass(frozen=True, eq=False)
class Signs:
    """Elements at which two vectors have the same sign, and opposite ones, for every pair.

    Attributes:
        same: how many, in the place of inner products.
        opposite: how many, in the place of inner products.
    """

    same: Gram
    opposite: Gram

    def agreement(self) -> Doubles:
        """Return the share of elements with the same sign, of those that neither leaves alone, (n, n).

        It is NaN where there is no such element.
        """
        return _share(self.same.total(), self.opposite.total())

    def by(self, key: Callable[[str], str]) -> dict[str, Doubles]:
        """Return `agreement` over the tensors of each group."""
        same, opposite = self.same.by(key), self.opposite.by(key)
        return {group: _share(same[group], opposite[group]) for group in same}


def signs(
    *vectors: Linear,
    labels: Sequence[str] = (),
    policy: Policy | None = None,
    threads: int = 0,
    progress: Callable[[int], None] = lambda _moved: None,
) -> Signs:
    """Return how often the signs of each pair of vectors agree; factors are multiplied out block by block.

    Raises:
        WeightArithError: they are no vectors, do not fit together, or are damaged or not finite.
    """
    names = tuple(labels) or tuple(map(str, vectors))
    return signs_of(plan_of_all(vectors, policy), names, threads=threads, progress=progress)


def signs_of(
    plan: Plan,
    labels: Sequence[str],
    *,
    threads: int = 0,
    progress: Callable[[int], None] = lambda _moved: None,
) -> Signs:
    """Return what `signs` does, of a plan by `engine.together.plan_of_all`, whose `read_bytes` are known."""
    found = visit_all(plan, _counted, threads=threads, progress=progress)
    same, opposite = ({name: both[which] for name, both in found.items()} for which in (0, 1))
    return Signs(Gram(tuple(labels), same), Gram(tuple(labels), opposite))


def _counted(field: Together) -> tuple[Doubles, Doubles]:
    count = len(field.operands)
    same, opposite = np.zeros((count, count)), np.zeros((count, count))
    for _, block in field.blocks():
        values = on_host(block)
        # a block has fewer elements than the 2²⁴ up to which float32 counts
        up, down = (values > 0).astype(np.float32), (values < 0).astype(np.float32)
        across = up @ down.T
        same += up @ up.T + down @ down.T
        opposite += across + across.T
    return same, opposite


def _share(same: Doubles, opposite: Doubles) -> Doubles:
    both = same + opposite
    return np.divide(same, both, out=np.full_like(both, np.nan), where=both > 0)
