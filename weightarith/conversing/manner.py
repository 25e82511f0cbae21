"""How both sides are asked: what can be changed while they talk."""

from __future__ import annotations

import math
from dataclasses import dataclass

from weightarith.errors import RecipeError

LONGEST = 32_768
"""Tokens of an answer, at most."""
SEEDS = 1 << 63


@dataclass(frozen=True)
class Manner:
    """The settings of a conversation.

    Attributes:
        strength: what the vector is multiplied by on the steered side; above 0 induces the behaviour.
        system: the system prompt of both sides; None leaves it to the chat template.
        limit: tokens of an answer, at most.
        temperature: 0 takes the likeliest token.
        seed: of what is drawn; with the number of the question it decides the answer.
        shared: whether the steered side goes on from the base's answers in place of its own.
    """

    strength: float = 1.0
    system: str | None = None
    limit: int = 200
    temperature: float = 0.0
    seed: int = 0
    shared: bool = False


def check(manner: Manner) -> Manner:
    """Return a manner that can be asked in.

    Raises:
        RecipeError: the strength is not finite, or the temperature below 0 or not finite.
    """
    if not math.isfinite(manner.strength):
        raise RecipeError(f"a strength is a finite number, found {manner.strength}")
    if not 0 <= manner.temperature < math.inf:
        raise RecipeError(f"a temperature is 0 or more, found {manner.temperature}")
    return manner
