"""A change held against known vectors: cosines, and how far they are above what chance gives.

Chance is that of control vectors, in closed form rather than by drawing some: copies of the known vector
whose every tensor is rotated at random, and copies whose every tensor has a random sign.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightarith.algebra import Checkpoint, Leaf, Linear, Vector
from weightarith.audit.finding import Finding, plain
from weightarith.audit.reading import Reading
from weightarith.audit.robust import chance_of_normal
from weightarith.errors import InvalidFileError, WeightArithError
from weightarith.geometry import Gram, gram
from weightarith.store import open_source
from weightarith.store.folder import SUFFIX
from weightarith.tensorfile.sniff import shown

LEAST = 0.05
"""The smallest cosine of a finding. On a model of 135 million weights unrelated fine-tunes had up to 0.02,
and two of the same data from other random starts 0.07."""


@dataclass(frozen=True)
class Match:
    """How a change lies to one known vector.

    Attributes:
        label: what the vector is called.
        cosine: over all parameters, −1 to 1.
        rotated: standard deviations above copies each tensor of which is rotated at random.
        signed: standard deviations above copies each tensor of which has a random sign.
        tensors: how many tensors both move.
        chance: how often a copy of either kind has as large a score, corrected for the number of vectors.
    """

    label: str
    cosine: float
    rotated: float
    signed: float
    tensors: int
    chance: float

    def to_json(self) -> dict[str, Any]:
        """Return the match as JSON has it."""
        return {key: plain(value) for key, value in vars(self).items()}


def find_known(
    path: Path, base: Checkpoint | None = None, *, label: str = ""
) -> tuple[list[Leaf], list[str]]:
    """Return the vectors and adapters in a folder, or at a path, and why others in it are none.

    Args:
        path: of a vector, an adapter or a folder of them.
        base: the model they are for, where an adapter holds fully trained tensors or names of its own.
        label: what the one at the path itself is called; the path where there is none.

    Raises:
        InvalidFileError: there is none.
    """
    try:
        own = open_source(path)
    except WeightArithError as error:
        if not path.is_dir():
            raise
        own, reason = None, str(error)
    if own is not None and own.kind != "checkpoint":
        return [Vector(own, label or str(path), base)], []
    found: list[Leaf] = []
    skipped: list[str] = []
    inside = sorted(path.iterdir()) if path.is_dir() else []
    for one in inside:
        if not one.is_dir() and not one.name.endswith(SUFFIX):
            continue
        try:
            source = open_source(one)
        except WeightArithError as error:
            skipped.append(f"{one.name}: {error.message}")
            continue
        if source.kind == "checkpoint":
            skipped.append(f"{one.name}: a model")
        else:
            found.append(Vector(source, one.name.removesuffix(SUFFIX), base))
    if not found:
        why = "; ".join(skipped) or (reason if own is None else "a model")
        raise InvalidFileError(f"{shown(path)} holds no vector and no adapter: {why}")
    return found, skipped


def match(
    change: Linear,
    known: Sequence[Leaf],
    shapes: Mapping[str, tuple[int, int]],
    *,
    threads: int = 0,
    progress: Callable[[int], None] = lambda _moved: None,
) -> list[Match]:
    """Return how a change lies to each of some known vectors, the likest first.

    Args:
        change: a displacement.
        known: vectors and adapters.
        shapes: rows and columns of every tensor of the change.
        threads: how many; 0 takes one a core.
        progress: called now and then with the bytes done so far.

    Raises:
        WeightArithError: they do not fit on each other.
    """
    labels = ("change", *(one.label for one in known))
    products = gram([change, *known], labels=labels, threads=threads, progress=progress)
    found = [
        _match(products, place, label, shapes, len(known)) for place, label in enumerate(labels) if place
    ]
    return sorted(found, key=lambda one: (-abs(one.cosine), one.label))


def _match(
    products: Gram, place: int, label: str, shapes: Mapping[str, tuple[int, int]], count: int
) -> Match:
    """Return one match.

    Rotated by Q and P at random, ⟨Δ, Q·V·P⟩ has mean 0 and variance ‖Δ‖²·‖V‖² / (m·n); with a random sign
    a tensor, the sum has mean 0 and variance Σ ⟨Δ, V⟩².
    """
    total = rotated = signed = 0.0
    both = 0
    for name, matrix in products.tensors.items():
        product, own, other = matrix[0, place], matrix[0, 0], matrix[place, place]
        if own > 0 and other > 0:
            rows, columns = shapes[name]
            total += product
            rotated += own * other / (rows * columns)
            signed += product**2
            both += 1
    cosine = float(products.cosines()[0, place])
    scores = [float(total / math.sqrt(one)) if one > 0 else 0.0 for one in (rotated, signed)]
    least = min(abs(score) for score in scores)
    return Match(label, cosine, scores[0], scores[1], both, min(chance_of_normal(least) * count, 1.0))


def known_findings(matches: Sequence[Match], reading: Reading) -> list[Finding]:
    """Return a finding for each known vector that the change is like, or opposite to, beyond chance.

    Fine-tunes of one base have a little in common whatever they teach, which no random copy has: so a cosine
    must also be larger than `LEAST`.
    """
    return [
        Finding(
            "known", one.label,
            f"the change has a cosine of {one.cosine:+.3f} with it over {one.tensors} tensors",
            f"{one.rotated:+.3g} standard deviations from rotated copies of it and {one.signed:+.3g} from "
            "copies of random signs",
            (), one.chance, {"cosine": one.cosine, "relative": abs(one.cosine)},
        )
        for one in matches
        if one.chance <= reading.share and abs(one.cosine) >= LEAST
    ]  # fmt: skip
