"""What was found of several vectors, as plain numbers by name: what JSON, tables and pictures are made of.

What is not defined is None: a cosine with a vector of no length, signs where no element is moved by both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import zip_longest
from statistics import median
from typing import Any

from weightarith.geometry.overlap import Overlap
from weightarith.geometry.products import Doubles, Gram, layer_key, lengths, module_of
from weightarith.geometry.realised import Realised
from weightarith.geometry.sides import Sides
from weightarith.geometry.signs import Signs
from weightarith.geometry.spectrum import Spectrum
from weightarith.names import role_of

KEYS: Mapping[str, Callable[[str], str]] = {"layer": layer_key, "role": role_of, "module": module_of}
"""What tensors can be grouped by, and the group of a name."""

Table = list[list[float | None]]


def told(found: Gram) -> dict[str, Any]:
    """Return norms, their share in embeddings and head, inner products and cosines over all parameters."""
    share = found.share("embed", "head")
    return {
        **told_of(found, found.total()),
        "embeddings_and_head": dict(zip(found.labels, map(_finite, share), strict=True)),
        "tensors": len(found.tensors),
    }


def told_of(found: Gram, matrix: Doubles) -> dict[str, Any]:
    """Return norms, inner products and cosines of one group."""
    sizes = lengths(matrix)
    cosines = found.cosines(matrix)
    defined = [[bool(one and other) for other in sizes] for one in sizes]
    return {
        "norms": dict(zip(found.labels, map(_finite, sizes), strict=True)),
        "dot": table(matrix),
        "cosine": [
            [_finite(cosine) if there else None for cosine, there in zip(row, line, strict=True)]
            for row, line in zip(cosines, defined, strict=True)
        ],
    }


def told_by(found: Gram, kind: str) -> dict[str, Any]:
    """Return the same for each layer, role or module."""
    return {group: told_of(found, matrix) for group, matrix in found.by(KEYS[kind]).items()}


def told_signs(found: Signs, kind: str | None) -> dict[str, Any]:
    """Return the shares of elements that two vectors move the same way, in all and by group."""
    groups = {} if kind is None else {group: table(each) for group, each in found.by(KEYS[kind]).items()}
    return {"agreement": table(found.agreement()), **({"by": groups} if groups else {})}


def told_spectrum(found: Mapping[str, Spectrum]) -> dict[str, Any]:
    """Return how many directions the matrices of a vector amount to, and each matrix by name."""
    kept = kept_by_direction(found)
    ranks = [one.effective_rank for one in found.values()]
    return {
        "matrices": len(found),
        "effective_rank": median(ranks) if ranks else None,
        "stable_rank": median(one.stable_rank for one in found.values()) if ranks else None,
        "rank_for_90_percent": next((place for place, share in enumerate(kept, 1) if share >= 0.9), None),
        "kept": kept,
        "tensors": {
            name: {
                "rank": one.count,
                "effective_rank": one.effective_rank,
                "stable_rank": one.stable_rank,
                "values": [float(value) for value in one.values],
            }
            for name, one in found.items()
        },
    }


def kept_by_direction(found: Mapping[str, Spectrum]) -> list[float]:
    """Return the share of the squared norm of all matrices in the first i directions of each, i from 1."""
    squares = [[float(value) ** 2 for value in one.values] for one in found.values()]
    energies = [math.fsum(row) for row in zip_longest(*squares, fillvalue=0.0)]
    whole, held, shares = math.fsum(energies), 0.0, []
    for energy in energies:
        held += energy
        shares.append(min(held / whole, 1.0) if whole else 0.0)
    return shares


def told_overlap(found: Mapping[str, Overlap]) -> dict[str, Any]:
    """Return the mean overlap of two vectors over their matrices, and each matrix by name."""
    tensors = {
        name: {
            "writing": one.writing,
            "reading": one.reading,
            "by_chance": {"writing": one.by_chance[0], "reading": one.by_chance[1]},
            "directions": list(one.ranks),
            "cosines": {"writing": list(map(float, one.left)), "reading": list(map(float, one.right))},
        }
        for name, one in found.items()
    }
    chance = [one.by_chance for one in found.values()]
    return {
        "matrices": len(found),
        "writing": _mean([one.writing for one in found.values()]),
        "reading": _mean([one.reading for one in found.values()]),
        "by_chance": {
            "writing": _mean([writing for writing, _ in chance]),
            "reading": _mean([reading for _, reading in chance]),
        },
        "tensors": tensors,
    }


def told_sides(found: tuple[Sides, Mapping[str, Sides]]) -> dict[str, Any]:
    """Return what the two sides of a contrast have in common, in all and by layer."""
    whole, layers = found
    return {**_side(whole), "layers": {layer: _side(each) for layer, each in layers.items()}}


def told_realised(found: Realised, kind: str | None) -> dict[str, Any]:
    """Return what rounding leaves of a change, in all, by group, and of each tensor."""
    groups = {} if kind is None else {key: asdict(each) for key, each in found.by(KEYS[kind]).items()}
    return {
        **asdict(found.total()),
        **({"by": groups} if groups else {}),
        "tensors": {name: asdict(each) for name, each in found.by(str).items()},
    }


def table(matrix: Doubles | Sequence[Sequence[float]]) -> Table:
    """Return numbers row by row, None for those that are not finite."""
    return [[_finite(number) for number in row] for row in matrix]


def _side(one: Sides) -> dict[str, Any]:
    return {**asdict(one), "ratio": one.ratio}


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None


def _mean(numbers: Sequence[float]) -> float | None:
    return math.fsum(numbers) / len(numbers) if numbers else None
