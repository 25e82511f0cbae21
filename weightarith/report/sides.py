"""The two sides of a run beside its vector: cosines and norms by layer, and how many directions each takes.

Adapters stay factored. Of sides that were discarded, or need a base that is not here, the page says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from weightarith.algebra import Checkpoint, Linear, Vector
from weightarith.contrast import Run
from weightarith.geometry import OUTSIDE, Gram, gram, spectra
from weightarith.geometry.told import kept_by_direction
from weightarith.plots import heat_map
from weightarith.plots.vectors import kept_shares, layer_norms
from weightarith.report.figures import Figure, inline
from weightarith.report.weights import AFFORDABLE
from weightarith.store import open_source

if TYPE_CHECKING:
    from weightarith.geometry.products import Doubles

LABELS = ("τ⁺", "τ⁻", "vector")
PAIRS = ((0, 1), (0, 2), (1, 2))
ALL = "all"


@dataclass(frozen=True)
class Beside:
    """How the sides lie: drawings, and why there are none.

    Attributes:
        figures: in the order shown.
        missing: why there is nothing to draw, "" where there is.
    """

    figures: tuple[Figure, ...] = ()
    missing: str = ""


def beside(run: Run, vector: Vector) -> Beside:
    """Return how the two sides of a run lie to each other and to its vector.

    Raises:
        WeightArithError: a side is damaged, or does not fit on the vector.
    """
    found = opened(run)
    if isinstance(found, str):
        return Beside(missing=found)
    three: tuple[Linear, ...] = (*found, vector)
    products = gram(three, labels=LABELS)
    layers = products.by_layer()
    if not products.total().any():
        return Beside(missing="all of them are zero")
    figures = [_cosines(products, layers)]
    norms = _norms(products, layers)
    if any(layer.isdigit() for layer in layers):
        said = "The norm of each side and of the vector in each layer."
        figures.append(Figure(inline(layer_norms(norms, title=""), "sides-norms", said), said))
    shares = {
        label: kept_by_direction(spectra(one, work=AFFORDABLE).found)
        for label, one in zip(LABELS, three, strict=True)
    }
    if any(map(len, shares.values())):
        said = "The share of the squared norm in the strongest singular directions of every matrix."
        figures.append(Figure(inline(kept_shares(shares, title=""), "sides-spectrum", said), said))
    return Beside(tuple(figures))


def opened(run: Run) -> tuple[Linear, Linear] | str:
    """Return the displacements of the two sides from their base, or why there are none."""
    sides: list[Linear] = []
    for path in (run.positive, run.negative):
        if not path.exists() or (path.is_dir() and not any(path.iterdir())):
            return f"the {path.name} side was discarded, only the difference is in the folder"
        source = open_source(path)
        label = path.name
        if source.kind != "checkpoint" and not source.replaced:
            sides.append(Vector(source, label))
            continue
        if not Path(run.base).is_dir():
            return "the sides hold whole weights, and the model they were trained from is not here"
        base = Checkpoint.open(run.base, label="base")
        is_model = source.kind == "checkpoint"
        sides.append(Checkpoint(source, label) - base if is_model else Vector(source, label, base))
    return sides[0], sides[1]


def _cosines(products: Gram, layers: dict[str, Doubles]) -> Figure:
    """Return a row for each pair and a column for each layer, all parameters first."""
    tables = {ALL: products.total(), **layers}
    names = [name for name in tables if name != OUTSIDE] + [OUTSIDE] * (OUTSIDE in tables)
    values = [[_cosine(tables[name], *pair) for name in names] for pair in PAIRS]
    rows = [f"{LABELS[one]} and {LABELS[other]}" for one, other in PAIRS]
    drawn = heat_map(
        values, rows, names, title="Cosine by layer", legend="cosine", limits=(-1, 1), diverging=True
    )
    whole = ", ".join(
        f"{row} {_cosine(tables[ALL], *pair):.3f}" for row, pair in zip(rows, PAIRS, strict=True)
    ).replace("-", "−")
    said = (
        "Cosines, by layer, of what the positive side changed, τ⁺, the negative side, τ⁻, and the vector. "
        f"Over all parameters: {whole}."
    )
    return Figure(inline(drawn, "sides-cosines", said), said)


def _cosine(matrix: Doubles, one: int, other: int) -> float:
    product = math.sqrt(max(matrix[one, one], 0.0) * max(matrix[other, other], 0.0))
    return float(min(max(matrix[one, other] / product, -1.0), 1.0)) if product else math.nan


def _norms(products: Gram, layers: dict[str, Doubles]) -> dict[str, dict[str, float]]:
    return {
        label: {layer: math.sqrt(max(float(matrix[place, place]), 0.0)) for layer, matrix in layers.items()}
        for place, label in enumerate(products.labels)
    }
