"""PEFT folders are read as PEFT reads them, and what is no plain LoRA is refused by name."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny
from weightarith.adapter import AdapterContents, read_adapter
from weightarith.adapter.config import Patterns, read_settings
from weightarith.errors import WeightArithError
from weightarith.store import Factored, Matrix
from weightarith.tensorfile.model import Stored
from weightarith.tensorfile.reader import read_bytes

Q = "base_model.model.model.layers.0.self_attn.q_proj"
HEAD = "base_model.model.lm_head.weight"


def array(stored: Stored) -> tiny.Array:
    return np.frombuffer(read_bytes(stored), tiny.CODES[stored.info.dtype.code]).reshape(stored.info.shape)


def change(factored: Factored) -> tiny.Array:
    def read(matrix: Matrix) -> tiny.Array:
        values = array(matrix.stored)
        return values.T if matrix.transposed else values

    product = factored.scale * (read(factored.left) @ read(factored.right))
    assert product.shape == factored.shape
    return product


def applied(contents: AdapterContents, name: str, base: tiny.Array) -> tiny.Array:
    start = array(contents.replaced[name]) if name in contents.replaced else base
    return start + change(contents.factors[name]) if name in contents.factors else start


def llama(*, tied: bool = False, biased: bool = False) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=11,
            hidden_size=8,
            intermediate_size=12,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            tie_word_embeddings=tied,
            attention_bias=biased,
        )
    )


def gpt2() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=11, n_embd=8, n_layer=2, n_head=2, n_positions=8, bos_token_id=0, eos_token_id=1
        )
    )


def trained(model: Any, folder: Path, *, save_embeddings: bool | str = "auto", **settings: Any) -> Any:
    """Return `model` under a LoRA whose trained numbers are random, saved to `folder`, all in float64."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT warns of what the tests are about
        wrapped = get_peft_model(model.double(), LoraConfig(task_type="CAUSAL_LM", **settings)).double()
        with torch.no_grad():
            for parameter in wrapped.parameters():
                if parameter.requires_grad:
                    parameter.copy_(torch.randn_like(parameter))
        wrapped.save_pretrained(str(folder), save_embedding_layers=save_embeddings)
    return wrapped


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


def configure(folder: Path, **changes: Any) -> None:
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(
        json.dumps({key: value for key, value in config.items() if value != ...}), encoding="utf-8"
    )


def test_an_alpha_of_zero_is_a_scale_of_zero(tmp_path: Path) -> None:
    folder = tiny.adapter(tmp_path, alpha=0)

    assert {factored.scale for factored in read_adapter(folder).factors.values()} == {0.0}


def test_patterns_default_where_none_matches() -> None:
    assert Patterns({}, ()).at("lm_head", 3.0) == 3.0


@pytest.mark.parametrize(
    ("settings", "exit_code", "text"),
    [
        ({"peft_type": "LOHA"}, 10, "is a 'LOHA' adapter, expected LORA"),
        ({"peft_type": ...}, 3, "has no peft_type"),
        ({"use_dora": True}, 10, "sets 'use_dora' to True: DoRA"),
        ({"lora_bias": True}, 10, "sets 'lora_bias'"),
        ({"trainable_token_indices": [1, 2]}, 10, "single trained rows of an embedding"),
        ({"target_parameters": ["experts.gate_up_proj"]}, 10, "LoRA on bare parameters"),
        ({"layer_replication": [[0, 2], [1, 3]]}, 10, "replicated layers"),
        ({"megatron_config": {"a": 1}}, 10, "Megatron"),
        ({"alora_invocation_tokens": [1]}, 10, "acts on some tokens only"),
        ({"use_qalora": True}, 10, "QA-LoRA"),
        ({"arrow_config": {"top_k": 3}}, 10, "Arrow"),
        ({"init_lora_weights": "pissa"}, 10, "sets 'init_lora_weights' to 'pissa': training started from a"),
        ({"init_lora_weights": "pissa_niter_16"}, 10, "pissa_niter_16"),
        ({"init_lora_weights": "olora"}, 10, "path_initial_model_for_weight_conversion"),
        ({"init_lora_weights": "corda"}, 10, "'corda'"),
        ({"init_lora_weights": "lora_ga"}, 10, "'lora_ga'"),
        ({"init_lora_weights": "loftq"}, 10, "'loftq'"),
        ({"new_in_2031": 0.5}, 10, "sets 'new_in_2031' to 0.5: a setting that is not known here"),
        ({"bias": "some"}, 10, "sets 'bias' to 'some', expected none, all or lora_only"),
        ({"r": ...}, 3, "'r' is None, expected a whole number above 0"),
        ({"r": 0}, 3, "'r' is 0, expected a whole number above 0"),
        ({"r": 4.0}, 3, "'r' is 4.0"),
        ({"r": True}, 3, "'r' is True"),
        ({"r": 8}, 3, "of the rank 8 that adapter_config.json gives this module"),
        ({"rank_pattern": {"q_proj": 2}}, 3, "layers.0.self_attn.q_proj.lora_A.weight' is [4, 16]"),
        ({"lora_alpha": ...}, 3, "'lora_alpha' is None, expected a finite number"),
        ({"lora_alpha": float("nan")}, 3, "'lora_alpha' is nan"),
        ({"lora_alpha": float("inf")}, 3, "'lora_alpha' is inf"),
        ({"lora_alpha": 10**400}, 3, "'lora_alpha' is 1000"),
        ({"lora_alpha": "8"}, 3, "'lora_alpha' is '8'"),
        ({"use_rslora": "yes"}, 3, "'use_rslora' is 'yes', expected true or false"),
        ({"modules_to_save": "lm_head"}, 3, "'modules_to_save' is 'lm_head', expected a list"),
        ({"alpha_pattern": [1]}, 3, "'alpha_pattern' is [1], expected patterns with numbers"),
        ({"alpha_pattern": {"q_proj": None}}, 3, "'alpha_pattern[q_proj]' is None"),
        ({"alpha_pattern": {"q_proj(": 1}}, 3, "'q_proj(' in alpha_pattern is no pattern"),
        ({"alpha_pattern": {"(a+)+b": 1}}, 10, "matching it could take for ever"),
        ({"alpha_pattern": {".*.*.*.*.*": 1}}, 10, "matching it could take for ever"),
    ],
)
def test_settings_that_change_what_the_factors_mean_are_refused_by_name(
    settings: dict[str, Any], exit_code: int, text: str, tmp_path: Path
) -> None:
    folder = tiny.adapter(tmp_path)
    configure(folder, **settings)

    with pytest.raises(WeightArithError) as caught:
        read_adapter(folder)

    assert text in str(caught.value)
    assert str(folder) in str(caught.value)
    assert caught.value.exit_code == exit_code


@pytest.mark.parametrize(
    ("tensors", "settings", "exit_code", "text"),
    [
        ({f"{Q}.lora_A.weight": (4, 16)}, {}, 3, "q_proj.lora_A.weight' without its other factor"),
        ({f"{Q}.lora_B.weight": (16, 4)}, {}, 3, "q_proj.lora_B.weight' without its other factor"),
        (
            {f"{Q}.lora_A.weight": (4, 16), f"{Q}.lora_B.weight": (16, 2)},
            {},
            3,
            "expected (rank, in) and (out, rank)",
        ),
        ({f"{Q}.lora_A.weight": (64,), f"{Q}.lora_B.weight": (16, 4)}, {}, 3, "is [64], expected a matrix"),
        ({f"{Q}.lora_A.weight": (4, 0), f"{Q}.lora_B.weight": (16, 4)}, {}, 3, "is [4, 0], expected a"),
        (
            {f"{Q}.lora_A.weight": (4, 3, 1, 1), f"{Q}.lora_B.weight": (8, 4, 1, 1)},
            {},
            10,
            "LoRA on convolutions and on fused experts is not supported",
        ),
        ({f"{Q}.lora_magnitude_vector": (16,)}, {}, 10, "which is the magnitudes of DoRA"),
        ({f"{Q}.lora_magnitude_vector.weight": (16,)}, {}, 10, "which is the magnitudes of DoRA"),
        ({f"{Q}.lora_B.bias": (16,)}, {"bias": "all"}, 10, "other than its weight"),
        ({f"{Q}.lora_A.default.weight": (4, 16)}, {}, 10, "q_proj.lora_A.default.weight'"),
        (
            {"base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta": (2, 16)},
            {},
            10,
            "single trained rows",
        ),
        ({f"{Q}.bias": (16,)}, {}, 10, "q_proj.bias', which is no LoRA factor"),
        ({f"{Q}.bias": (16,)}, {"bias": "lora_only"}, 10, "q_proj.bias', which is no LoRA factor"),
        ({f"{Q}.base_layer.weight": (16, 16)}, {}, 10, "base_layer.weight', which is no LoRA factor"),
        ({f"{Q}.weight": (16, 16)}, {"modules_to_save": ["lm_head"]}, 10, "adapter_config.json does not"),
        ({f"{Q}.oft_R": (16, 16)}, {"modules_to_save": ["lm_head"]}, 10, "oft_R'"),
        (
            {"base_model.model.lm_head.original_module.weight": (40, 16)},
            {},
            10,
            "original_module.weight', which is no LoRA",
        ),
        ({HEAD: (40, 16), "base_model.model.lm_head.base_layer.weight": (40, 16)}, {}, 10, "base_layer"),
        (
            {
                "base_model.model.model.embed_tokens.lora_embedding_A": (4, 40),
                "base_model.model.model.embed_tokens.lora_embedding_B": (16, 4),
                "base_model.model.model.embed_tokens.base_layer.weight": (41, 16),
            },
            {},
            3,
            "is [41, 16], and the factors on top of it make [40, 16]",
        ),
        (
            {
                "base_model.model.lm_head.lora_A.weight": (4, 16),
                "base_model.model.lm_head.lora_B.weight": (40, 4),
                "base_model.model.lm_head.base_layer.weight": (40, 16),
                HEAD: (40, 16),
            },
            {},
            3,
            "holds 'lm_head.weight' twice",
        ),
        (
            {"model.layers.0.self_attn.q_proj.lora_A.weight": (4, 16)},
            {},
            10,
            "expected names that begin with",
        ),
        ({"lora_unet_down.lora_down.weight": (4, 16)}, {}, 10, "'base_model.model.'"),
        ({}, {}, 3, "holds no tensor"),
    ],
)
def test_tensors_that_are_not_understood_are_refused_by_name(
    tensors: dict[str, tuple[int, ...]], settings: dict[str, Any], exit_code: int, text: str, tmp_path: Path
) -> None:
    folder = tiny.adapter(tmp_path)
    tiny.save(
        folder / "adapter_model.safetensors", {name: np.zeros(shape) for name, shape in tensors.items()}
    )
    configure(folder, **settings)

    with pytest.raises(WeightArithError) as caught:
        read_adapter(folder)

    assert text in str(caught.value)
    assert caught.value.exit_code == exit_code


def test_a_trained_module_of_integers_is_refused(tmp_path: Path) -> None:
    folder = tiny.adapter(tmp_path)
    tiny.save(folder / "adapter_model.safetensors", {HEAD: np.zeros((2, 2), np.int64)})

    with pytest.raises(WeightArithError, match=r"stores 'base_model\.model\.lm_head\.weight' as I64"):
        read_adapter(folder)


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


@pytest.mark.parametrize("missing", ["adapter_config.json", "adapter_model.safetensors"])
def test_an_adapter_without_one_of_its_files_is_named(missing: str, tmp_path: Path) -> None:
    folder = tiny.adapter(tmp_path)
    (folder / missing).unlink()

    with pytest.raises(WeightArithError, match=f"is an adapter without '{missing}'") as caught:
        read_adapter(folder)

    assert caught.value.exit_code == 3


def test_a_pickled_adapter_is_refused(tmp_path: Path) -> None:
    folder = tiny.adapter(tmp_path)
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")

    with pytest.raises(WeightArithError, match="is a pickle") as caught:
        read_adapter(folder)

    assert caught.value.exit_code == 10
