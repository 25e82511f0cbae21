"""Steering with a system prompt: one that asks for a behaviour, one for its opposite, and nothing between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from weightarith.errors import RecipeError, quoted
from weightarith.lm import LanguageModel
from weightarith.steer.weights import among


class PromptMethod:
    """A model behind one of two system prompts.

    Attributes:
        name: what results call it.
        positive: asks for the behaviour: strength 1.
        negative: asks for its opposite: strength −1.
        strengths: −1 and 1.
    """

    strengths: tuple[float, ...] = (-1.0, 1.0)

    def __init__(self, name: str, positive: str, negative: str) -> None:
        for side, prompt in (("positive", positive), ("negative", negative)):
            if not prompt.strip():
                raise RecipeError(f"the {side} prompt of {quoted(name)} is empty")
        self.name, self.positive, self.negative = name, positive, negative

    @contextmanager
    def at(self, model: LanguageModel, strength: float) -> Iterator[LanguageModel]:
        """Give the model behind the prompt of a strength, in place of any system prompt of its own.

        Raises:
            RecipeError: the strength is none of −1, 0 and 1.
        """
        chosen = among(self.name, self.strengths, strength)
        yield model.under(self.positive if chosen > 0 else self.negative) if chosen else model
