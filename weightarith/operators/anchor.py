"""The checkpoint a sum is measured from, and sums whose layers come from several models.

The order in which a sum is written plays no part here, so it cannot change a byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from weightarith.algebra import ZERO, Atom, Checkpoint, Leaf, Sum, Term
from weightarith.errors import RecipeError
from weightarith.operators.made import Made, in_order, sum_key
from weightarith.provenance import plain_label
from weightarith.store import depth_of, stack


@dataclass(frozen=True, eq=False)
class Stacked(Atom):
    """A model whose layers are those of several sums, one after the other.

    Attributes:
        parts: the sums, the lowest layers first; each is a checkpoint.
        heights: how many layers each of them has.
        skeleton: the anchors of the parts, stacked: names, shapes, dtypes and config of the whole.
    """

    point = True
    parts: tuple[Sum, ...]
    heights: tuple[int, ...]
    skeleton: Checkpoint

    @cached_property
    def label(self) -> str:  # type: ignore[override]  # an attribute there, and read only here
        """The call, as it is written in a recipe."""
        return self.written(str)

    def written(self, name: Callable[[str], str]) -> str:
        """Return the call, with the label of every input passed through `name`."""
        return f"stack({', '.join(part.written(name) for part in self.parts)})"

    @cached_property
    def key(self) -> str:
        """The parts."""
        return f"stack({[sum_key(part) for part in self.parts]})"

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        """The inputs of every part, each once."""
        found = {leaf.key: leaf for part in self.parts for term in part.terms for leaf in term.leaf.leaves}
        return tuple(found.values())

    def part_of(self, layer: int | None, *, above: bool) -> tuple[int, int]:
        """Return which part a layer of the whole belongs to, and its number there.

        Outside the layers it is the first part, or the last one `above` them.
        """
        if layer is None:
            return (len(self.parts) - 1, 0) if above else (0, 0)
        for number, height in enumerate(self.heights):
            if layer < height:
                return number, layer
            layer -= height
        raise RecipeError(f"{self.label} has {sum(self.heights)} layers")


def stacked(parts: Sequence[Sum]) -> Stacked:
    """Return the model whose layers are those of the parts, the first one's lowest.

    Raises:
        RecipeError: a part is no checkpoint.
        WeightArithError: their models cannot be put on each other.
    """
    anchors = []
    for part in parts:
        anchor = anchor_of(part) if part.kind == "checkpoint" else None
        if anchor is None:
            raise RecipeError(f"stack() takes models, and {part} is none")
        anchors.append(anchor)
    sources, labels = [anchor.source for anchor in anchors], [anchor.label for anchor in anchors]
    heights = tuple(depth_of(source, label) for source, label in zip(sources, labels, strict=True))
    skeleton = Checkpoint(stack(sources, labels), f"stack({', '.join(map(plain_label, labels))})")
    return Stacked(tuple(map(in_order, parts)), heights, skeleton)


def anchor_of(total: Sum) -> Leaf | None:
    """Return the checkpoint the rest is laid over: the one called `base`, else the heaviest, else by label.

    For a vector it is the checkpoint subtracted most; None where the sum holds no checkpoint. Checkpoints
    that only operators see come after those of the sum itself, in the order of the operators' operands.
    """
    sign = -1 if total.kind == "checkpoint" else 1
    found: dict[str, tuple[Fraction, int, Leaf]] = {}
    for place, (leaf, weight) in enumerate(weights_of(total)):
        known, first, _ = found.get(leaf.key, (ZERO, place, leaf))
        found[leaf.key] = known + weight, first, leaf
    direct = {term.leaf.key for term in total.terms if term.coefficient}
    models = [
        (
            leaf.label != "base",
            key not in direct,
            sign * weight,
            0 if key in direct else first,
            leaf.label,
            leaf,
        )
        for key, (weight, first, leaf) in found.items()
        if isinstance(leaf, Checkpoint)
    ]
    return min(models, key=lambda model: model[:5])[5] if models else None


def weights_of(total: Sum) -> Iterator[tuple[Leaf, Fraction]]:
    """Yield every input that counts and what it is multiplied by, weightings and operators left aside."""
    for terms in terms_by_atom(total).values():
        atom, weight = terms[0].leaf, nominal(terms)
        if isinstance(atom, Leaf) and any(term.coefficient for term in terms):
            yield atom, weight
        elif isinstance(atom, Stacked) and any(term.coefficient for term in terms):
            yield atom.skeleton, weight
        elif isinstance(atom, Made) and any(term.coefficient for term in terms):
            for operand in (*atom.operands, *atom.beside):
                yield from ((leaf, weight * inner) for leaf, inner in weights_of(operand))


def terms_by_atom(total: Sum) -> dict[str, tuple[Term, ...]]:
    """Return the terms of each atom, atoms in the order of their labels, whatever the order of the sum."""
    grouped: dict[str, list[Term]] = {}
    for term in total.terms:
        grouped.setdefault(term.leaf.key, []).append(term)
    ordered = sorted(grouped.items(), key=lambda item: (item[1][0].leaf.label, item[0]))
    return {key: tuple(terms) for key, terms in ordered}


def nominal(terms: tuple[Term, ...]) -> Fraction:
    """Return the coefficient of an atom, weightings left aside."""
    return sum((term.coefficient for term in terms), ZERO)
