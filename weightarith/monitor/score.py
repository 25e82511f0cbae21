"""How a change lies to each watched vector, and whether that is an alarm.

Tested is the cosine with v, or the gap cos(Δ, v) − cos(Δ, o) where v has an opposite o: what all fine-tunes
have in common cancels in it. It must be larger than random copies of the vectors explain, whichever kind of
copy explains most, and larger than the same number is of controls, which are trainings too; where there are
too few of them, than `INNOCENT`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from weightarith.geometry.products import lengths
from weightarith.monitor.chance import chance_in, chance_of_signs, needed_in, needed_of_signs, score_in
from weightarith.monitor.copies import DRAWN, TENSORS, Moments
from weightarith.monitor.known import Known, Watched
from weightarith.monitor.overlap import Doubles

FEWEST_CONTROLS = 2
"""Controls below which an alarm does not depend on them: one says nothing of how far controls spread."""

INNOCENT = 0.02
"""What an alarm must exceed without controls. It is a measured number, of one base (docs/monitor.md), and no
substitute for controls of one's own."""

FEWEST_TENSORS = 32
"""Tensors below which copies with the sign of whole tensors drawn are left out: they are too few to tell."""


@dataclass(frozen=True)
class Score:
    """How one change lies to one watched vector.

    Attributes:
        vector: the label of the vector.
        cosine: of the change with it, −1 to 1; None where the change is zero.
        gap: cos with it less cos with its opposite; None without an opposite.
        tested: the gap where there is one, else the cosine.
        z: deviations of what is tested above copies of the vectors, of the kind that explains most.
        kinds: the deviations above each kind of copy.
        chance: a bound on how often such copies do as well.
        copies: how often those drawn do; None where none were.
        controls_z: deviations above what is tested of controls, as Student's t; None for fewer than two.
        controls_chance: how often one more control comes to as much, as Student's t has it.
        band: what copies stay below at the rate of false positives, in units of what is tested.
        threshold: what must be exceeded for an alarm, in the same units; the band, or more with controls.
        alarm: whether it is.
    """

    vector: str
    cosine: float | None
    gap: float | None
    tested: float | None
    z: float | None
    kinds: dict[str, float]
    chance: float | None
    copies: float | None
    controls_z: float | None
    controls_chance: float | None
    band: float | None
    threshold: float | None
    alarm: bool

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {key: _plain(value) for key, value in vars(self).items()}


def score(found: Moments, known: Known, one: Watched, allowed: float) -> Score:
    """Return how a change lies to a watched vector.

    Args:
        found: what the change and all vectors have in common.
        known: all vectors.
        one: which of them is watched.
        allowed: how often this one test may sound an alarm by chance.
    """
    cosines = cosines_of(found, known)
    if cosines is None:
        return Score(one.label, None, None, None, None, {}, None, None, None, None, None, None, alarm=False)
    direction = known.direction(one)
    size = known.norm(direction)
    own, inner = math.sqrt(found.own), float(found.products @ direction)
    gap = None if one.sides is None else float(cosines[one.sides[0]] - cosines[one.sides[1]])
    if not size:  # a vector set against itself
        return Score(one.label, float(cosines[one.place]), 0.0, 0.0, 0.0, {}, 1.0, None, None, None, None,
                     None, alarm=False)  # fmt: skip
    deviations = _deviations(found, one, direction)
    widest = max(deviations.values(), default=0.0)
    z = inner / widest if widest else 0.0
    chance, band = chance_of_signs(z), needed_of_signs(allowed) * widest / own
    sample = tuple(known.of_controls(one).values())
    t = score_in(inner / own, sample)
    controls_chance = None if t is None else chance_in(t, len(sample))
    needed = needed_in(sample, allowed)
    threshold = max(band, INNOCENT if needed is None else needed)
    above = inner / own >= INNOCENT if controls_chance is None else controls_chance <= allowed
    loud = chance <= allowed and above
    return Score(
        one.label, float(cosines[one.place]), gap, inner / own, z,
        {kind: inner / each if each else 0.0 for kind, each in deviations.items()}, chance,
        _drawn(found, direction, inner, deviations), t, controls_chance, band, threshold, alarm=loud,
    )  # fmt: skip


def cosines_of(found: Moments, known: Known) -> Doubles | None:
    """Return the cosine of a change with every vector, None where the change is zero."""
    if found.own <= 0:
        return None
    return np.clip(found.products / (math.sqrt(found.own) * lengths(known.products.total())), -1.0, 1.0)


def _deviations(found: Moments, one: Watched, direction: Doubles) -> dict[str, float]:
    """Return the standard deviation of the inner product with each kind of copy."""
    places = (one.place,) if one.sides is None else one.sides
    few = max(found.moved[place] for place in places) < FEWEST_TENSORS
    return {
        kind: math.sqrt(max(float(direction @ square @ direction), 0.0))
        for kind, square in found.squares.items()
        if not (kind == TENSORS and few)
    }


def _drawn(found: Moments, direction: Doubles, inner: float, kinds: dict[str, float]) -> float | None:
    """Return how often drawn copies do as well as the vector, of the kind that does so most often."""
    shares = []
    for kind in DRAWN:
        copies = found.copies[kind] @ direction
        if kind in kinds and len(copies):
            shares.append((1 + int((copies >= inner).sum())) / (len(copies) + 1))
    return max(shares, default=None)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
