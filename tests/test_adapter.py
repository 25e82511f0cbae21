"""PEFT folders are read as PEFT reads them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny
from tests.adapters import HEAD, array, change, configure, gpt2, llama, trained
from weightarith.adapter import AdapterContents, read_adapter
from weightarith.adapter.config import Patterns, read_settings


def applied(contents: AdapterContents, name: str, base: tiny.Array) -> tiny.Array:
    start = array(contents.replaced[name]) if name in contents.replaced else base
    return start + change(contents.factors[name]) if name in contents.factors else start


VARIATIONS: dict[str, tuple[Any, dict[str, Any]]] = {
    "plain": (llama, {"target_modules": ["q_proj", "down_proj"], "r": 2, "lora_alpha": 3}),
    "every linear module": (llama, {"target_modules": "all-linear", "r": 3, "lora_alpha": 16}),
    "rank-stabilised": (llama, {"target_modules": ["q_proj"], "r": 3, "lora_alpha": 4, "use_rslora": True}),
    "patterns": (
        llama,
        {
            "target_modules": ["q_proj", "v_proj", "up_proj"],
            "r": 2,
            "lora_alpha": 4,
            "rank_pattern": {"layers.1.self_attn.q_proj": 3, r"model\.layers\.\d.mlp.up_proj": 1},
            "alpha_pattern": {r"^model\.layers\.0.*": 5, "self_attn.v_proj": 7, "up_proj": 9},
        },
    ),
    "patterns and rank-stabilised": (
        llama,
        {
            "target_modules": ["q_proj"],
            "r": 2,
            "use_rslora": True,
            "rank_pattern": {"0.self_attn.q_proj": 5},
            "alpha_pattern": {"1.self_attn.q_proj": 3},
        },
    ),
    "gaussian start": (llama, {"target_modules": ["q_proj"], "init_lora_weights": "gaussian"}),
    "orthogonal start": (llama, {"target_modules": ["q_proj"], "r": 2, "init_lora_weights": "orthogonal"}),
    "embedding": (llama, {"target_modules": ["q_proj", "embed_tokens"], "r": 2}),
    "embedding and head": (llama, {"target_modules": ["embed_tokens", "lm_head"], "r": 2, "lora_alpha": 3}),
    "Conv1D": (gpt2, {"target_modules": ["c_attn", "c_proj", "c_fc"], "r": 2, "lora_alpha": 5}),
    "trained head and norms": (
        llama,
        {"target_modules": ["q_proj"], "r": 2, "modules_to_save": ["lm_head", "input_layernorm"]},
    ),
    "trained block": (llama, {"target_modules": ["q_proj"], "r": 2, "modules_to_save": ["mlp"]}),
    "biases beside LoRA": (
        lambda: llama(biased=True),
        {"target_modules": ["q_proj"], "r": 2, "bias": "lora_only"},
    ),
    "all biases": (lambda: llama(biased=True), {"target_modules": ["q_proj"], "r": 2, "bias": "all"}),
    "Conv1D and its biases": (gpt2, {"target_modules": ["c_attn"], "r": 2, "bias": "lora_only"}),
    "tied, both trained": (
        lambda: llama(tied=True),
        {"target_modules": ["q_proj"], "r": 2, "modules_to_save": ["embed_tokens", "lm_head"]},
    ),
    "tied, embedding trained": (
        lambda: llama(tied=True),
        {"target_modules": ["q_proj"], "r": 2, "modules_to_save": ["embed_tokens"]},
    ),
    "trained embedding, embeddings saved again": (
        llama,
        {
            "target_modules": ["q_proj"],
            "r": 2,
            "modules_to_save": ["embed_tokens"],
            "save_embeddings": True,
        },
    ),
    "embeddings saved untrained": (llama, {"target_modules": ["q_proj"], "r": 2, "save_embeddings": True}),
}


@pytest.mark.oracle
@pytest.mark.parametrize("variation", VARIATIONS)
def test_base_and_adapter_make_what_peft_merges(variation: str, tmp_path: Path) -> None:
    make, settings = VARIATIONS[variation]
    model = make().double()
    base = {name: weight.detach().clone().numpy() for name, weight in model.state_dict().items()}
    wrapped = trained(model, tmp_path, **settings)

    contents = read_adapter(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # trained tied embeddings are no longer tied
        merged = {name: weight.numpy() for name, weight in wrapped.merge_and_unload().state_dict().items()}

    assert base.keys() >= contents.factors.keys() | contents.replaced.keys()
    for name, expected in merged.items():
        np.testing.assert_allclose(applied(contents, name, base[name]), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.oracle
def test_a_lora_on_embeddings_stored_by_position_is_read_transposed(tmp_path: Path) -> None:
    wrapped = trained(gpt2(), tmp_path, target_modules=["wte", "wpe", "c_attn"], r=2, lora_alpha=6)

    contents = read_adapter(tmp_path)

    modules = dict(wrapped.base_model.model.named_modules())
    assert {"transformer.wte.weight", "transformer.wpe.weight"} <= contents.factors.keys()
    for name, factored in contents.factors.items():
        expected = modules[name.removesuffix(".weight")].get_delta_weight("default").detach().numpy()
        np.testing.assert_allclose(change(factored), expected, rtol=1e-12)


@pytest.mark.oracle
def test_the_weight_under_a_lora_on_an_embedding_is_kept_beside_its_factors(tmp_path: Path) -> None:
    wrapped = trained(llama(tied=True), tmp_path, target_modules=["embed_tokens"], r=2)

    contents = read_adapter(tmp_path)

    name = "model.embed_tokens.weight"
    under = wrapped.base_model.model.model.embed_tokens.base_layer.weight.detach().numpy()
    assert contents.factors.keys() == contents.replaced.keys() == {name}
    np.testing.assert_array_equal(array(contents.replaced[name]), under)


@pytest.mark.oracle
@pytest.mark.parametrize(
    "patterns",
    [
        {},
        {"q_proj": 4},
        {"proj": 4},
        {"_proj": 4},
        {"layers.1.self_attn.q_proj": 4, "q_proj": 5},
        {"q_proj": 5, "layers.1.self_attn.q_proj": 4},
        {".*": 2, "q_proj": 3},
        {"^model.layers.[01].*q_proj": 6},
        {"(q|v)_proj": 6, "self_attn.v_proj": 7},
        {r"model\.layers\.1\.self_attn\.v_proj": 8},
        {"model.layers.0.mlp.experts.0+1": 9},
    ],
)
def test_the_pattern_that_counts_is_the_one_peft_takes(patterns: dict[str, int], tmp_path: Path) -> None:
    from peft.utils.other import get_pattern_key

    folder = tiny.adapter(tmp_path)
    configure(folder, rank_pattern=patterns)

    settings = read_settings(folder / "adapter_config.json")

    modules = [f"model.layers.{layer}.self_attn.{kind}_proj" for layer in (0, 1, 11) for kind in "qv"]
    for module in [*modules, "q_proj", "model.layers.0.mlp.experts.0+1", "lm_head"]:
        assert settings.rank_at(module) == patterns.get(get_pattern_key(list(patterns), module), 4)


@pytest.mark.oracle
def test_the_default_settings_of_peft_are_all_understood(tmp_path: Path) -> None:
    from peft import LoraConfig

    folder = tiny.adapter(tmp_path, rank=8)
    LoraConfig(r=8, lora_alpha=8, target_modules=["q_proj"]).save_pretrained(str(folder))

    assert len(read_adapter(folder).factors) == 14


def test_an_alpha_of_zero_is_a_scale_of_zero(tmp_path: Path) -> None:
    folder = tiny.adapter(tmp_path, alpha=0)

    assert {factored.scale for factored in read_adapter(folder).factors.values()} == {0.0}


def test_patterns_default_where_none_matches() -> None:
    assert Patterns({}, ()).at("lm_head", 3.0) == 3.0


def test_copies_that_peft_does_not_load_are_named_and_not_applied(tmp_path: Path) -> None:
    folder = tiny.adapter(tmp_path)
    kept = {
        "base_model.model.lm_head.modules_to_save.weight",
        "base_model.model.lm_head.original_module.weight",
    }
    tiny.save(folder / "adapter_model.safetensors", dict.fromkeys((HEAD, *kept), np.zeros((40, 16))))

    contents = read_adapter(folder)

    assert set(contents.copies) == kept
    assert contents.replaced["lm_head.weight"].info == contents.file.tensors[HEAD]


def test_a_trained_module_of_an_older_peft_is_read_without_its_wrapper(tmp_path: Path) -> None:
    folder = tiny.adapter(tmp_path)
    name = "base_model.model.score.modules_to_save.weight"
    tiny.save(folder / "adapter_model.safetensors", {name: np.zeros((2, 16))})

    assert read_adapter(folder).replaced.keys() == {"score.weight"}
