"""Operators at one tensor: asked for their answer, after which every element of the tensor can be made.

What an operator answers with coefficients or factors becomes part of the sum; the rest is evaluated block by
block. Nothing here knows on which device the numbers are: that is a `Machine`'s concern.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Literal, Protocol

from weightarith.engine.answers import answer, expect_shape
from weightarith.engine.form import Form, LowRank, Node
from weightarith.operators.election import Election
from weightarith.operators.field import (
    Array,
    Blockwise,
    Mixed,
    Product,
    Rowwise,
    Whole,
    row_length,
    sample_runs,
)
from weightarith.operators.statistics import Doubles
from weightarith.store import Encoded
from weightarith.tensorfile.model import Stored


@dataclass(frozen=True, eq=False)
class Part:
    """`multiplier · (Σ ±stored + Σ ±made − origin·anchor)`; what is made is decoded or evaluated."""

    multiplier: float
    stored: tuple[tuple[Stored, Literal[1, -1], Literal["anchor", "zero"]], ...]
    made: tuple[tuple[Encoded | Evaluated, Literal[1, -1]], ...] = ()
    origin: int = 0


@dataclass(frozen=True, eq=False)
class Settled:
    """A form whose operators have answered; `factors` are arrays of the machine, coefficients folded in."""

    name: str  # of the tensor
    parts: tuple[Part, ...]
    factors: tuple[Product, ...] = ()
    sources: tuple[Stored | Encoded, ...] = ()  # what the form rests on
    double: bool = False  # whether an input is as wide as a float64


@dataclass(frozen=True, eq=False)
class Evaluated:
    """What an operator answered with, and the field it is made of."""

    result: Blockwise | Rowwise | Whole
    field: NodeField


class Machine(Protocol):
    """Where numbers are: how a settled form becomes an array."""

    tile: int  # elements that are worked on at a time

    def stack(self, operands: tuple[Settled, ...], start: int, count: int) -> Array:
        """Return the values of operands, float64, (operands, count); overwritten by the next call for them.

        Raises:
            NonFiniteError: one of them is NaN or infinite, and the policy refuses.
        """
        ...

    def load(self, factors: tuple[LowRank, ...], name: str) -> Product | None:
        """Return the stored factors of a tensor side by side, in float64, None for none.

        Raises:
            NonFiniteError: one of them holds NaN or infinity, and the policy refuses.
        """
        ...

    def empty(self, shape: tuple[int, ...], *, double: bool) -> Array:
        """Return room for a whole tensor."""
        ...

    def clear(self) -> None:
        """Let go of the memory that forms were given; they get new memory if they are asked for again."""
        ...

    def unformed(self, operands: tuple[Settled, ...]) -> bool:
        """Return whether operands need not be formed for what follows."""
        ...

    def products(self, operands: tuple[Settled, ...], start: int, count: int) -> Doubles | None:
        """Return the inner products of a block of the operands; None if they have to be formed for that."""
        ...

    def sizes_between(
        self, operands: tuple[Settled, ...], wanted: Mapping[int, tuple[float, float, Doubles]],
        start: int, count: int,
    ) -> Iterator[tuple[int, tuple[int, int, int, int]]]:  # fmt: skip
        """Yield what `statistics.Quick.sizes_between` does for one block."""
        ...

    def vote(
        self, operands: tuple[Settled, ...], election: Election, start: int, count: int, *, checked: bool,
        out: Array | None = None,
    ) -> Array:  # fmt: skip
        """Return what an election makes of a block, (count,), in `out` if that is given and can be.

        Operands that were `checked` are known to be finite.
        """
        ...


States = Mapping[str, Any]
"""What operators found out over the whole model, by `Node.call`."""


def settle(
    form: Form,
    name: str,
    shape: tuple[int, ...],
    machine: Machine,
    states: States,
    anchor: Stored | None = None,
) -> Settled:
    """Return `form`, which is added to `anchor`, with every operator in it asked for its answer.

    Raises:
        WeightArithError: an operator refuses its operands.
    """
    if not prod(shape):
        return Settled(name, ())
    parts: list[Part] = []
    loaded = machine.load(form.factors, name)
    factors = [loaded] if loaded is not None else []
    double = any(stored.info.dtype.code == "F64" for stored in form.stored)
    for group in form.groups:
        made: list[tuple[Encoded | Evaluated, Literal[1, -1]]] = [
            (packed.encoded, packed.sign) for packed in group.packed
        ]
        for computed in group.made:
            field = field_of(computed.node, shape, machine, states)
            result = answer(computed.node, field, states)
            weight = group.multiplier * computed.sign
            if isinstance(result, Mixed):
                for number, operand in zip(result.coefficients, field.operands, strict=True):
                    parts += [_scaled(part, weight * number) for part in operand.parts]
                    factors += [_scaled_product(one, weight * number) for one in operand.factors]
            elif isinstance(result, Product):
                factors.append(_scaled_product(result, weight))
            else:
                made.append((Evaluated(result, field), computed.sign))
        stored = tuple((one.stored, one.sign, one.missing) for one in group.operands)
        if stored or made or group.origin:
            parts.append(Part(group.multiplier, stored, tuple(made), group.origin))
    return Settled(name, _folded(parts, anchor), tuple(factors), form.sources, double)


def field_of(node: Node, shape: tuple[int, ...], machine: Machine, states: States) -> NodeField:
    """Return what the operator of `node` sees, operators among its operands settled."""
    operands = tuple(settle(form, node.name, shape, machine, states) for form in node.forms)
    return NodeField(node, shape, operands, machine)


def _folded(parts: list[Part], anchor: Stored | None) -> tuple[Part, ...]:
    """Return the parts with the anchor itself among them only once, so that it is not read again."""
    if anchor is None:
        return tuple(parts)
    own = [part for part in parts if not part.made and all(one is anchor for one, _, _ in part.stored)]
    weight = sum(part.multiplier * (sum(sign for _, sign, _ in part.stored) - part.origin) for part in own)
    others = [part for part in parts if part not in own]
    return (*others, Part(-weight, (), origin=1)) if weight else tuple(others)


def _scaled(part: Part, by: float) -> Part:
    return replace(part, multiplier=part.multiplier * by)


def _scaled_product(product: Product, by: float) -> Product:
    norm, error = (None if one is None else abs(by) * one for one in (product.norm, product.error))
    return Product(product.left * by, product.right, norm, error)


class NodeField:
    """The operands of an operator at one tensor, read as they are asked for; see `operators.field.Field`."""

    def __init__(
        self, node: Node, shape: tuple[int, ...], operands: tuple[Settled, ...], machine: Machine
    ) -> None:
        self.name, self.shape, self.count = node.name, shape, prod(shape)
        self.keys, self.depth, self.operands = node.keys, node.depth, operands
        self.operator = node.operator.name
        self._machine = machine
        self._checked = False  # whether every operand was gone through, and is finite

    def release(self) -> None:
        """Have the machine let go of what it holds for this field, and for others."""
        self._machine.clear()

    def values(self, start: int, count: int) -> Array:
        """Return the values of some elements, (operands, count)."""
        return self._machine.stack(self.operands, start, count)

    def made_at(self, at: Callable[[Array, int], Array], start: int, count: int, out: Array | None) -> Array:
        """Return what a rule makes of some elements, in `out` if that is given and can be."""
        if isinstance(at, Election) and self._machine.unformed(self.operands):
            return self._machine.vote(self.operands, at, start, count, checked=self._checked, out=out)
        return at(self.values(start, count), start)

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """Yield the tensor in pieces that suit the machine."""
        for start in range(0, self.count, self._machine.tile):
            yield start, self.values(start, min(self._machine.tile, self.count - start))

    def products(self) -> Doubles | None:
        """Return the inner products of the operands, None where the machine has to form them."""
        total: Doubles | None = None
        for start in range(0, self.count, self._machine.tile):
            size = min(self._machine.tile, self.count - start)
            found = self._machine.products(self.operands, start, size)
            if found is None:
                return None
            total = found if total is None else total + found
        return total

    def sizes_between(
        self, wanted: Mapping[int, tuple[float, float, Doubles]]
    ) -> Iterator[tuple[int, tuple[int, int, int, int]]] | None:
        """Yield what lies in brackets, block after block; None where the machine has to form the operands."""
        return self._between(wanted) if self._machine.unformed(self.operands) else None

    def _between(
        self, wanted: Mapping[int, tuple[float, float, Doubles]]
    ) -> Iterator[tuple[int, tuple[int, int, int, int]]]:
        for start in range(0, self.count, self._machine.tile):
            size = min(self._machine.tile, self.count - start)
            yield from self._machine.sizes_between(self.operands, wanted, start, size)
        self._checked = len(wanted) == len(self.operands)

    def rows(self) -> Iterator[tuple[int, Array]]:
        """Yield as many rows at a time as suit the machine, one at least."""
        columns = row_length(self.shape)
        height = max(self._machine.tile // max(columns, 1), 1)
        rows = self.count // columns if columns else 0
        for first in range(0, rows, height):
            yield first, self.rows_at(first, min(height, rows - first))

    def rows_at(self, first: int, rows: int) -> Array:
        """Return the values of some rows, (operands, rows, columns)."""
        columns = row_length(self.shape)
        return self.values(first * columns, rows * columns).reshape((len(self.operands), rows, columns))

    def sample(self) -> Array:
        """Return the values of the runs of `sample_runs`."""
        runs = sample_runs(self.count)
        found = self._machine.empty((len(self.operands), sum(size for _, size in runs)), double=True)
        place = 0
        for start, size in runs:
            found[:, place : place + size] = self.values(start, size)
            place += size
        return found

    def whole(self) -> tuple[Array, ...]:
        """Return every operand in full."""
        found = tuple(self._machine.empty((self.count,), double=operand.double) for operand in self.operands)
        for start, values in self.blocks():
            for one, value in zip(found, values, strict=True):
                one[start : start + value.shape[0]] = value
        return tuple(one.reshape(self.shape) for one in found)

    def factors(self) -> tuple[Product | None, ...]:
        """Return the factors of the operands that are nothing but one product."""
        return tuple(
            one.factors[0] if len(one.factors) == 1 and not one.parts else None for one in self.operands
        )


def evaluate(evaluated: Evaluated, start: int, count: int, out: Array | None = None) -> Array:
    """Return some elements of what an operator makes, (count,), in `out` if that is given and can be."""
    result, field = evaluated.result, evaluated.field
    if isinstance(result, Whole):
        return result.tensor.reshape((-1,))[start : start + count]
    if isinstance(result, Blockwise):
        made = field.made_at(result.at, start, count, out)
        expect_shape(made, (count,), field)
        return made
    columns = row_length(field.shape)
    first, last = start // columns, -(-(start + count) // columns)
    made = result.at(field.rows_at(first, last - first), first)
    expect_shape(made, (last - first, columns), field)
    return made.reshape((-1,))[start - first * columns : start - first * columns + count]
