"""How two displacements lie to each other: cosine, norms, norms of layers; products are never formed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from weightarith.algebra import Linear, collect
from weightarith.engine.visit import plan_of, visit
from weightarith.names import layer_of
from weightarith.operators.field import Field

OUTSIDE = "outside"


def geometry(positive: Linear, negative: Linear) -> dict[str, Any]:
    """Return what the displacements of two fine-tunes from their base have in common.

    The cosine comes from the three norms, ⟨p, n⟩ = (‖p‖² + ‖n‖² − ‖p − n‖²) / 2, each of them of factors in
    float64. Fierro and Roger (2025) subtract displacements whose cosine is high: most of a fine-tune is not
    the behaviour (arXiv 2511.05408).

    Returns:
        `cosine`; `positive`, `negative` and `vector`, norms; `ratio` of the first two; `layers`, the norms of
        each layer by its number, and of what is `outside` of them.
    """
    both = {"positive": positive, "negative": negative, "vector": positive - negative}
    squares = {name: _squares(one) for name, one in both.items()}
    totals = {name: math.fsum(found.values()) for name, found in squares.items()}
    norms = {name: math.sqrt(total) for name, total in totals.items()}
    inner = (totals["positive"] + totals["negative"] - totals["vector"]) / 2
    product = norms["positive"] * norms["negative"]
    return {
        "cosine": inner / product if product else None,
        **norms,
        "ratio": norms["positive"] / norms["negative"] if norms["negative"] else None,
        "layers": _by_layer(squares),
    }


def _squares(displacement: Linear) -> dict[str, float]:
    return visit(plan_of(collect(displacement.terms)), _square)


def _square(field: Field) -> float:
    (product,) = field.factors()
    if product is not None:  # ‖BA‖² = ⟨BᵀB, AAᵀ⟩, two small matrices
        left, right = product.left, product.right
        return max(float(((left.T @ left) * (right @ right.T)).sum()), 0.0)
    return math.fsum(float((values * values).sum()) for _, values in field.blocks())


def _by_layer(squares: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for kind, tensors in squares.items():
        for name, square in tensors.items():
            layer = layer_of(name)
            group = found.setdefault(OUTSIDE if layer is None else str(layer), dict.fromkeys(squares, 0.0))
            group[kind] += square
    ordered = sorted(found, key=lambda key: (key == OUTSIDE, int(key) if key != OUTSIDE else 0))
    return {key: {kind: math.sqrt(square) for kind, square in found[key].items()} for key in ordered}
