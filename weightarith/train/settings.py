"""How a model is fine-tuned, as one value: what training makes of a base and its rows depends on no more."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from weightarith.errors import RecipeError, quoted

Kind = Literal["lora", "bias", "full"]
Dtype = Literal["auto", "float32", "bfloat16"]

RATES: Mapping[Kind, tuple[float, ...]] = {"lora": (1e-4, 5e-4), "bias": (1e-3, 1e-2), "full": (1e-5, 5e-5)}
"""Learning rates that are tried where none are asked for."""


@dataclass(frozen=True)
class Settings:
    """How to train. The defaults are those of Fierro and Roger (2025), appendix, arXiv 2511.05408.

    Attributes:
        kind: `lora`, factors on every linear module; `bias`, a new bias on every MLP down projection and
            nothing else; `full`, all weights.
        rank: of the factors.
        alpha: the factors' product is multiplied by alpha over rank.
        dropout: on the input of the factors, 0 to 1.
        trained_whole: modules that are trained in full beside the factors: `embed_tokens`, `lm_head`.
        learning_rates: each is tried, and the one of the lowest validation loss is kept; none are those of
            `RATES`.
        epochs: passes over the training rows; the last step is filled up from the next pass.
        steps: optimiser steps, in place of `epochs`; 0 leaves it to those.
        batch: rows of a step, over all processes.
        accumulation: into how many parts a step is cut to save memory; the result is the same but for
            rounding.
        weight_decay: of AdamW, on matrices; biases and norms have none.
        warmup: steps in which the learning rate rises; it falls linearly to 0 afterwards.
        clip: the largest norm of a gradient.
        validation: the share of rows that no step sees, one row at least; 0 keeps none back.
        evaluate_every: steps between two looks at the validation loss; there is one after the last step too.
        patience: looks without a lower validation loss after which training stops; the step of the lowest one
            is kept. 0 trains to the end and keeps that.
        seed: of the factors' start, of the order of the rows and of which of them validate.
        dtype: in which the model computes and in which weights that are not trained are held; `auto` is
            bfloat16, float32 for `full`. What is trained is always held in float32.
        max_tokens: a longer row is an error.
        recompute: whether activations are computed again instead of kept; slower, in less memory.
        keep_checkpoints: whether the weights after 25, 50 and 75 % of the steps are kept.
    """

    kind: Kind = "lora"
    rank: int = 32
    alpha: float = 16
    dropout: float = 0.0
    trained_whole: tuple[str, ...] = ()
    learning_rates: tuple[float, ...] = ()
    epochs: float = 1.0
    steps: int = 0
    batch: int = 8
    accumulation: int = 1
    weight_decay: float = 0.01
    warmup: int = 5
    clip: float = 1.0
    validation: float = 0.05
    evaluate_every: int = 20
    patience: int = 2
    seed: int = 0
    dtype: Dtype = "auto"
    max_tokens: int = 2048
    recompute: bool = False
    keep_checkpoints: bool = False

    def __post_init__(self) -> None:
        """Refuse what means nothing.

        Raises:
            RecipeError: names the setting, its value, and what is expected.
        """
        for name, (low, high) in _RANGES.items():
            _check_number(name, getattr(self, name), low, high)
        for rate in self.learning_rates:
            _check_number("learning_rates", rate, 0, 1)
            if rate == 0:
                raise _wrong("learning_rates", rate, "numbers above 0")
        if len(set(self.learning_rates)) < len(self.learning_rates):
            raise _wrong("learning_rates", self.learning_rates, "each rate once")
        _check_word("kind", self.kind, get_args(Kind))
        _check_word("dtype", self.dtype, get_args(Dtype))
        _check_together(self)

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rates to try."""
        return self.learning_rates or RATES[self.kind]

    @property
    def computes_in(self) -> Literal["float32", "bfloat16"]:
        """The dtype that `dtype` means."""
        if self.dtype == "auto":
            return "float32" if self.kind == "full" else "bfloat16"
        return self.dtype

    def steps_for(self, rows: int) -> int:
        """Return the optimiser steps of a training on so many rows."""
        return self.steps or math.ceil(rows * self.epochs / self.batch)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON holds them, with the learning rates that are tried."""
        plain = asdict(self) | {"learning_rates": self.rates}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Settings:
        """Return the settings that `to_json` wrote.

        Raises:
            RecipeError: a setting is missing, unknown, or means nothing.
        """
        known = {field.name for field in fields(cls)}
        for key in (*sorted(known - content.keys()), *sorted(content.keys() - known)):
            raise RecipeError(f"the settings {'lack' if key in known else 'hold an unknown'} {quoted(key)}")
        plain: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in content.items()
        }
        return cls(**plain)


_MANY = 10**9
_RANGES: Mapping[str, tuple[float, float]] = {
    "rank": (1, 65536), "alpha": (1e-6, 1e6), "dropout": (0, 0.99), "epochs": (1e-6, 1e6),
    "steps": (0, _MANY),
    "batch": (1, _MANY), "accumulation": (1, _MANY), "weight_decay": (0, 10), "warmup": (0, _MANY),
    "clip": (1e-9, _MANY), "validation": (0, 0.9), "evaluate_every": (1, _MANY), "patience": (0, _MANY),
    "seed": (0, 2**32 - 1), "max_tokens": (2, _MANY),
}  # fmt: skip
_WHOLE = frozenset({
    "rank", "steps", "batch", "accumulation", "warmup", "evaluate_every", "patience", "seed", "max_tokens",
})  # fmt: skip


def _check_number(name: str, value: Any, low: float, high: float) -> None:
    kinds = (int,) if name in _WHOLE else (int, float)
    if not isinstance(value, kinds) or isinstance(value, bool) or not low <= value <= high:
        what = "a whole number" if name in _WHOLE else "a number"
        raise _wrong(name, value, f"{what} from {low:g} to {high:g}")


def _check_word(name: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise _wrong(name, value, f"one of {', '.join(known)}")


def _check_together(settings: Settings) -> None:
    if settings.batch % settings.accumulation:
        raise _wrong(
            "accumulation", settings.accumulation, f"a divisor of the batch of {settings.batch} rows"
        )
    if settings.trained_whole and settings.kind != "lora":
        raise _wrong("trained_whole", settings.trained_whole, "nothing where kind is not lora")
    if settings.validation == 0 and (len(settings.rates) > 1 or settings.patience):
        raise RecipeError(
            "without validation rows nothing can choose among learning rates or stop early",
            hint="give a single learning rate and a patience of 0, or validation rows",
        )


def _wrong(name: str, value: Any, expected: str) -> RecipeError:
    return RecipeError(f"the setting {name} is {quoted(str(value))}, expected {expected}")
