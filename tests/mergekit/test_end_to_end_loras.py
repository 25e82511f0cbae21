"""The same document through mergekit 0.1.5 and through our command: models with a LoRA on top, `model+lora`.

PEFT puts the LoRA on there, in the dtype of the model or another one that is asked for. Here it stays two
factors, and enters the sum as it is.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from tests.cli.conftest import Run
from tests.mergekit.both import assert_near, both, by_us, placed
from tests.reference import read, rounded

pytestmark = pytest.mark.oracle

DOCUMENTS = {
    "linear": """
models: [{model: $a, parameters: {weight: 0.3}}, {model: $base+$lora, parameters: {weight: 0.6}}]""",
    "ties": """
base_model: $base
parameters: {density: 0.5}
models: [{model: $a, parameters: {weight: 0.3}}, {model: $base+$lora, parameters: {weight: 0.6}}]""",
    "slerp": """
base_model: $base+$lora
models: [{model: $far}]
parameters: {t: [0.2, 0.7]}""",
    "task_arithmetic": """
base_model: $base
models:
- {model: $base+$lora, parameters: {weight: -0.6}}
- {model: $b+$lora, parameters: {weight: [0, 1]}}""",
    "passthrough": "models: [{model: $base+$lora}]",
    "passthrough, of slices": """
slices:
- sources: [{model: $a+$lora, layer_range: [0, 2]}]
- sources: [{model: $base+$lora, layer_range: [1, 4]}]""",
    "nuslerp, of slices": """
slices:
- sources:
  - {model: $a+$lora, layer_range: [0, 2], parameters: {weight: 1}}
  - {model: $far, layer_range: [0, 2], parameters: {weight: 2}}
- sources:
  - {model: $base+$lora, layer_range: [1, 3], parameters: {weight: 1}}
  - {model: $far, layer_range: [2, 4], parameters: {weight: 1}}""",
}


def document(kind: str, dtype: str = "dtype: float32") -> str:
    return f"merge_method: {kind.partition(',')[0]}\n{DOCUMENTS[kind]}\n{dtype}\n"


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_models_with_a_lora_merged_are_mergekits(kind: str, llamas: Path, tmp_path: Path, run: Run) -> None:
    found = both(document(kind), llamas, tmp_path, run)

    assert all("lora" not in name for name in found.ours)
    assert_near(found)


def test_a_lora_that_peft_wrote_is_what_peft_makes_of_it(llamas: Path, tmp_path: Path, run: Run) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    models = shutil.copytree(llamas, tmp_path / "models")
    shutil.rmtree(models / "lora")
    targets = ["q_proj", "down_proj"]
    config: Any = LoraConfig(
        r=4, lora_alpha=3, target_modules=targets, use_rslora=True, init_lora_weights=False
    )
    torch.manual_seed(0)
    get_peft_model(AutoModelForCausalLM.from_pretrained(models / "base"), config).save_pretrained(
        models / "lora"
    )

    found = both(document("passthrough"), models, tmp_path, run)

    assert_near(found)
    base = read(models / "base")
    changed = {name for name, raw in found.ours.items() if raw.data != base[name].data}
    assert changed == {name for name in base if name.removesuffix(".weight").endswith(tuple(targets))}


def test_with_a_model_of_sixteen_bits_it_is_mergekits_where_peft_is_asked_for_float32(
    llamas: Path, tmp_path: Path, run: Run
) -> None:
    text = document("task_arithmetic", "dtype: float32\nout_dtype: bfloat16")
    text = text.replace("$base", "$base16").replace("$b+", "$b16+")

    assert_near(both(text, llamas, tmp_path, run, lora_merge_dtype="float32"))


def test_a_lora_is_not_rounded_to_the_sixteen_bits_of_its_model_first(
    llamas: Path, tmp_path: Path, run: Run
) -> None:
    text = document("task_arithmetic", "dtype: float32\nout_dtype: bfloat16")
    text = placed(text.replace("$base", "$base16").replace("$b+", "$b16+"), llamas)
    name = "model.layers.3.mlp.down_proj.weight"
    factors = tiny.load(llamas / "lora")
    prefix = f"base_model.model.{name.removesuffix('.weight')}"
    b, a = (factors[f"{prefix}.lora_{side}.weight"].astype("f8") for side in "BA")

    found = read(by_us(text, tmp_path, run))[name].values

    base, other = (read(llamas / each)[name].values for each in ("base16", "b16"))
    exact = base - 0.6 * (2 * b @ a) + (other + 2 * b @ a - base)
    assert (found == rounded(exact, "BF16")).all()
