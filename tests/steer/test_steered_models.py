"""Models of transformers, steered live: what the package's own engine merges is the reference."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests import tiny
from tests.adapters import gpt2, trained
from tests.steer.networks import left_as_it_was, write
from tests.tinychat import instruct
from weightarith.algebra import Checkpoint, Linear, Vector
from weightarith.data import Conversation
from weightarith.lm import LanguageModel
from weightarith.lm.model import load
from weightarith.saving import save
from weightarith.steer import WeightMethod, negative_only, positive_only, steered

LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.fixture(scope="module")
def contrast(chat_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Vector, Vector]:
    """Two adapters of PEFT on every linear module, rank 3 and 2, with random numbers."""
    folder = tmp_path_factory.mktemp("adapters")
    for rank, side in ((3, "positive"), (2, "negative")):
        torch.manual_seed(rank)
        wrapped = trained(
            load(chat_folder).network, folder / side, r=rank, lora_alpha=1, target_modules=LINEARS
        )
        scaled = {name: values * 0.2 for name, values in tiny.load(folder / side).items()}
        tiny.save(folder / side / "adapter_model.safetensors", scaled, dtype="F32")
        del wrapped
    return Vector.open(folder / "positive"), Vector.open(folder / "negative")


def logits(model: LanguageModel) -> torch.Tensor:
    ids = model.prompt_tokens(Conversation.of("Is the earth flat? I think it is."))
    with torch.inference_mode():
        return torch.as_tensor(model.network(torch.tensor([ids])).logits).double()


def merged(base: Path, vector: Linear, strength: Any, out: Path, dtype: str = "auto") -> LanguageModel:
    save(Checkpoint.open(base) + strength * vector, out, overwrite=True)
    return load(out, dtype=dtype)


def far(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("strength", [Fraction(1, 3), -2, 1.5])
def test_a_contrast_of_adapters_steers_as_its_merge_does(
    chat: LanguageModel, chat_folder: Path, contrast: tuple[Vector, Vector], tmp_path: Path, strength: Any
) -> None:
    vector = contrast[0] - contrast[1]
    expected = logits(merged(chat_folder, vector, strength, tmp_path / "out"))

    with left_as_it_was(chat.network), steered(chat, vector, strength):
        found = logits(chat)

    assert far(found, expected) < 1e-5
    assert far(logits(chat), expected) > 1e-2


def test_a_fine_tune_less_its_base_moves_both_ends_of_a_tied_embedding_as_its_merge_does(
    chat: LanguageModel, chat_folder: Path, tmp_path: Path
) -> None:
    tuned = instruct(tmp_path / "tuned", seed=1)
    vector = Checkpoint.open(tuned) - Checkpoint.open(chat_folder)

    with left_as_it_was(chat.network), steered(chat, vector) as dial:
        assert far(logits(chat), logits(load(tuned))) < 1e-5
        dial.strength = 0.25
        assert far(logits(chat), logits(merged(chat_folder, vector, 0.25, tmp_path / "out"))) < 1e-5


def test_an_untied_head_moves_as_its_merge_does(tmp_path: Path) -> None:
    base, tuned = (instruct(tmp_path / str(seed), seed=seed, tied=False) for seed in (3, 4))
    vector, model = Checkpoint.open(tuned) - Checkpoint.open(base), load(base)

    with left_as_it_was(model.network), steered(model, vector, 0.5):
        assert far(logits(model), logits(merged(base, vector, 0.5, tmp_path / "out"))) < 1e-5


def test_in_bfloat16_steering_is_closer_to_the_change_in_float32_than_merging_is(
    contrast: tuple[Vector, Vector], tmp_path: Path
) -> None:
    base = instruct(tmp_path / "half", dtype="bfloat16")
    vector, strength = contrast[0] - contrast[1], Fraction(1, 30)  # changes of about a unit of a weight
    ids = torch.randint(3, 250, (16, 64), generator=torch.Generator().manual_seed(0))

    def said(model: LanguageModel) -> torch.Tensor:
        with torch.inference_mode():
            return torch.as_tensor(model.network(ids).logits).double()

    wide, half = load(base, dtype="float32"), load(base, dtype="bfloat16")
    truth, live = -said(wide), -said(half)
    rewritten = live + said(merged(base, vector, strength, tmp_path / "out"))
    with steered(wide, vector, strength), steered(half, vector, strength):
        truth, live = truth + said(wide), live + said(half)

    assert far(live, truth) < 0.95 * far(rewritten, truth)


def test_a_model_whose_folder_leaves_out_the_prefix_of_its_names_is_steered(tmp_path: Path) -> None:
    network = gpt2().eval()  # Conv1D, (columns, rows)
    random = np.random.default_rng(0)
    pair = random.standard_normal((8, 2)), random.standard_normal((2, 24))
    change = {"h.0.attn.c_attn.weight": pair, "wte.weight": random.standard_normal((11, 8))}
    ids = torch.tensor([[1, 5, 3]])
    vector = write(tmp_path / "v.safetensors", change)
    with left_as_it_was(network), torch.no_grad(), steered(network, vector, -0.5):
        found = network(ids).logits
    with torch.no_grad():
        network.transformer.h[0].attn.c_attn.weight -= 0.5 * torch.tensor(pair[0] @ pair[1])
        network.transformer.wte.weight -= 0.5 * torch.tensor(change["wte.weight"])
        assert far(found, network(ids).logits) < 1e-6


def test_stacked_experts_move_under_the_names_of_the_network(tmp_path: Path) -> None:
    from transformers import MixtralConfig, MixtralForCausalLM

    network = MixtralForCausalLM(
        MixtralConfig(
            vocab_size=11, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
            num_key_value_heads=1, num_local_experts=3,
        )
    ).eval()  # fmt: skip
    name = "model.layers.0.mlp.experts.down_proj"
    change = torch.randn(3, 8, 8)
    ids = torch.tensor([[1, 5, 3]])
    vector = write(tmp_path / "v.safetensors", {name: change})
    with left_as_it_was(network), torch.no_grad(), steered(network, vector, 2):
        found = network(ids).logits
    with torch.no_grad():
        network.get_parameter(name).add_(2 * change)
        assert far(found, network(ids).logits) < 1e-6


def test_a_weight_method_reads_its_vector_once(
    chat: LanguageModel, contrast: tuple[Vector, Vector], monkeypatch: pytest.MonkeyPatch
) -> None:
    vector = contrast[0] - contrast[1]
    method = WeightMethod("contrast", vector)
    with left_as_it_was(chat.network), method.at(chat, 0.5) as model:
        first = logits(model)
    monkeypatch.setattr("weightarith.steer.fitted.visit", None)

    with left_as_it_was(chat.network), method.at(chat, -0.5) as model:
        second = logits(model)
    with method.at(chat, 0.0) as model:
        assert torch.equal(logits(model), logits(chat))
    monkeypatch.undo()

    for found, strength in ((first, 0.5), (second, -0.5)):
        with steered(chat, vector, strength):
            assert torch.equal(logits(chat), found)
    assert method.strengths == ()


@pytest.mark.parametrize("strength", [-1.0, 0.5])
def test_the_sides_alone_have_the_sign_of_the_contrast(
    chat: LanguageModel, contrast: tuple[Vector, Vector], strength: float
) -> None:
    positive, negative = contrast
    for method, vector in ((positive_only(positive), positive), (negative_only(negative), -1 * negative)):
        with method.at(chat, strength), torch.inference_mode():
            found = logits(chat)
        with steered(chat, vector, strength):
            assert torch.equal(found, logits(chat))
    assert positive_only(positive).name == "positive only"
    assert negative_only(negative).name == "negative only"


def test_a_bias_of_its_own_for_every_down_projection_steers(chat: LanguageModel, tmp_path: Path) -> None:
    change = {f"model.layers.{layer}.mlp.down_proj.bias": np.full(32, 0.1 + layer) for layer in range(2)}
    with left_as_it_was(chat.network), steered(chat, write(tmp_path / "v.safetensors", change), -1):
        found = logits(chat)
    seen = [
        chat.network.model.layers[layer].mlp.down_proj.register_forward_hook(
            lambda _module, _given, output, layer=layer: output - (0.1 + layer)
        )
        for layer in range(2)
    ]
    expected = logits(chat)
    for handle in seen:
        handle.remove()

    assert far(found, expected) < 1e-6
    assert far(logits(chat), expected) > 1e-3
