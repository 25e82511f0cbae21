"""A vector of chance: as large as another one at every tensor, and in no direction.

What it does to a model is what any change of that size does. Its numbers depend on the seed, the tensor's
name and the shapes alone, so on neither the order of the work nor threads.
"""

from __future__ import annotations

import hashlib

import torch

from weightarith.algebra import Linear
from weightarith.errors import RecipeError
from weightarith.lm import LanguageModel
from weightarith.operators.sketch import gaussian
from weightarith.steer.fitted import Delta, Dense, Factors, Fitted, fit
from weightarith.steer.weights import WeightMethod


class RandomMethod(WeightMethod):
    """A model plus strength times a random vector; see `random_like`."""

    def __init__(self, vector: Linear, seed: int) -> None:
        super().__init__(f"random, seed {seed}", vector)
        self.seed = seed

    def fit(self, model: LanguageModel) -> Fitted:
        """Return the random vector as it is applied to a model."""
        return fit(model.network, self.vector, model.label, lambda name, delta: drawn(delta, name, self.seed))


def random_like(vector: Linear, seed: int = 0) -> RandomMethod:
    """Return a method with a Gaussian vector of the Frobenius norm of `vector` at every tensor.

    Where `vector` is factored the random one is a product of Gaussian factors of the same rank; where it is
    zero, or has no tensor, so is the random one.

    Args:
        vector: what it is to be as large as.
        seed: not negative; every seed gives another vector.

    Raises:
        RecipeError: the seed is negative.
    """
    if seed < 0:
        raise RecipeError(f"a seed must not be negative, and this is {seed}")
    return RandomMethod(vector, seed)


def drawn(delta: Delta, name: str, seed: int) -> Delta:
    """Return a random displacement of the shape, rank and norm of `delta`, which is in float64."""
    made: Delta
    if isinstance(delta, Factors):
        left, right = (
            _gaussian(t, f"{name}::{side}", seed) for t, side in zip(delta.tensors, "BA", strict=True)
        )
        made = Factors(left, right)
        return Factors(left * (norm(delta) / norm(made)), right)
    made = Dense(_gaussian(delta.tensor, name, seed))
    return Dense(made.tensor * (norm(delta) / norm(made)))


def norm(delta: Delta) -> float:
    """Return the Frobenius norm; of a product, from the factors' small Gram matrices."""
    if isinstance(delta, Dense):
        return float(torch.linalg.vector_norm(delta.tensor))
    across, along = delta.left.T @ delta.left, delta.right @ delta.right.T  # (rank, rank)
    return float((across * along).sum().clamp(min=0).sqrt())


def _gaussian(like: torch.Tensor, name: str, seed: int) -> torch.Tensor:
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    found: torch.Tensor = gaussian(like.numel(), 1, key, seed, like.reshape(-1))
    return found.reshape(like.shape)
