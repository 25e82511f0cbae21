"""A loaded network steered by a number, no weight rewritten that can be left alone.

At a linear module the vector is added to what the module puts out, y + k·B(Ax), so a change of k costs
nothing and rounds no weight. arXiv 2511.05408, equation 1, without the merge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from weightarith.algebra import Linear, Number, exact
from weightarith.errors import RecipeError
from weightarith.lm import LanguageModel
from weightarith.steer.fitted import Delta, Fitted, fit
from weightarith.steer.moved import Moved, Share, join, leave
from weightarith.steer.places import Places, check_plain

Hook = Callable[[nn.Module, tuple[Any, ...], torch.Tensor], torch.Tensor | None]


class Steering:
    """The dial of a steered network.

    Attributes:
        strength: what the vector is multiplied by, to be set at will between passes; 0 is the network itself.
    """

    def __init__(self, strength: Number) -> None:
        self._strength = finite(strength)
        self._shares: list[tuple[Moved, Share]] = []

    @property
    def strength(self) -> float:
        """What the vector is multiplied by."""
        return self._strength

    @strength.setter
    def strength(self, strength: Number) -> None:
        self._strength = finite(strength)
        for moved, share in self._shares:
            share.strength = self._strength
            moved.settle()

    def hook(self, deltas: list[Delta]) -> Hook:
        """Return what adds `deltas` to the output of a linear module."""

        def add(_module: nn.Module, given: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor | None:
            if not self._strength:
                return None
            for delta in deltas:
                output = torch.add(output, delta.of(given[0]), alpha=self._strength)
            return output

        return add

    def move(self, tensor: torch.Tensor, holders: list[tuple[nn.Module, str]], delta: Delta) -> None:
        """Move a weight by `delta` at the strength of the dial."""
        share = Share(delta, self._strength)
        self._shares.append((join(tensor, holders, share), share))

    def release(self) -> None:
        """Put back what was moved."""
        while self._shares:
            leave(*self._shares.pop())


@contextmanager
def steered(model: LanguageModel | nn.Module, vector: Linear, strength: Number = 1.0) -> Iterator[Steering]:
    """Steer a model with a vector inside the context, and restore it bit for bit on leaving.

    The model is `model + strength · vector`, as merging would have it, without the merge: where the vector
    moves a linear module, its product with the input is added to the output, in the factors it is stored in.
    Other weights are computed anew when the strength changes. Contexts add up, and may be left in any order.

    Args:
        model: a language model, or a network of transformers, neither compiled nor with PEFT adapters.
        vector: anything that is a vector: `Vector.open(…)`, `positive - negative`, `finetuned - base`.
        strength: any finite number; positive induces, where the vector is positive − negative.

    Yields:
        The dial: `strength` can be set between passes.

    Raises:
        RecipeError: the sum is no vector, or the strength is not finite.
        IncompatibleError: the vector moves a tensor that the model lacks or has in another shape.
        UnsupportedError: a compiled network, PEFT adapters, or weights that cannot be moved.
    """
    network, label = (
        (model.network, model.label) if isinstance(model, LanguageModel) else (model, type(model).__name__)
    )
    finite(strength)
    check_plain(network, label)
    with entered(network, fit(network, vector, label), strength) as dial:
        yield dial


@contextmanager
def entered(network: nn.Module, fitted: Fitted, strength: Number) -> Iterator[Steering]:
    """Steer a network with a vector that fits it already; see `steered`."""
    dial, places = Steering(strength), Places(network, "the network")
    with ExitStack() as undo:
        undo.callback(dial.release)
        for owner, deltas in _by_owner(fitted.added).items():
            handle = network.get_submodule(owner).register_forward_hook(dial.hook(deltas))
            undo.callback(handle.remove)
        for name, delta in fitted.moved.items():
            owner, _, part = name.rpartition(".")
            tensor = getattr(network.get_submodule(owner), part)
            dial.move(tensor, places.holders(tensor), delta)
        yield dial


def finite(strength: Number) -> float:
    """Return a strength as a float.

    Raises:
        RecipeError: it is NaN, infinite, or larger than any float.
    """
    try:
        return float(exact(strength))
    except OverflowError:
        raise RecipeError(f"a strength must fit in a float, and {strength} does not") from None


def _by_owner(added: Mapping[str, Delta]) -> dict[str, list[Delta]]:
    found: dict[str, list[Delta]] = {}
    for name, delta in added.items():
        found.setdefault(name.rpartition(".")[0], []).append(delta)
    return found
