"""Ways to steer a loaded model by a number, and leave it as it was: weight vectors, activations, prompts."""

from weightarith.steer.activation import ActivationMethod
from weightarith.steer.activations import ActivationVectors, train_activation
from weightarith.steer.chance import RandomMethod, random_like
from weightarith.steer.live import Steering, steered
from weightarith.steer.method import Method
from weightarith.steer.prompt import PromptMethod
from weightarith.steer.weights import StagesMethod, WeightMethod, negative_only, positive_only

__all__ = [
    "ActivationMethod",
    "ActivationVectors",
    "Method",
    "PromptMethod",
    "RandomMethod",
    "StagesMethod",
    "Steering",
    "WeightMethod",
    "negative_only",
    "positive_only",
    "random_like",
    "steered",
    "train_activation",
]
