"""PEFT folders that hold no plain LoRA are refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny
from tests.adapters import HEAD, configure
from weightarith.adapter import read_adapter
from weightarith.errors import WeightArithError

Q = "base_model.model.model.layers.0.self_attn.q_proj"


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
