"""Which learning rate and which step are kept: those of the lowest validation loss, summed over the sides."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from weightarith.errors import NonFiniteError
from weightarith.train.fit import Fitted
from weightarith.train.settings import Settings


@dataclass(frozen=True)
class Chosen:
    """The learning rate and the step whose weights are kept, and the validation losses there, by side."""

    learning_rate: float
    step: int
    validation: tuple[float | None, ...]  # None where no rows validate


def choose(sides: Sequence[Mapping[float, Fitted]], settings: Settings) -> Chosen:
    """Return what is kept of trainings that are to share it, such as the two sides of a contrast.

    With patience every step that all sides looked at can be chosen, without it the last one alone. Of equal
    sums the lower rate and the earlier step are taken.

    Args:
        sides: of each, its trainings by learning rate.
        settings: theirs.

    Raises:
        NonFiniteError: none of the trainings came to a finite loss on every side.
    """
    found: list[tuple[float, float, int, tuple[float | None, ...]]] = []
    for rate in sorted(set.intersection(*(set(side) for side in sides))):
        fits = [side[rate] for side in sides]
        for step in _candidates(fits, settings):
            losses = tuple(dict(one.validation).get(step) for one in fits)
            finite = [loss for loss in losses if loss is not None]
            if len(finite) == len(fits) or not settings.validation:
                found.append((math.fsum(finite), rate, step, losses))
    if not found:
        raise NonFiniteError(
            f"training came to no finite loss at any of the learning rates {_listed(settings.rates)}",
            hint="try lower ones",
        )
    _, rate, step, losses = min(found)
    return Chosen(rate, step, losses)


def _candidates(fits: Sequence[Fitted], settings: Settings) -> list[int]:
    """Return the steps that may be kept: those whose weights every one of the trainings has."""
    saved = set(fits[0].saved)
    for one in fits:
        saved.intersection_update(one.saved)
    if settings.patience:
        for one in fits:
            saved.intersection_update(step for step, _ in one.validation)
        return sorted(saved)
    ended = [
        one.steps in saved and len(one.losses) == one.steps and one.losses[-1] is not None for one in fits
    ]
    return [fits[0].steps] if all(ended) else []


def _listed(rates: Sequence[float]) -> str:
    return ", ".join(f"{rate:g}" for rate in rates)
