"""What a sum comes to at one tensor name: which stored tensors, with which exact coefficients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, lru_cache

from weightarith.algebra import ZERO, Checkpoint, Leaf, Sum, Term, Vector, shown_sum
from weightarith.engine.align import Aligned, check_shape
from weightarith.engine.settings import Policy
from weightarith.errors import IncompatibleError, quoted
from weightarith.store import Factored
from weightarith.tensorfile.model import Stored


@dataclass
class Dense:
    """One stored tensor and what it is multiplied by; `point` tells weights from displacements."""

    stored: Stored
    label: str
    point: bool
    coefficient: Fraction = ZERO


@dataclass
class Gathered:
    """Every summand at one name. `folded` is the weight of points that count as equal to the base here."""

    dense: dict[tuple[str, str], Dense] = field(default_factory=dict)  # by (input, what it stores)
    factors: list[tuple[str, Factored, Fraction]] = field(default_factory=list)
    folded: Fraction = ZERO

    def add(
        self, key: tuple[str, str], stored: Stored, label: str, point: bool, coefficient: Fraction
    ) -> None:
        """Add `coefficient` to what the tensor already counts."""
        entry = self.dense.setdefault(key, Dense(stored, label, point))
        entry.coefficient += coefficient

    def formula(self) -> str:
        """Return the sum in words: `base + 1.5·v`; what cancels is not in it."""
        parts = [(entry.coefficient, entry.label) for entry in self.dense.values() if entry.coefficient]
        parts += [(coefficient, label) for label, _, coefficient in self.factors if coefficient]
        return _formula(tuple(sorted(parts, key=lambda part: part[0] < 0)))


@lru_cache(maxsize=1024)  # most tensors of a model are made alike
def _formula(parts: tuple[tuple[Fraction, str], ...]) -> str:
    return shown_sum(parts)


@dataclass(frozen=True)
class Gatherer:
    """Collects summands over the aligned inputs of one sum, in the order of their labels."""

    inputs: tuple[tuple[Aligned, tuple[Term, ...]], ...]
    depth: int
    policy: Policy
    bases: Mapping[str, Aligned]  # the base of each adapter that needs one, by its leaf's key

    @cached_property
    def _fixed(self) -> list[Fraction | None]:
        """The coefficient of each input, None where it varies from tensor to tensor."""
        return [
            None if any(term.weightings for term in terms) else nominal(terms) for _, terms in self.inputs
        ]

    def at(self, name: str, shape: tuple[int, ...], owner: str) -> Gathered:
        """Return every summand at `name`, whose shape must be `shape`, that of `owner`.

        Raises:
            IncompatibleError: a shape differs, or an adapter's trained tensor has no base to compare with.
        """
        found = Gathered()
        baseless: list[tuple[str, Fraction]] = []
        for (aligned, terms), fixed in zip(self.inputs, self._fixed, strict=True):
            coefficient = _total(terms, name, self.depth) if fixed is None else fixed
            piece = aligned.at(name)
            leaf = aligned.leaf
            if piece is None:
                if isinstance(leaf, Checkpoint):
                    found.folded += coefficient
                continue
            check_shape(name, piece, leaf, shape, owner, self.policy)
            if piece.dense is not None:
                found.add(
                    (leaf.key, "dense"), piece.dense, leaf.label, isinstance(leaf, Checkpoint), coefficient
                )
            if piece.factored is not None:
                found.factors.append((leaf.label, piece.factored, coefficient))
            if piece.replaced is not None:
                found.add((leaf.key, "replaced"), piece.replaced, leaf.label, True, coefficient)
                baseless += self._subtract_base(found, leaf, name, coefficient)
        _check_bases(name, baseless)
        return found

    def _subtract_base(
        self, found: Gathered, leaf: Leaf, name: str, coefficient: Fraction
    ) -> list[tuple[str, Fraction]]:
        if not isinstance(leaf, Vector) or leaf.base is None:
            return [(leaf.label, coefficient)]
        aligned = self.bases[leaf.base.key]
        piece = aligned.at(name)
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


def terms_by_leaf(total: Sum) -> dict[str, tuple[Leaf, tuple[Term, ...]]]:
    """Return the terms of each input, inputs in the order of their labels, whatever the order of the sum."""
    grouped: dict[str, list[Term]] = {}
    for term in total.terms:
        grouped.setdefault(term.leaf.key, []).append(term)
    ordered = sorted(grouped.items(), key=lambda item: (item[1][0].leaf.label, item[0]))
    return {key: (terms[0].leaf, tuple(terms)) for key, terms in ordered}


def leaves_read(total: Sum) -> list[Leaf]:
    """Return every input of a sum once, by label, the bases that its adapters are measured from included."""
    leaves = [leaf for leaf, _ in terms_by_leaf(total).values()]
    bases = [leaf.base for leaf in leaves if isinstance(leaf, Vector) and leaf.base and leaf.source.replaced]
    unique = {leaf.key: leaf for leaf in (*bases, *leaves)}
    return sorted(unique.values(), key=lambda leaf: (leaf.label, leaf.key))


def _total(terms: Iterable[Term], name: str, depth: int) -> Fraction:
    return sum((term.at(name, depth) for term in terms), ZERO)


def nominal(terms: Iterable[Term]) -> Fraction:
    """Return the coefficient of an input, weightings left aside."""
    return sum((term.coefficient for term in terms), ZERO)
