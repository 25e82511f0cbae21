"""Reinforced Agent Merging: what only one vector changes is kept in full, what several change is averaged.

A vector changes an element whose magnitude is above `epsilon`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from array_api_compat import array_namespace

from weightarith.operators.election import added
from weightarith.operators.field import Array, Blockwise, Field
from weightarith.operators.operator import OVER, Operator, Option
from weightarith.operators.statistics import Blocks
from weightarith.operators.trim import keep, scaled

SOURCE = "Yuan et al. (2026), Behavior Knowledge Merge in Reinforced Agentic Models, https://arxiv.org/abs/2601.13572"
EPSILON = Option("epsilon", default=1e-5, low=0, help="magnitude above which an element counts as changed")


def _changed(values: Array, epsilon: float) -> tuple[list[Array], Array]:
    """Return whether each operand changes an element, and how many do, as float64."""
    xp = array_namespace(values)
    changed = [abs(values[row, ...]) > epsilon for row in range(values.shape[0])]
    return changed, added([xp.astype(one, xp.float64) for one in changed])


def _merged(epsilon: float, factors: Sequence[float]) -> Blockwise:
    def at(values: Array, start: int) -> Array:
        del start
        xp = array_namespace(values)
        changed, number = _changed(values, epsilon)
        kept = [keep(values[row, ...], one) for row, one in enumerate(changed)]
        shared = added(kept) / xp.where(number == 0, 1.0, number)
        return xp.where(number == 1, added(scaled(kept, factors)), shared)

    return Blockwise(at)


def ram(field: Field, *, epsilon: float) -> Blockwise:
    """Average each element over the vectors that change it."""
    del field
    return _merged(epsilon, ())


def _prepare(model: Blocks, *, epsilon: float, r: float, alpha: float, **_: object) -> tuple[float, ...]:
    """Return what the elements that a vector alone changes are multiplied by."""
    alone: dict[int, int] = defaultdict(int)
    shared: dict[int, int] = defaultdict(int)
    for _start, values in model.blocks():
        changed, number = _changed(values, epsilon)
        count = array_namespace(number).count_nonzero
        for row, one in enumerate(changed):
            alone[row] += int(count(one & (number == 1)))
            shared[row] += int(count(one & (number > 1)))
    return tuple(1 + r * min(shared[row] / max(alone[row], epsilon), alpha) for row in alone)


def ramplus(
    field: Field,
    *,
    epsilon: float,
    r: float,
    alpha: float,
    over: str = "tensor",
    state: Any = None,
) -> Blockwise:
    """Average each element over the vectors that change it; enlarge those that one vector alone changes.

    They are multiplied by `1 + r·min(shared/alone, alpha)`, the numbers of elements that the vector changes
    with others and alone, in the tensor or in the whole model.
    """
    own = over == "tensor"
    return _merged(epsilon, _prepare(field, epsilon=epsilon, r=r, alpha=alpha) if own else state)


RAM = Operator(name="ram", run=ram, source=SOURCE, options=(EPSILON,))
RAMPLUS = Operator(
    name="ramplus",
    run=ramplus,
    source=SOURCE,
    options=(
        EPSILON,
        Option("r", default=0.1, low=0, help="how much the overlap enlarges what is changed alone"),
        Option("alpha", default=0.2, low=0, help="the largest overlap that counts"),
        OVER,
    ),
    prepare=_prepare,
)
