"""Single-file adapters of kohya's trainers, ComfyUI and diffusers mean what those programs make of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny
from tests.adapters import array, change, llama, trained
from weightarith.store import Source, onto, open_source

Q = "model.layers.0.self_attn.q_proj"
UNET = "lora_unet_mid_block_attentions_0_to_q"
RANDOM = np.random.default_rng(0)
DOWN, UP = RANDOM.standard_normal((2, 5)), RANDOM.standard_normal((7, 2))
SPELLINGS = {
    "kohya": ("lora_down.weight", "lora_up.weight"),
    "PEFT": ("lora_A.weight", "lora_B.weight"),
    "diffusers before PEFT": ("lora.down.weight", "lora.up.weight"),
    "text encoders before PEFT": ("lora_linear_layer.down.weight", "lora_linear_layer.up.weight"),
}


def lora(module: str, alpha: float | None = None, *, spelling: str = "kohya") -> tiny.Tensors:
    """Return the factors of one module, as a file names them."""
    down, up = SPELLINGS[spelling]
    found: tiny.Tensors = {f"{module}.{down}": DOWN, f"{module}.{up}": UP}
    return found if alpha is None else found | {f"{module}.alpha": np.array(alpha)}


def saved(path: Path, tensors: tiny.Tensors, metadata: Mapping[str, str] | None = None) -> Source:
    tiny.save(path, tensors, dtype="F64", metadata=metadata)
    return open_source(path)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(("alpha", "scale"), [(None, 1.0), (1.0, 0.5), (8.0, 4.0), (-3.0, -1.5), (0.0, 0.0)])
def test_the_scale_is_alpha_over_the_rank_and_one_where_there_is_no_alpha(
    spelling: str, alpha: float | None, scale: float, tmp_path: Path
) -> None:
    source = saved(tmp_path / "x.safetensors", lora(f"unet.{UNET}", alpha, spelling=spelling))

    (factored,) = source.factors.values()
    np.testing.assert_allclose(change(factored), scale * (UP @ DOWN), rtol=1e-14)
    assert (source.kind, source.own_names, factored.shape) == ("adapter", True, (7, 5))


@pytest.mark.parametrize(
    ("dtype", "alpha"), [("F64", 0.1), ("F32", 0.25), ("F16", 1.5), ("BF16", -1.5), ("BF16", 16.0)]
)
@pytest.mark.parametrize("shape", [(), (1,)])
def test_an_alpha_is_read_in_any_dtype(
    dtype: str, alpha: float, shape: tuple[int, ...], tmp_path: Path
) -> None:
    path = tmp_path / "x.safetensors"
    tiny.save(path, lora(UNET) | {f"{UNET}.alpha": np.full(shape, alpha)}, dtype=dtype)

    assert open_source(path).factors[f"{UNET}.weight"].scale == alpha / 2


def test_an_alpha_of_integers_is_read(tmp_path: Path) -> None:
    source = saved(tmp_path / "x.safetensors", lora(UNET) | {f"{UNET}.alpha": np.array(4)})

    assert source.factors[f"{UNET}.weight"].scale == 2.0


def test_differences_of_comfyui_are_dense_displacements_of_weights_and_biases(tmp_path: Path) -> None:
    module, convolution = "diffusion_model.blocks.0.proj", RANDOM.standard_normal((4, 3, 3, 3))
    tensors = {f"{module}.diff": convolution, f"{module}.diff_b": np.ones(4)}

    source = saved(tmp_path / "x.safetensors", tensors)

    assert (source.kind, source.factors) == ("vector", {})
    np.testing.assert_array_equal(array(source.tensors[f"{module}.weight"]), convolution)
    np.testing.assert_array_equal(array(source.tensors[f"{module}.bias"]), np.ones(4))


def test_a_bias_may_be_moved_beside_the_factors_of_its_weight(tmp_path: Path) -> None:
    source = saved(tmp_path / "x.safetensors", lora(UNET, 2.0) | {f"{UNET}.diff_b": np.ones(7)})

    assert (list(source.factors), list(source.tensors)) == ([f"{UNET}.weight"], [f"{UNET}.bias"])


def test_a_folder_with_one_adapter_file_of_diffusers_is_that_adapter(tmp_path: Path) -> None:
    tiny.save(tmp_path / "pytorch_lora_weights.safetensors", lora("unet.mid.to_q", spelling="PEFT"))
    (tmp_path / "README.md").write_text("a card", encoding="utf-8")

    assert open_source(tmp_path).kind == open_source(tmp_path, "vector").kind == "adapter"
    assert open_source(tmp_path).folder == tmp_path


@pytest.mark.oracle
@pytest.mark.parametrize("underscored", [True, False])
def test_base_and_a_file_of_kohya_make_what_peft_merges(underscored: bool, tmp_path: Path) -> None:
    model = llama().double()
    base = {name: weight.detach().clone().numpy() for name, weight in model.state_dict().items()}
    wrapped = trained(model, tmp_path / "peft", target_modules="all-linear", r=3, lora_alpha=16)
    tensors = tiny.load(tmp_path / "peft" / "adapter_model.safetensors")
    kohya: tiny.Tensors = {}
    for name, values in tensors.items():
        module, _, side = name.removeprefix("base_model.model.").removesuffix(".weight").rpartition(".")
        spelt = f"lora_te_{module.replace('.', '_')}" if underscored else f"text_encoder.{module}"
        kohya[f"{spelt}.{'lora_down' if side == 'lora_A' else 'lora_up'}.weight"] = values
        kohya[f"{spelt}.alpha"] = np.array(16.0)

    source = onto(saved(tmp_path / "x.safetensors", kohya), base.keys(), "base")

    merged = {name: weight.numpy() for name, weight in wrapped.merge_and_unload().state_dict().items()}
    assert len(source.factors) == 14
    for name, expected in merged.items():
        moved = change(source.factors[name]) if name in source.factors else 0
        np.testing.assert_allclose(base[name] + moved, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.oracle
@pytest.mark.parametrize(
    "settings",
    [
        {"lora_alpha": 8},
        {"lora_alpha": 8, "use_rslora": True},
        {"lora_alpha": 8, "alpha_pattern": {"q_proj": 5}, "rank_pattern": {"v_proj": 3}},
    ],
)
def test_a_file_of_diffusers_is_scaled_as_peft_scales_by_its_header(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    from peft import LoraConfig

    targets = ["q_proj", "v_proj"]
    wrapped = trained(llama(), tmp_path / "peft", target_modules=targets, r=2, **settings)
    tensors = {
        name.replace("base_model.model.", "transformer."): values
        for name, values in tiny.load(tmp_path / "peft" / "adapter_model.safetensors").items()
    }
    config = LoraConfig(target_modules=targets, r=2, **settings).to_dict()  # type: ignore[no-untyped-call]
    packed = {f"transformer.{key}": list(v) if isinstance(v, set) else v for key, v in config.items()}

    source = saved(tmp_path / "x.safetensors", tensors, {"lora_adapter_metadata": json.dumps(packed)})

    modules = dict(wrapped.base_model.model.named_modules())
    assert len(source.factors) == 4
    for name, factored in source.factors.items():
        module = modules[name.removeprefix("transformer.").removesuffix(".weight")]
        np.testing.assert_allclose(change(factored), module.get_delta_weight("default").detach(), rtol=1e-12)


def test_a_checkpoint_with_a_tensor_of_such_a_name_stays_a_checkpoint(tmp_path: Path) -> None:
    tensors = {"decoder.act.alpha": np.ones(3), "decoder.a1.weight": np.ones(3), "decoder.weight": np.ones(3)}

    assert saved(tmp_path / "x.safetensors", tensors).kind == "checkpoint"


def test_opening_a_single_file_imports_no_numbers(tmp_path: Path) -> None:
    tiny.save(tmp_path / "x.safetensors", lora(UNET, 1.0))
    program = (
        "import sys; from pathlib import Path; from weightarith.store import open_source\n"
        "open_source(Path(sys.argv[1])); print(*{'numpy', 'numba', 'torch'} & sys.modules.keys())"
    )

    printed = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "x.safetensors")],
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    assert printed.strip() == ""
