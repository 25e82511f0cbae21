"""What every way of steering has in common: a name, and a model steered at a strength for a while."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from weightarith.lm import LanguageModel


class Method(Protocol):
    """A way to steer.

    Attributes:
        name: "contrast", "positive only", "activation, layer 12", …
        strengths: the only strengths there are, where the method has no dial (a prompt); empty otherwise.
    """

    name: str
    strengths: tuple[float, ...]

    def at(self, model: LanguageModel, strength: float) -> AbstractContextManager[LanguageModel]:
        """Return a context in which the model it gives is steered: positive strengths induce the behaviour.

        Strength 0 is the model itself. Leaving the context restores the network bit for bit.
        """
        ...
