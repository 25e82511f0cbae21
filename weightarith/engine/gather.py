"""What a sum comes to at one tensor name: which stored tensors, with which exact coefficients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache

from weightarith.algebra import ZERO, Checkpoint, Leaf, Sum, Term, Vector
from weightarith.engine.align import Aligned, check_shape
from weightarith.engine.frame import Frame, frame_of
from weightarith.errors import IncompatibleError, quoted
from weightarith.names import role_of, split_layer
from weightarith.operators.anchor import Stacked, nominal, terms_by_atom
from weightarith.operators.made import Made
from weightarith.store import ABOVE, Encoded, Factored
from weightarith.tensorfile.model import Stored
from weightarith.wording import shown_sum


@dataclass
class Dense:
    """One stored tensor and what it is multiplied by; `point` tells weights from displacements."""

    stored: Stored
    label: str
    point: bool
    coefficient: Fraction = ZERO


@dataclass
class Coded:
    """One encoded displacement and what it is multiplied by."""

    encoded: Encoded
    label: str
    coefficient: Fraction = ZERO


@dataclass
class Call:
    """What an operator makes at one tensor: of what, and what it is multiplied by."""

    made: Made
    operands: tuple[Gathered, ...]
    coefficient: Fraction
    name: str  # of the tensor; in a stack of models, in its part of the stack
    depth: int  # layers of the model, or of the part

    @property
    def written(self) -> str:
        """The call in words, with every number as it is here."""
        return self.made.written_at(self.name, self.depth, [each.formula() for each in self.operands])


@dataclass
class Gathered:
    """Every summand at one name. `folded` is the weight of points that count as equal to the base here."""

    dense: dict[tuple[str, str], Dense] = field(default_factory=dict)  # by (input, what it stores)
    factors: list[tuple[str, Factored, Fraction]] = field(default_factory=list)
    coded: dict[str, Coded] = field(default_factory=dict)  # by input
    calls: list[Call] = field(default_factory=list)
    folded: Fraction = ZERO

    def add(
        self, key: tuple[str, str], stored: Stored, label: str, point: bool, coefficient: Fraction
    ) -> None:
        """Add `coefficient` to what the tensor already counts."""
        entry = self.dense.setdefault(key, Dense(stored, label, point))
        entry.coefficient += coefficient

    def add_coded(self, key: str, encoded: Encoded, label: str, coefficient: Fraction) -> None:
        """Add `coefficient` to what the encoded displacement already counts."""
        self.coded.setdefault(key, Coded(encoded, label)).coefficient += coefficient

    @property
    def encoded(self) -> list[Coded]:
        """The encoded displacements that count."""
        return [entry for entry in self.coded.values() if entry.coefficient]

    def summands(self) -> list[Dense | Coded | Call]:
        """Return all that counts, factors left aside."""
        return [*(one for one in self.dense.values() if one.coefficient), *self.encoded, *self.calls]

    @property
    def packs(self) -> bool:
        """Whether a displacement that is not dense counts here, those that operators see included."""
        return bool(
            self.encoded
            or any(coefficient for _, _, coefficient in self.factors)
            or any(operand.packs for call in self.calls for operand in call.operands)
        )

    def own(self, anchor: Leaf, name: str) -> Dense:
        """Take out what the anchor counts, and return it; it counts nothing where only operators see it."""
        stored = anchor.source.tensors[name]
        return self.dense.pop((anchor.key, "dense"), Dense(stored, anchor.label, point=True))

    @property
    def moves(self) -> bool:
        """Whether anything is left of the sum here."""
        return bool(self.calls or self.packs or any(entry.coefficient for entry in self.dense.values()))

    @property
    def degree(self) -> Fraction:
        """The weight of the points."""
        points = (entry.coefficient for entry in self.dense.values() if entry.point)
        made = (call.coefficient for call in self.calls if call.made.point)
        return sum(points, ZERO) + sum(made, ZERO)

    @property
    def is_double(self) -> bool:
        """Whether a tensor that counts is as wide as a float64, those that operators see included."""
        return bool(
            any(one.stored.info.dtype.code == "F64" for one in self.dense.values() if one.coefficient)
            or any(one.encoded.is_double for one in self.encoded)
            or any(operand.is_double for call in self.calls for operand in call.operands)
        )

    def everything(self) -> Iterator[Dense]:
        """Yield every dense tensor that counts, those that operators see included."""
        yield from (entry for entry in self.dense.values() if entry.coefficient)
        for call in self.calls:
            for operand in call.operands:
                yield from operand.everything()

    def formula(self) -> str:
        """Return the sum in words: `base + 1.5·v`; what cancels is not in it."""
        parts = [(entry.coefficient, entry.label) for entry in self.dense.values() if entry.coefficient]
        parts += [(coefficient, label) for label, _, coefficient in self.factors if coefficient]
        parts += [(entry.coefficient, entry.label) for entry in self.encoded]
        parts += [(call.coefficient, call.written) for call in self.calls]
        return _formula(tuple(sorted(parts, key=lambda part: part[0] < 0)))


@lru_cache(maxsize=1024)  # most tensors of a model are made alike
def _formula(parts: tuple[tuple[Fraction, str], ...]) -> str:
    return shown_sum(parts)


@dataclass(frozen=True, eq=False)
class _Stack:
    """A stack, and what stands for it laid over the names of the whole."""

    stacked: Stacked
    aligned: Aligned

    def place(self, name: str) -> tuple[int, str]:
        """Return which part of the stack a tensor belongs to, and its name there."""
        held = self.aligned.aliases.get(name, name)
        split = split_layer(held)
        layer = None if split is None else split[1]
        number, layer = self.stacked.part_of(layer, above=role_of(held) in ABOVE)
        return number, held if split is None else f"{split[0]}{layer}{split[2]}"


class Gatherer:
    """Collects the summands of one sum over a frame, in the order of their labels."""

    def __init__(self, total: Sum, frame: Frame, *, inside: bool = False) -> None:
        self._frame, self._inside = frame, inside
        self._inputs: list[tuple[Aligned, tuple[Term, ...], Fraction | None]] = []
        self._made: list[tuple[Made, tuple[Term, ...], tuple[Gatherer, ...]]] = []
        self._stacks: list[tuple[_Stack, tuple[Term, ...], tuple[Gatherer, ...]]] = []
        for terms in terms_by_atom(total).values():
            atom = terms[0].leaf
            if isinstance(atom, Made):
                sums = (*atom.operands, *atom.beside)
                self._made.append((atom, terms, tuple(Gatherer(each, frame, inside=True) for each in sums)))
            elif isinstance(atom, Stacked):
                floors = tuple(
                    Gatherer(part, frame_of(part, frame.policy), inside=True) for part in atom.parts
                )
                self._stacks.append((_Stack(atom, frame.aligned[atom.skeleton.key]), terms, floors))
            else:
                # the coefficient, None where it varies from tensor to tensor
                fixed = None if any(term.weightings for term in terms) else nominal(terms)
                self._inputs.append((frame.aligned[atom.key], terms, fixed))

    @property
    def aligned(self) -> list[Aligned]:
        """The inputs, those of operators' operands included."""
        inner = (
            each
            for _, _, gatherers in (*self._made, *self._stacks)
            for gatherer in gatherers
            for each in gatherer.aligned
        )
        own = (*(one for one, _, _ in self._inputs), *(stack.aligned for stack, _, _ in self._stacks))
        return list({each.leaf.key: each for each in (*own, *inner)}.values())

    def at(self, name: str, shape: tuple[int, ...], owner: str) -> Gathered:
        """Return every summand at `name`, whose shape must be `shape`, that of `owner`.

        Raises:
            IncompatibleError: a shape differs, or an adapter's trained tensor has no base to compare with.
        """
        found = Gathered()
        baseless: list[tuple[str, Fraction]] = []
        for aligned, terms, fixed in self._inputs:
            coefficient = _total(terms, name, self._frame.depth) if fixed is None else fixed
            baseless += self._add(found, aligned, name, coefficient, shape, owner)
        _check_bases(name, baseless)
        for stack, terms, floors in self._stacks:
            coefficient = _total(terms, name, self._frame.depth)
            self._add_floor(found, stack, floors, name, coefficient, shape, owner)
        if self._inside:
            self._unfold(found, name)
        for made, terms, gatherers in self._made:
            coefficient = _total(terms, name, self._frame.depth)
            operands = tuple(gatherer.at(name, shape, owner) for gatherer in gatherers)
            if coefficient and any(operand.moves for operand in operands[: len(made.operands)]):
                found.calls.append(Call(made, operands, coefficient, name, self._frame.depth))
        return found

    def _add(
        self, found: Gathered, aligned: Aligned, name: str, coefficient: Fraction, shape: tuple[int, ...],
        owner: str,
    ) -> list[tuple[str, Fraction]]:  # fmt: skip
        piece, leaf = aligned.at(name), aligned.leaf
        if piece is None:
            if isinstance(leaf, Checkpoint):
                found.folded += coefficient
            return []
        check_shape(name, piece, leaf, shape, owner, self._frame.policy, whole=self._inside)
        if piece.dense is not None:
            found.add((leaf.key, "dense"), piece.dense, leaf.label, isinstance(leaf, Checkpoint), coefficient)
        if piece.factored is not None:
            found.factors.append((leaf.label, piece.factored, coefficient))
        if piece.encoded is not None:
            found.add_coded(leaf.key, piece.encoded, leaf.label, coefficient)
        if piece.replaced is None:
            return []
        found.add((leaf.key, "replaced"), piece.replaced, leaf.label, True, coefficient)
        return self._subtract_base(found, leaf, name, coefficient)

    def _add_floor(
        self,
        found: Gathered,
        stack: _Stack,
        floors: tuple[Gatherer, ...],
        name: str,
        coefficient: Fraction,
        shape: tuple[int, ...],
        owner: str,
    ) -> None:
        """Add what the part of a stack that a tensor belongs to is there, under its name in the part."""
        skeleton, piece = stack.aligned.leaf, stack.aligned.at(name)
        if piece is None:
            found.folded += coefficient
            return
        check_shape(name, piece, skeleton, shape, owner, self._frame.policy, whole=True)
        number, inner = stack.place(name)
        floor = floors[number]
        part = floor.at(inner, *floor._frame.shape(inner))
        for (key, kind), entry in part.dense.items():
            where = skeleton.key if entry.stored is piece.dense else f"{key}|{inner}"
            found.add((where, kind), entry.stored, entry.label, entry.point, coefficient * entry.coefficient)
        found.factors += [(label, factored, coefficient * each) for label, factored, each in part.factors]
        for key, coded in part.coded.items():
            found.add_coded(f"{key}|{inner}", coded.encoded, coded.label, coefficient * coded.coefficient)
        if coefficient:
            found.calls += [replace(call, coefficient=coefficient * call.coefficient) for call in part.calls]

    def _unfold(self, found: Gathered, name: str) -> None:
        """Put the base where a point lacks the tensor, so that an operator sees a number there."""
        anchor = self._frame.anchor
        if found.folded and anchor is not None:
            found.add((anchor.key, "dense"), anchor.source.tensors[name], anchor.label, True, found.folded)

    def _subtract_base(
        self, found: Gathered, leaf: Leaf, name: str, coefficient: Fraction
    ) -> list[tuple[str, Fraction]]:
        if not isinstance(leaf, Vector) or leaf.base is None:
            return [(leaf.label, coefficient)]
        piece = self._frame.aligned[leaf.base.key].at(name)
        if piece is None or piece.dense is None:
            raise IncompatibleError(
                f"{leaf.label} holds a fully trained {quoted(name)}, and its base {leaf.base.label} lacks it"
            )
        found.add((leaf.base.key, "dense"), piece.dense, leaf.base.label, True, -coefficient)
        return []


def _check_bases(name: str, baseless: list[tuple[str, Fraction]]) -> None:
    if sum((coefficient for _, coefficient in baseless), ZERO) != 0:
        labels = " and ".join(label for label, _ in baseless)
        raise IncompatibleError(
            f"{labels} holds a fully trained {quoted(name)}, a weight of the base it was trained on, "
            "and that base is not known",
            hint="name it: {adapter: PATH, base: NAME} in a recipe, base= in Python",
        )


def _total(terms: Iterable[Term], name: str, depth: int) -> Fraction:
    return sum((term.at(name, depth) for term in terms), ZERO)
