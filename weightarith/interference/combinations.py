"""What is measured of several vectors: each alone, in pairs, all together, and what operators make of them.

A combination is a vector like any other: the strength multiplies the whole of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations as choose
from itertools import permutations
from pathlib import Path
from typing import Literal, cast, get_args

from weightarith.algebra import Linear, Number
from weightarith.errors import RecipeError, quoted
from weightarith.operators.table import OPERATORS
from weightarith.steer import WeightMethod
from weightarith.sweep.arm import Arm, files_identity, identity_of
from weightarith.sweep.named import names_in

Way = Literal["reject", "ties", "project"]
Made = Literal["alone", "sum", "reject", "ties", "project"]
WAYS: tuple[Way, ...] = get_args(Way)
"""What operators can make of several vectors."""
DENSITY = 0.2
"""What TIES keeps of each vector, as in its paper."""


@dataclass(frozen=True)
class Part:
    """One of the vectors.

    Attributes:
        label: what it is called, what it is multiplied by included.
        vector: what is applied at strength 1.
        identity: a hash of its files and of what it is multiplied by.
    """

    label: str
    vector: Linear
    identity: str


def part(vector: Linear, files: Sequence[Path], weight: Number = 1) -> Part:
    """Return a vector as it takes part.

    Args:
        vector: as its file holds it.
        files: what it is read from.
        weight: what it is multiplied by beside the others.

    Raises:
        RecipeError: the weight is 0, or no finite number.
    """
    if not weight:
        raise RecipeError("a weight of 0 leaves its vector out", hint="name the other vectors alone")
    used = vector if weight == 1 else weight * vector
    exact = str(Fraction(weight))
    return Part(str(used), used, identity_of({"files": files_identity(*files), "weight": exact}))


@dataclass(frozen=True)
class Combination:
    """A vector made of some of them.

    Attributes:
        way: how: `alone`, `sum`, or the operator.
        of: the labels of the vectors it is made of.
        vector: what is applied at strength 1.
        identity: a hash of all it is made of.
    """

    way: Made
    of: tuple[str, ...]
    vector: Linear
    identity: str

    @property
    def label(self) -> str:
        """What it is called: the expression that makes it."""
        return str(self.vector)

    @property
    def is_joint(self) -> bool:
        """Whether all its vectors are meant to act in it, so that their effects might add up."""
        return self.way in ("sum", "reject", "ties")

    def arm(self) -> Arm:
        """Return it as a way to steer, which holds the vector in memory once it has been used."""
        return Arm(WeightMethod(self.label, self.vector), self.identity)


def combinations(
    parts: Sequence[Part], ways: Sequence[Way] = ("reject", "ties"), *, density: float = DENSITY
) -> tuple[Combination, ...]:
    """Return every combination: each alone, sums of pairs and of all, and what each way makes of those.

    `reject` keeps one vector whole and adds of each further one what is at right angles to those before it,
    tensor by tensor: of a pair in both orders, of all in the order given. `ties` is TIES (arXiv 2306.01708)
    of pairs and of all. `project` is what one vector has along another, alone.

    Raises:
        RecipeError: fewer than two vectors, or two of one name.
    """
    labels = [one.label for one in parts]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise RecipeError(f"two vectors are called {quoted(twice[0])}", hint="rename one of their files")
    if len(parts) < 2:
        raise RecipeError("one vector alone has nothing to interfere with", hint="name two or more")
    groups = [list(pair) for pair in choose(parts, 2)] + [list(parts)] * (len(parts) > 2)
    found = [Combination("alone", (one.label,), one.vector, one.identity) for one in parts]
    found += [_made("sum", group, _sum([one.vector for one in group])) for group in groups]
    for way in ways:
        found += _of_way(way, parts, groups, density)
    return tuple(found)


def _of_way(
    way: Way, parts: Sequence[Part], groups: Sequence[list[Part]], density: float
) -> Iterator[Combination]:
    if way == "ties":
        for group in groups:
            merged = OPERATORS["ties"]([one.vector for one in group], density=density)
            yield _made("ties", group, merged, density)
    elif way == "project":
        for one, other in permutations(parts, 2):
            yield _made("project", [one, other], OPERATORS["project"](one.vector, onto=other.vector))
    else:
        orders = [list(pair) for group in groups if len(group) == 2 for pair in permutations(group)]
        for order in (*orders, *(group for group in groups if len(group) > 2)):
            yield _made("reject", order, _rejected([one.vector for one in order]))


def _rejected(vectors: Sequence[Linear]) -> Linear:
    """Return the first, and of each further one what is at right angles to those before it."""
    reject = OPERATORS["reject"]
    return _sum([vectors[0], *(reject(one, onto=vectors[:at]) for at, one in enumerate(vectors[1:], 1))])


def _sum(vectors: Sequence[Linear]) -> Linear:
    total = vectors[0]
    for one in vectors[1:]:
        total = total + one
    return total


def _made(way: Made, group: Sequence[Part], vector: Linear, density: float | None = None) -> Combination:
    parts = {"way": way, "of": [one.identity for one in group], "density": density}
    return Combination(way, tuple(one.label for one in group), vector, identity_of(parts))


def ways_named(text: str) -> tuple[Way, ...]:
    """Return the ways in a list with commas, or in the words all and none.

    Raises:
        RecipeError: one is unknown, or stands there twice.
    """
    return cast(tuple[Way, ...], names_in(text, WAYS, "way to combine"))
