"""How the two sides of a contrast lie to each other, as a run records it."""

from __future__ import annotations

from typing import Any

from weightarith.algebra import Linear
from weightarith.geometry import Sides, outside_last, sides


def geometry(positive: Linear, negative: Linear) -> dict[str, Any]:
    """Return what the displacements of two fine-tunes from their base have in common.

    Returns:
        `cosine`; `positive`, `negative` and `vector`, norms; `ratio` of the first two; `layers`, the norms of
        each layer by its number, and of what is `outside` of them.
    """
    found, layers = sides(positive, negative)
    return {
        "cosine": found.cosine,
        **_norms(found),
        "ratio": found.ratio,
        "layers": {layer: _norms(each) for layer, each in outside_last(layers).items()},
    }


def _norms(found: Sides) -> dict[str, float]:
    return {"positive": found.positive, "negative": found.negative, "vector": found.difference}
