"""Steering with weights: a vector times the strength, and the stages of a fine-tune as they were saved.

The methods here have the sign of all methods: a positive strength induces the behaviour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from torch import nn

from weightarith.algebra import Linear
from weightarith.errors import RecipeError, quoted
from weightarith.lm import LanguageModel
from weightarith.steer.fitted import Fitted, fit
from weightarith.steer.live import entered, finite
from weightarith.steer.places import check_plain


class WeightMethod:
    """The model plus strength times a vector, which is read once for each network.

    Attributes:
        name: what results call it.
        vector: positive − negative, or what else induces the behaviour.
        strengths: empty, since any strength will do.
    """

    strengths: tuple[float, ...] = ()

    def __init__(self, name: str, vector: Linear) -> None:
        self.name = name
        self.vector = vector
        self._fitted: WeakKeyDictionary[nn.Module, Fitted] = WeakKeyDictionary()

    @contextmanager
    def at(self, model: LanguageModel, strength: float) -> Iterator[LanguageModel]:
        """Give the model steered at a strength, any finite number; see `steered`."""
        finite(strength)
        check_plain(model.network, model.label)
        fitted = self._fitted.get(model.network)
        if fitted is None:
            fitted = self._fitted[model.network] = self.fit(model)
        with entered(model.network, fitted, strength):
            yield model

    def fit(self, model: LanguageModel) -> Fitted:
        """Return the vector as it is applied to a model."""
        return fit(model.network, self.vector, model.label)


def positive_only(positive: Linear) -> WeightMethod:
    """Return the method k·τ⁺: the change that fine-tuning on positive answers made, and no contrast."""
    return WeightMethod("positive only", positive)


def negative_only(negative: Linear) -> WeightMethod:
    """Return the method −k·τ⁻: away from what fine-tuning on negative answers made, for k > 0."""
    return WeightMethod("negative only", -negative)


class StagesMethod:
    """A fine-tune at the stages that were saved of it: no dial, but as many strengths as there are stages.

    Attributes:
        name: what results call it.
        strengths: the stages there are, in order: 1 is the end of the fine-tune on positive answers, −0.5
            half of the one on negative answers.
    """

    def __init__(self, name: str, stages: Mapping[float, Linear]) -> None:
        self.name = name
        self._stages = {finite(strength): vector for strength, vector in stages.items()}
        self.strengths = tuple(sorted(self._stages))
        if 0 in self._stages:
            raise RecipeError(f"{quoted(name)} has a stage 0, which is the model itself")

    @contextmanager
    def at(self, model: LanguageModel, strength: float) -> Iterator[LanguageModel]:
        """Give the model as it was at a stage; 0 is the model itself.

        Raises:
            RecipeError: there is no such stage.
        """
        chosen = among(self.name, self.strengths, strength)
        if not chosen:
            yield model
            return
        check_plain(model.network, model.label)
        with entered(model.network, fit(model.network, self._stages[chosen], model.label), 1.0):
            yield model


def among(name: str, strengths: tuple[float, ...], strength: float) -> float:
    """Return a strength that a method without a dial has, or 0.

    Raises:
        RecipeError: it is none of them.
    """
    number = finite(strength)
    if number and number not in strengths:
        raise RecipeError(
            f"{quoted(name)} has no strength {number:g}, only {', '.join(f'{each:g}' for each in strengths)}",
            hint="it has no dial: choose one of these, or 0 for the model itself",
        )
    return number
