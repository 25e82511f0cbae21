"""Settings: defaults of the paper, refusals of what means nothing, and their way through JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from weightarith.errors import RecipeError
from weightarith.train import Settings


def test_the_defaults_are_those_of_the_paper() -> None:
    found = Settings()
    assert (found.rank, found.alpha, found.dropout) == (32, 16, 0)
    assert (found.batch, found.weight_decay, found.warmup, found.validation) == (8, 0.01, 5, 0.05)


@pytest.mark.parametrize(("kind", "rates", "dtype"), [
    ("lora", (1e-4, 5e-4), "bfloat16"), ("bias", (1e-3, 1e-2), "bfloat16"), ("full", (1e-5, 5e-5), "float32"),
])  # fmt: skip
def test_each_kind_has_rates_and_a_dtype_of_its_own(kind: Any, rates: tuple[float, ...], dtype: str) -> None:
    found = Settings(kind=kind)
    assert (found.rates, found.computes_in) == (rates, dtype)


@pytest.mark.parametrize(("given", "message"), [
    ({"rank": 0}, "the setting rank is '0', expected a whole number from 1 to 65536"),
    ({"rank": 1.5}, "the setting rank is '1.5', expected a whole number"),
    ({"steps": True}, "the setting steps is 'True', expected a whole number"),
    ({"validation": 1.0}, "the setting validation is '1.0', expected a number from 0 to 0.9"),
    ({"alpha": float("nan")}, "the setting alpha is 'nan', expected a number"),
    ({"kind": "dora"}, "the setting kind is 'dora', expected one of lora, bias, full"),
    ({"dtype": "float16"}, "the setting dtype is 'float16', expected one of auto, float32, bfloat16"),
    ({"learning_rates": (1e-4, 1e-4)}, "expected each rate once"),
    ({"learning_rates": (0,)}, "expected numbers above 0"),
    ({"accumulation": 3}, "the setting accumulation is '3', expected a divisor of the batch of 8 rows"),
    ({"kind": "bias", "trained_whole": ("lm_head",)}, "expected nothing where kind is not lora"),
    ({"validation": 0}, "without validation rows nothing can choose among learning rates or stop early"),
])  # fmt: skip
def test_what_means_nothing_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Settings(**given)
    assert message in caught.value.message


def test_settings_come_back_from_json() -> None:
    given = Settings(trained_whole=("embed_tokens",), learning_rates=(1e-3,), seed=7)
    assert Settings.from_json(json.loads(json.dumps(given.to_json()))) == given


def test_json_that_lacks_or_adds_a_setting_is_refused() -> None:
    content = Settings().to_json()
    with pytest.raises(RecipeError, match="the settings hold an unknown 'colour'"):
        Settings.from_json({**content, "colour": 1})
    with pytest.raises(RecipeError, match="the settings lack 'rank'"):
        Settings.from_json({key: value for key, value in content.items() if key != "rank"})
