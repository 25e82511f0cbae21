"""A single-file adapter that does not say all, or says it twice, or is no plain LoRA, is refused by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny
from tests.stores import refused
from tests.test_kohya import DOWN, UNET, UP, Q, lora


def header(**settings: Any) -> dict[str, str]:
    return {"lora_adapter_metadata": json.dumps({f"unet.{key}": value for key, value in settings.items()})}


REFUSED: dict[str, tuple[tiny.Tensors, Mapping[str, str], int, str]] = {
    "a factor alone": ({f"{UNET}.lora_up.weight": UP}, {}, 3, f"'{UNET}.lora_up.weight' without its other"),
    "two spellings": (
        {"unet.q.lora_down.weight": DOWN, "unet.q.lora_B.weight": UP},
        {},
        3,
        "moves one weight twice, by 'unet.q.lora_B.weight' and by 'unet.q.lora_down.weight'",
    ),
    "factors and a difference": (
        lora(UNET) | {f"{UNET}.diff": UP @ DOWN},
        {},
        3,
        f"moves one weight twice, by '{UNET}.lora_down.weight' and by '{UNET}.diff'",
    ),
    "ranks that differ": (
        lora(UNET) | {f"{UNET}.lora_up.weight": np.ones((7, 3))},
        {},
        3,
        "is [7, 3], expected",
    ),
    "no matrix": (lora(UNET) | {f"{UNET}.lora_up.weight": np.ones(7)}, {}, 3, "is [7], expected a matrix"),
    "rank 0": (
        {f"{UNET}.lora_down.weight": np.ones((0, 5)), f"{UNET}.lora_up.weight": np.ones((7, 0))},
        {},
        3,
        "is [0, 5], expected a matrix",
    ),
    "a convolution of 1": (
        {
            f"{UNET}.lora_down.weight": DOWN.reshape(2, 5, 1, 1),
            f"{UNET}.lora_up.weight": UP.reshape(7, 2, 1, 1),
        },
        {},
        10,
        f"the factor '{UNET}.lora_down.weight' is [2, 5, 1, 1], expected a matrix: LoRA on convolutions",
    ),
    "an alpha of two": (
        lora(UNET) | {f"{UNET}.alpha": np.ones(2)},
        {},
        3,
        "as F64 [2], expected a single number",
    ),
    "an alpha that is no number": (
        lora(UNET, float("nan")),
        {},
        3,
        f"'{UNET}.alpha' is nan, expected a finite",
    ),
    "an alpha that is infinite": (lora(UNET, float("-inf")), {}, 3, "is -inf, expected a finite number"),
    "an alpha alone": (
        lora(UNET) | {"lora_unet_x.alpha": np.array(1.0)},
        {},
        3,
        "holds 'lora_unet_x.alpha' without factors to scale",
    ),
    "an alpha in the header alone": (
        lora(UNET),
        {"lora_alpha": "16"},
        10,
        f"no alpha tensor beside '{UNET}.lora_down.weight', and its header says 'lora_alpha' is '16'",
    ),
    "factors of integers": (
        {f"{UNET}.lora_down.weight": np.ones((2, 5), np.int64), f"{UNET}.lora_up.weight": UP},
        {},
        10,
        f"stores '{UNET}.lora_down.weight' as I64, expected F64, F32, F16 or BF16",
    ),
    "PEFT without settings": (
        lora("base_model.model.q", 1.0, spelling="PEFT"),
        {},
        3,
        "holds the LoRA factor 'base_model.model.q.lora_A.weight': its scale stands in adapter_config.json",
    ),
    "PEFT's names without prefix or scale": (
        lora(Q, spelling="PEFT"),
        {},
        3,
        f"the LoRA factor '{Q}.lora_A.weight'",
    ),
    "PEFT's names of GPT-2": (
        lora("transformer.h.0.attn.c_attn", spelling="PEFT"),
        {},
        3,
        "the LoRA factor 'transformer.h.0.attn.c_attn.lora_A.weight': its scale stands in",
    ),
    "a tensor of another kind": (
        lora(UNET) | {f"{UNET}.weight": np.ones((7, 5))},
        {},
        10,
        f"holds '{UNET}.weight', which is no part of a LoRA that is known here",
    ),
    "settings that are no JSON": (
        lora("unet.q", spelling="PEFT"),
        {"lora_adapter_metadata": "{"},
        3,
        "lora_adapter_metadata in its header: not valid JSON",
    ),
    "settings of no model": (
        lora("unet.q", spelling="PEFT"),
        {"lora_adapter_metadata": '{"r": 2}'},
        3,
        "sets 'r', expected settings such as 'transformer.r'",
    ),
    "DoRA by its settings": (
        lora("unet.q", spelling="PEFT"),
        header(r=2, lora_alpha=2, use_dora=True),
        10,
        "sets 'use_dora' to True: DoRA",
    ),
    "another rank than its settings": (
        lora("unet.q", spelling="PEFT"),
        header(r=4, lora_alpha=2),
        3,
        "'unet.q.lora_A.weight' is of the rank 2, and lora_adapter_metadata in the header gives this module "
        "the rank 4",
    ),
    "two scales": (
        lora("unet.q", 1.0, spelling="PEFT"),
        header(r=2, lora_alpha=2),
        3,
        "scales 'unet.q.lora_A.weight' by 0.5 in its alpha tensor and by 1 in lora_adapter_metadata",
    ),
    "transposed modules": (
        lora("unet.q", spelling="PEFT"),
        header(r=2, lora_alpha=2, fan_in_fan_out=True),
        10,
        "sets 'unet.fan_in_fan_out'",
    ),
}


@pytest.mark.parametrize("flaw", REFUSED)
def test_a_file_that_does_not_say_all_or_says_it_twice_is_refused_by_name(flaw: str, tmp_path: Path) -> None:
    tensors, metadata, exit_code, message = REFUSED[flaw]
    tiny.save(tmp_path / "x.safetensors", tensors, dtype="F64", metadata=metadata)

    error = refused(tmp_path / "x.safetensors")

    assert message in str(error)
    assert error.exit_code == exit_code
    assert str(tmp_path / "x.safetensors") in str(error)


@pytest.mark.parametrize(
    ("suffix", "what"),
    [
        ("lora_mid.weight", "the core of a LoRA on a convolution"),
        ("hada_w1_a", "a part of a LoHa"),
        ("lokr_w2", "a part of a LoKr"),
        ("dora_scale", "the magnitudes of DoRA"),
        ("oft_blocks", "a part of OFT or BOFT"),
        ("set_weight", "a weight to put in the place of the base's"),
        ("reshape_weight", "a new shape"),
        ("w_norm", "a norm trained with LyCORIS"),
        ("b_norm", "a norm trained with LyCORIS"),
        ("a1.weight", "a part of a GLoRA"),
        ("scalar", "a trained factor"),
        ("lora_up.bias", "a bias trained on the LoRA factors"),
        ("processor.to_q_lora.down.weight", "a factor under the name of an attention processor"),
    ],
)
def test_variants_are_refused_for_what_they_are_whether_alone_or_beside_factors(
    suffix: str, what: str, tmp_path: Path
) -> None:
    name = f"unet.mid.{suffix}"
    tiny.save(tmp_path / "alone.safetensors", {name: np.ones((2, 2))})
    tiny.save(tmp_path / "beside.safetensors", {name: np.ones((2, 2))} | lora("unet.other", 1.0))

    for file in ("alone", "beside"):
        error = refused(tmp_path / f"{file}.safetensors")
        assert f"holds '{name}', which is {what}" in str(error)
        assert error.exit_code == 10
