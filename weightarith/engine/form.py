"""What one tensor is made of: dense, encoded and factored summands, and what operators make of others.

Pure data, made from headers: nothing here is read yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from weightarith.operators.operator import Operator
from weightarith.store import Encoded, Factored
from weightarith.tensorfile.model import Stored


@dataclass(frozen=True, slots=True, eq=False)
class Operand:
    """One dense summand of one tensor, added or subtracted.

    `stored` may hold fewer or more rows than the job where the policy allows it: further rows are left out,
    missing rows count as `missing` says (the anchor's own rows for a checkpoint, zero for a vector).
    """

    stored: Stored
    sign: Literal[1, -1]
    missing: Literal["anchor", "zero"] = "zero"


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """An encoded summand of one tensor, added or subtracted; rows that it lacks count as zero."""

    encoded: Encoded
    sign: Literal[1, -1]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Summands that share a coefficient: `multiplier · (Σ ±summand − origin·anchor)`, multiplied once."""

    multiplier: float
    operands: tuple[Operand, ...]
    origin: int = 0
    made: tuple[Computed, ...] = ()
    packed: tuple[Packed, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class LowRank:
    """One factored summand of one tensor."""

    factored: Factored
    coefficient: float


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """A weight or a displacement at one tensor: `Σ groups + Σ factors`; zero if it has neither."""

    groups: tuple[Group, ...] = ()
    factors: tuple[LowRank, ...] = ()

    def rank(self, shape: tuple[int, ...]) -> int | None:
        """Return the rank of the factors it is stored in, None if any part of it is dense."""
        ranks: list[int | None] = [low.factored.rank for low in self.factors]
        for group in self.groups:
            ranks += [None] * bool(group.operands or group.packed)
            ranks += [computed.node.rank(shape) for computed in group.made]
        known = [rank for rank in ranks if rank is not None]
        return sum(known) if len(known) == len(ranks) else None

    @property
    def sources(self) -> tuple[Stored | Encoded, ...]:
        """Everything it rests on, an encoded tensor as one."""
        return (*self.dense, *self.factor_matrices)

    @property
    def dense(self) -> tuple[Stored | Encoded, ...]:
        """The tensors it rests on that have an element for each of its own, those inside operators last."""
        plain = [operand.stored for group in self.groups for operand in group.operands]
        encoded = [packed.encoded for group in self.groups for packed in group.packed]
        return (*plain, *encoded, *(one for form in self._inside for one in form.dense))

    @property
    def factor_matrices(self) -> tuple[Stored, ...]:
        """The factors it rests on, those inside operators last."""
        own = [side.stored for low in self.factors for side in (low.factored.left, low.factored.right)]
        return (*own, *(one for form in self._inside for one in form.factor_matrices))

    @property
    def _inside(self) -> list[Form]:
        return [form for group in self.groups for made in group.made for form in made.node.forms]

    @property
    def stored(self) -> tuple[Stored, ...]:
        """Every stored tensor it rests on, the parts of encoded ones among them."""
        found: list[Stored] = []
        for source in self.sources:
            found += source.parts.values() if isinstance(source, Encoded) else (source,)
        return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """An operator at one tensor: what it is given, and under which options."""

    call: str  # equal for the same operator on the same sums, whatever the tensor
    operator: Operator
    name: str  # of the tensor
    forms: tuple[Form, ...]
    options: Mapping[str, Any]
    keys: tuple[int, ...]
    depth: int

    def rank(self, shape: tuple[int, ...]) -> int | None:
        """Return the rank of what it makes of a tensor of `shape`, None if that is dense."""
        if self.operator.rank is None:
            return None
        return self.operator.rank(shape, tuple(form.rank(shape) for form in self.forms), **self.options)


@dataclass(frozen=True, slots=True, eq=False)
class Computed:
    """A summand that an operator makes, added or subtracted."""

    node: Node
    sign: Literal[1, -1]
