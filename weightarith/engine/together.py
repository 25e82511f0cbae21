"""Several vectors, or several models, looked at together: at every tensor a field with an operand for each.

Nothing is written, and what they rest on in common, such as their base, is read once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from weightarith.algebra import Linear, collect
from weightarith.engine.bench import Bench
from weightarith.engine.form import Node
from weightarith.engine.plan import Job, Plan
from weightarith.engine.settings import Policy
from weightarith.engine.settle import NodeField, Part, Settled, States, field_of
from weightarith.engine.visit import go_through, plan_of
from weightarith.operators.field import Mixed
from weightarith.operators.made import make
from weightarith.operators.operator import Operator
from weightarith.operators.statistics import Doubles, gram

Seen = TypeVar("Seen")

COMPARED = 1 << 18
"""Elements that two rows are compared in at a time: in 16 bits both stay in the second-level cache."""

_TOGETHER = Operator("together", lambda _field: Mixed((1.0,)), "", takes="either")


class Together(NodeField):
    """The field of several vectors at one tensor, for reports: sums are in whatever order is quickest."""

    def __init__(
        self, node: Node, shape: tuple[int, ...], operands: tuple[Settled, ...], bench: Bench
    ) -> None:
        super().__init__(node, shape, operands, bench)
        self._node, self._bench = node, bench

    def only(self, numbers: Iterable[int]) -> Together:
        """Return the field of some of the operands."""
        return self._of(tuple(self.operands[number] for number in numbers))

    def with_difference(self) -> Together:
        """Return the field of two operands and of the first less the second."""
        one, other = self.operands
        return self._of((one, other, _less(one, other)))

    def inner_products(self) -> Doubles:
        """Return the inner products of the operands with one another, (operands, operands)."""
        total = None
        for start in range(0, self.count, COMPARED):
            size = min(COMPARED, self.count - start)
            found = self._bench.compared(self.operands, start, size)
            if found is None:
                return gram(self)
            total = found if total is None else total + found
        return gram(self) if total is None else total

    def _of(self, operands: tuple[Settled, ...]) -> Together:
        return Together(self._node, self.shape, operands, self._bench)


def plan_of_all(given: Sequence[Linear], policy: Policy | None = None) -> Plan:
    """Return the plan of vectors, or of models, that are looked at together, for `visit_all`.

    Raises:
        WeightArithError: they are not all vectors or all models, or do not fit together.
    """
    return plan_of(collect(make(_TOGETHER, given).terms), policy)


def visit_all(
    plan: Plan,
    look: Callable[[Together], Seen],
    *,
    threads: int = 0,
    progress: Callable[[int], None] = lambda _moved: None,
) -> dict[str, Seen]:
    """Do what `visit` does with what `plan_of_all` planned: the field has an operand for each that was given.

    It is asked for at every tensor that one of them moves; where another does not, that operand is zero, with
    neither parts nor factors. Buffers without arithmetic are left aside.
    """

    def at(job: Job, bench: Bench, states: States) -> Seen:
        node = job.nodes[0]
        operands = field_of(node, job.tensor_shape, bench, states).operands
        return look(Together(node, job.tensor_shape, operands, bench))

    return go_through(plan, lambda job: bool(job.nodes), at, threads, progress)


def _less(one: Settled, other: Settled) -> Settled:
    """Return the first of two forms less the second, as one difference where each is a stored tensor."""
    taken = tuple(replace(part, multiplier=-part.multiplier) for part in other.parts)
    parts, factors = (*one.parts, *taken), one.factors
    match (one.parts, other.parts):
        case ((Part(1.0, ((held, 1, missing),), (), 0),), (Part(1.0, ((away, 1, lacking),), (), 0),)):
            parts = (Part(1.0, ((held, 1, missing), (away, -1, lacking))),)
    factors += tuple(replace(product, left=-product.left) for product in other.factors)
    sources = (*one.sources, *other.sources)
    return Settled(one.name, parts, factors, sources, one.double or other.double)
