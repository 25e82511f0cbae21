"""What cannot be steered, or not with this vector, is said, and the network stays as it was."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.adapters import llama
from tests.steer.networks import left_as_it_was, small, write
from weightarith.algebra import Checkpoint
from weightarith.errors import (
    IncompatibleError,
    NonFiniteError,
    RecipeError,
    UnsupportedError,
    WeightArithError,
)
from weightarith.steer import steered

FLAT = torch.ones(6)


def refused(
    network: nn.Module, kind: type[WeightArithError], text: str, folder: Path, **tensors: Any
) -> WeightArithError:
    """Check what a vector of these tensors, dots written as two underscores, is refused with."""
    named = {name.replace("__", "."): values for name, values in tensors.items()} or {"norm.weight": FLAT}
    vector = write(folder / "v.safetensors", named)
    with left_as_it_was(network), pytest.raises(kind, match=text) as caught, steered(network, vector):
        pass
    return caught.value


def test_a_tensor_without_a_place_is_named_with_the_nearest(tmp_path: Path) -> None:
    network = small()

    error = refused(
        network, IncompatibleError, r"moves 'norn\.weight', which Small lacks \(nearest.*'norm\.weight'\)",
        tmp_path, norn__weight=FLAT, norm__weight=FLAT,
    )  # fmt: skip

    assert "another base" in error.hint
    refused(network, IncompatibleError, "moves 'norm.gain'", tmp_path, norm__gain=FLAT)
    refused(network, IncompatibleError, "moves 'plain.scale'", tmp_path, plain__scale=FLAT)
    refused(network, IncompatibleError, "moves 'weight'", tmp_path, weight=FLAT)


def test_an_all_zero_tensor_without_a_place_is_an_error_too(tmp_path: Path) -> None:
    refused(small(), IncompatibleError, "moves 'norn.weight'", tmp_path, norn__weight=0 * FLAT)


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("plain__weight", (6, 8), r"\[8, 6\] as in Small, found \[6, 8\]"),
        ("plain__bias", (6,), r"\[8\] as in Small, found \[6\]"),
        ("norm__weight", (5,), r"\[6\] as in Small, found \[5\]"),
    ],
)
def test_another_shape_is_named(tmp_path: Path, name: str, shape: tuple[int, ...], expected: str) -> None:
    text = f"tensor '{name.replace('__', '.')}': expected shape {expected}"

    refused(small(), IncompatibleError, text, tmp_path, **{name: torch.ones(shape)})


@pytest.mark.parametrize("strength", [math.nan, math.inf, -math.inf])
def test_a_strength_that_is_not_finite_is_refused_and_the_old_one_stays(
    tmp_path: Path, strength: float
) -> None:
    vector = write(tmp_path / "v.safetensors", {"norm.weight": FLAT})
    network = small()

    with pytest.raises(RecipeError, match="finite"), steered(network, vector, strength):
        pass
    with steered(network, vector, 0.5) as dial:
        with pytest.raises(RecipeError, match="finite"):
            dial.strength = strength
        assert dial.strength == 0.5
        with pytest.raises(RecipeError, match="fit in a float"):
            dial.strength = 10**400


def test_a_model_is_no_vector(tmp_path: Path) -> None:
    from tests import tiny

    base = Checkpoint.open(tiny.checkpoint(tmp_path / "base", tiny.weights()), label="base")

    with pytest.raises(RecipeError, match="'base' is a model") as caught, steered(small(), base):
        pass
    assert caught.value.hint == "subtract its base: model - base"


def test_the_further_name_of_a_shared_weight_alone_is_refused(tmp_path: Path) -> None:
    words = torch.ones(11, 6)
    text = "'head.weight' by itself, and in this network it is one weight with 'embed.weight'"

    error = refused(small(), IncompatibleError, text, tmp_path, head__weight=words)
    assert error.hint == "move 'embed.weight', and both will"
    refused(small(), IncompatibleError, text, tmp_path, head__weight=words, embed__weight=2 * words)
    refused(small(), IncompatibleError, text, tmp_path, head__weight=words, embed__weight=0 * words)


def test_numbers_that_are_not_finite_are_named(tmp_path: Path) -> None:
    refused(small(), NonFiniteError, "'norm.bias'", tmp_path, norm__bias=FLAT / 0)
    pair = (torch.full((8, 1), math.nan), torch.ones(1, 6))
    refused(small(), NonFiniteError, "'plain.weight'", tmp_path, plain__weight=pair)


def test_a_change_too_large_for_the_network_is_named(tmp_path: Path) -> None:
    large = torch.full((8, 6), 1e6)

    refused(
        small(torch.float16), NonFiniteError, "infinity as float16 at 'plain.weight'", tmp_path,
        plain__weight=large,
    )  # fmt: skip


def test_a_weight_in_few_bits_is_refused_by_dtype(tmp_path: Path) -> None:
    network = small()
    network.register_buffer("shift", torch.zeros(6, dtype=torch.int8))

    refused(
        network, UnsupportedError, "'shift' of Small is int8, and a vector moves it", tmp_path, shift=FLAT
    )


def test_a_weight_that_is_not_in_memory_is_refused(tmp_path: Path) -> None:
    network = small()
    network.plain.to("meta")

    with pytest.raises(UnsupportedError, match=r"'plain\.weight' of Small is not in memory"), steered(
        network, write(tmp_path / "v.safetensors", {"plain.weight": torch.ones(8, 6)})
    ):  # fmt: skip
        pass


def test_a_network_with_adapters_of_peft_is_refused(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped: Any = get_peft_model(llama(), LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"]))

    error = refused(wrapped, UnsupportedError, "carries a PEFT adapter", tmp_path)
    refused(wrapped.base_model.model, UnsupportedError, "carries a PEFT adapter", tmp_path)
    assert "adapter's folder as a vector" in error.hint


def test_a_compiled_network_is_refused(tmp_path: Path) -> None:
    inside = small()
    inside.compile(backend="eager")

    refused(inside, UnsupportedError, "Small is compiled", tmp_path)
    compiled: Any = torch.compile(small(), backend="eager")
    refused(compiled, UnsupportedError, "is compiled", tmp_path)
