"""Two fine-tunes of one base that were taught opposites: what they share, and what tells them apart.

Most of a fine-tune is not the behaviour: the two displacements lie close together, and their difference is
what a contrast keeps. Fierro and Roger (2025), https://arxiv.org/abs/2511.05408
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from weightarith.algebra import Linear
from weightarith.engine.settings import Policy
from weightarith.geometry.gram import apart
from weightarith.geometry.products import OUTSIDE, Doubles, Gram, lengths


@dataclass(frozen=True)
class Sides:
    """What two displacements τ⁺ and τ⁻ have in common.

    Attributes:
        cosine: of the two; None where one is zero.
        positive: ‖τ⁺‖.
        negative: ‖τ⁻‖.
        difference: ‖τ⁺ − τ⁻‖.
        drift: ‖τ⁺ + τ⁻‖ / 2, what both were taught: format, length, manner.
        behaviour: ‖τ⁺ − τ⁻‖ / 2, what each was taught that the other was not.
    """

    cosine: float | None
    positive: float
    negative: float
    difference: float
    drift: float
    behaviour: float

    @property
    def ratio(self) -> float | None:
        """‖τ⁺‖ / ‖τ⁻‖; far from 1, one side was learnt much more. None where τ⁻ is zero."""
        return self.positive / self.negative if self.negative else None


def sides(
    positive: Linear,
    negative: Linear,
    *,
    policy: Policy | None = None,
    threads: int = 0,
    progress: Callable[[int], None] = lambda _moved: None,
) -> tuple[Sides, dict[str, Sides]]:
    """Return what the displacements of two fine-tunes from their base have in common, in all and by layer.

    Layers go by their number, what is `outside` of all comes first.

    Raises:
        WeightArithError: they are no vectors, do not fit together, or are damaged or not finite.
    """
    return sides_of(apart(positive, negative, policy=policy, threads=threads, progress=progress))


def sides_of(found: Gram) -> tuple[Sides, dict[str, Sides]]:
    """Return what `sides` does, of inner products by `gram.apart`."""
    return _sides(found.total()), {layer: _sides(each) for layer, each in found.by_layer().items()}


def _sides(matrix: Doubles) -> Sides:
    positive, negative, difference = map(float, lengths(matrix))
    inner = float(matrix[0, 1])
    product = positive * negative
    # ‖τ⁺ + τ⁻‖² + ‖τ⁺ − τ⁻‖² is twice the sum of the squares of the two
    drift = max(2 * (positive**2 + negative**2) - difference**2, 0.0) ** 0.5 / 2
    cosine = min(max(inner / product, -1.0), 1.0) if product else None
    return Sides(cosine, positive, negative, difference, drift, difference / 2)


def outside_last(layers: dict[str, Sides]) -> dict[str, Sides]:
    """Return layers in order, and what is outside of them last."""
    return dict(sorted(layers.items(), key=lambda item: item[0] == OUTSIDE))
