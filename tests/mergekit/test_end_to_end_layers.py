"""The same document through mergekit 0.1.5 and through our command: what varies by layers and by names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run
from tests.mergekit.both import assert_near, both, by_mergekit, by_us, placed
from tests.reference import read

pytestmark = pytest.mark.oracle

STACKS = {
    "two models": """
merge_method: passthrough
dtype: float32
slices:
- sources: [{model: $a, layer_range: [0, 3]}]
- sources: [{model: $b, layer_range: [1, 4]}]""",
    "models of different depths": """
merge_method: passthrough
dtype: float32
slices:
- sources: [{model: $deep, layer_range: [0, 4]}]
- sources: [{model: $b, layer_range: [1, 3]}]
- sources: [{model: $deep, layer_range: [2, 6]}]""",
    "one model, twice as deep": """
merge_method: passthrough
dtype: float32
slices:
- sources: [{model: $a, layer_range: [0, 3]}]
- sources: [{model: $a, layer_range: [1, 4]}]""",
    "fewer layers": """
merge_method: passthrough
dtype: float32
slices: [{sources: [{model: $a, layer_range: [0, 1]}]}, {sources: [{model: $a, layer_range: [3, 4]}]}]""",
    "as they are stored": """
merge_method: passthrough
slices:
- sources: [{model: $a16, layer_range: [0, 3]}]
- sources: [{model: $b16, layer_range: [1, 4]}]""",
}
LAYERED = {
    "blocks that do nothing": """
merge_method: passthrough
slices:
- sources: [{model: $a, layer_range: [0, 2]}]
- sources:
  - model: $a
    layer_range: [1, 3]
    parameters: {scale: [{filter: o_proj, value: 0.0}, {filter: down_proj, value: 0.0}, {value: 1.0}]}
- sources: [{model: $a, layer_range: [2, 4]}]""",
    "slices of a single layer": """
merge_method: linear
parameters: {weight: [1, 0.5, 2], normalize: true}
slices:
- sources: [{model: $a, layer_range: [0, 1]}, {model: $b, layer_range: [3, 4]}]
- sources: [{model: $a, layer_range: [1, 3]}, {model: $b, layer_range: [1, 3]}]""",
    "gradients by part": """
slices:
  - sources:
      - {model: $a, layer_range: [0, 4]}
      - {model: $far, layer_range: [0, 4]}
merge_method: slerp
base_model: $a
parameters:
  t:
    - {filter: self_attn, value: [0, 0.5, 0.3, 0.7, 1]}
    - {filter: mlp, value: [1, 0.5, 0.7, 0.3, 0]}
    - value: 0.5""",
    "gradients that begin anew in every slice": """
merge_method: slerp
base_model: $base
parameters: {t: [{filter: attn, value: [0, 0.5, 1]}, {filter: mlp, value: [1, 0.2]}, {value: [0.5, 0.7]}]}
slices:
- sources: [{model: $base, layer_range: [0, 3]}, {model: $far, layer_range: [0, 3]}]
- sources: [{model: $base, layer_range: [1, 4]}, {model: $far, layer_range: [1, 4]}]""",
    "weights for every slice": """
merge_method: task_arithmetic
base_model: $base
parameters: {lambda: 0.5}
slices:
- sources:
  - {model: $base, layer_range: [0, 2]}
  - {model: $b, layer_range: [0, 2], parameters: {weight: 0.4}}
  - {model: $c, layer_range: [0, 2], parameters: {weight: -0.5}}
- sources:
  - {model: $b, layer_range: [2, 4], parameters: {weight: 1.5}}
  - {model: $base, layer_range: [2, 4]}
  - {model: $c, layer_range: [2, 4], parameters: {weight: [1, 0]}}
  parameters: {lambda: 0.25}""",
    "trimmed slice by slice": """
merge_method: ties
base_model: $base
slices:
- sources:
  - {model: $base, layer_range: [0, 2]}
  - {model: $b, layer_range: [0, 2], parameters: {weight: 0.4, density: 0.3}}
  - {model: $c, layer_range: [0, 2], parameters: {weight: 0.5, density: [0.3, 0.8]}}
- sources:
  - {model: $b, layer_range: [2, 4], parameters: {weight: [1.5, 0.5], density: 0.6}}
  - {model: $base, layer_range: [2, 4]}
  - model: $c
    layer_range: [1, 3]
    parameters: {weight: 1, density: [{filter: layers.2., value: 0.9}, {value: 0.2}]}""",
    "the same merge in every slice": """
merge_method: ties
base_model: $base
parameters: {weight: [{filter: proj, value: 0.25}, {filter: norm, value: 0.5}, {value: 2}], density: 0.5}
slices:
- sources: [{model: $base, layer_range: [0, 2]}, {model: $b, layer_range: [0, 2]}]
- sources: [{model: $base, layer_range: [2, 4]}, {model: $c, layer_range: [1, 3]}]""",
    "a base for a slice": """
merge_method: slerp
base_model: $base
parameters: {t: 0.25}
slices:
- sources: [{model: $base, layer_range: [0, 2]}, {model: $far, layer_range: [0, 2]}]
- base_model: $c
  sources: [{model: $b, layer_range: [2, 4]}, {model: $c, layer_range: [2, 4]}]""",
    "other models in every slice": """
merge_method: karcher
slices:
- sources: [{model: $a, layer_range: [0, 2]}, {model: $far, layer_range: [0, 2]}]
- sources: [{model: $a, layer_range: [2, 4]}, {model: $b, layer_range: [2, 4]}]""",
    "one module of models": """
merge_method: ties
base_model: $base
modules:
  default:
    parameters: {density: 0.6}
    models: [{model: $a, parameters: {weight: 0.3}}, {model: $b, parameters: {weight: 0.2}}]""",
    "one module of slices": """
merge_method: nuslerp
base_model: $base
modules:
  default:
    slices:
    - parameters: {weight: 0.5}
      sources:
      - {model: $base, layer_range: [1, 3]}
      - {model: $a, layer_range: [0, 2]}
      - {model: $b, layer_range: [1, 3], parameters: {weight: [2, 3]}}""",
    "filters for layers": """
merge_method: linear
parameters:
  weight:
  - {filter: layers.0., value: 3}
  - {filter: layers.2.mlp, value: 2}
  - {filter: norm, value: 5}
  - {value: 1}
models: [{model: $a}, {model: $b, parameters: {weight: [{filter: embed, value: 7}]}}]""",
}


@pytest.mark.parametrize("name", STACKS)
def test_stacked_layers_are_those_of_the_models_bit_for_bit(
    name: str, llamas: Path, tmp_path: Path, run: Run
) -> None:
    found = both(STACKS[name], llamas, tmp_path, run)

    assert_near(found)
    assert all(raw == found.theirs[name] for name, raw in found.ours.items())


@pytest.mark.parametrize("name", LAYERED)
def test_what_varies_by_layer_and_name_is_mergekits(
    name: str, llamas: Path, tmp_path: Path, run: Run
) -> None:
    assert_near(both(LAYERED[name] + "\ndtype: float64", llamas, tmp_path, run))


@pytest.mark.parametrize("name", ["gradients by part", "trimmed slice by slice", "weights for every slice"])
def test_it_is_with_a_tied_head_too(name: str, qwens: Path, tmp_path: Path, run: Run) -> None:
    assert_near(both(LAYERED[name] + "\ndtype: float64", qwens, tmp_path, run))


def test_a_tied_model_is_stacked_bit_for_bit(qwens: Path, tmp_path: Path, run: Run) -> None:
    # as deep as before: mergekit 0.1.5 leaves layer_types as long as it was, which transformers refuses
    document = STACKS["two models"].replace("[1, 4]", "[3, 4]")

    found = both(document, qwens, tmp_path, run)

    assert_near(found)
    assert all(raw == found.theirs[name] for name, raw in found.ours.items())


def test_a_tied_model_is_stacked_deeper_than_mergekit_can(qwens: Path, tmp_path: Path, run: Run) -> None:
    from transformers import AutoModelForCausalLM

    text = placed(STACKS["two models"], qwens)
    with pytest.raises(Exception, match="num_hidden_layers"):
        by_mergekit(text, tmp_path)

    out = by_us(text, tmp_path, run)

    model, report = AutoModelForCausalLM.from_pretrained(out, output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert model.config.num_hidden_layers == len(model.config.layer_types) == 6


def test_blocks_that_write_nothing_leave_the_logits_as_they_are(
    llamas: Path, tmp_path: Path, run: Run
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    both(LAYERED["blocks that do nothing"] + "\ndtype: float32", llamas, tmp_path, run)

    tokens = torch.arange(12).reshape(1, 12)
    deep, plain = (
        AutoModelForCausalLM.from_pretrained(each)(tokens).logits.detach().numpy()
        for each in (tmp_path / "ours", llamas / "a")
    )
    assert len(read(tmp_path / "ours")) == 9 * 6 + 3
    assert np.array_equal(deep, plain)
