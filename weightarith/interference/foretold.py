"""What geometry says beforehand: lengths, cosines, signs and subspaces of vectors, and of their combinations.

In so many dimensions vectors that were trained for different things are almost at right angles. That is no
proof that they do not interfere, which is why it stands beside what is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations as choose
from typing import Any

from weightarith.geometry import gram, overlap, signs
from weightarith.geometry.told import told, told_by, told_overlap, told_signs
from weightarith.interference.combinations import Combination, Part

DIRECTIONS = 8
"""Directions of each matrix whose subspaces are compared, at most."""


def foretold(parts: Sequence[Part], *, directions: int = DIRECTIONS, threads: int = 0) -> dict[str, Any]:
    """Return what the geometry of vectors says, in all, by layer and by role.

    Factored vectors are not multiplied out, but for signs, block by block.

    Raises:
        WeightArithError: they do not fit together, or are damaged or not finite.
    """
    vectors, labels = [one.vector for one in parts], [one.label for one in parts]
    products = gram(vectors, labels=labels, threads=threads)
    pairs = list(choose(parts, 2))
    found = [
        told_overlap(overlap(one.vector, other.vector, directions=directions, threads=threads))
        for one, other in pairs
    ]
    return {
        "labels": labels,
        **told(products),
        "layers": told_by(products, "layer"),
        "roles": told_by(products, "role"),
        "signs": told_signs(signs(*vectors, labels=labels, threads=threads), "layer"),
        "overlap": [
            {"of": [one.label, other.label], **{key: each[key] for key in _MEANS}}
            for (one, other), each in zip(pairs, found, strict=True)
        ],
    }


def sizes(made: Sequence[Combination], *, threads: int = 0) -> dict[str, float]:
    """Return the norm of each combination by its label."""
    return {one.label: float(gram([one.vector], threads=threads).norms()[0]) for one in made}


_MEANS = ("matrices", "writing", "reading", "by_chance")
