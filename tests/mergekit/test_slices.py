"""Frankenmerges and merges by slice: documents of mergekit, and the recipes they become."""

from __future__ import annotations

import pytest

from tests.mergekit.documents import converted
from weightarith.recipe.strictyaml import read_yaml

CASES = {
    "two_models_interleaved": (
        """\
slices:
- sources:
  - model: Xwin-LM/Xwin-LM-70B-V0.1
    layer_range: [0, 16]
- sources:
  - model: Sao10K/Euryale-1.3-L2-70B
    layer_range: [8, 24]
- sources:
  - model: Xwin-LM/Xwin-LM-70B-V0.1
    layer_range: [17, 32]
merge_method: passthrough
dtype: float16
""",
        """\
# From a mergekit document, merge_method: passthrough.
# dtype: float16 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
# No base_model: config and tokenizer come from the first model. mergekit takes those of any,
# and may take another's in the next run.
weightarith: 1
inputs:
  Xwin_LM_70B_V0_1: Xwin-LM/Xwin-LM-70B-V0.1
  Euryale_1_3_L2_70B: Sao10K/Euryale-1.3-L2-70B
expression: |-
  stack(
    take(Xwin_LM_70B_V0_1, "0-15"),
    take(Euryale_1_3_L2_70B, "8-23"),
    take(Xwin_LM_70B_V0_1, "17-31")
  )
output:
  dtype: float16
  like: Xwin_LM_70B_V0_1
""",
    ),
    "one_model_made_deeper": (
        """\
slices:
  - sources:
    - model: mistralai/Mistral-7B-v0.1
      layer_range: [0, 24]
  - sources:
    - model: mistralai/Mistral-7B-v0.1
      layer_range: [8, 32]
merge_method: passthrough
dtype: bfloat16
""",
        """\
# From a mergekit document, merge_method: passthrough.
# dtype: bfloat16 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
weightarith: 1
inputs:
  Mistral_7B_v0_1: mistralai/Mistral-7B-v0.1
expression: stack(take(Mistral_7B_v0_1, "0-23"), take(Mistral_7B_v0_1, "8-31"))
output:
  dtype: bfloat16
  like: Mistral_7B_v0_1
""",
    ),
    "layers_that_go_on_are_taken_at_once": (
        """\
merge_method: passthrough
base_model: org/a
slices:
  - sources: [{model: org/a, layer_range: [0, 4]}]
  - sources: [{model: org/a, layer_range: [4, 8]}]
""",
        """\
# From a mergekit document, merge_method: passthrough.
weightarith: 1
inputs:
  base: org/a
expression: take(base, "0-7")
output:
  like: base
""",
    ),
    "blocks_expanded_by_blocks_that_do_nothing": (
        """\
merge_method: passthrough
slices:
  - sources: [{model: org/a, layer_range: [0, 4]}]
  - sources:
      - model: org/a
        layer_range: [3, 4]
        parameters:
          scale:
            - {filter: o_proj, value: 0.0}
            - {filter: down_proj, value: 0.0}
            - {value: 1.0}
  - sources: [{model: org/a, layer_range: [4, 8]}]
dtype: bfloat16
""",
        """\
# From a mergekit document, merge_method: passthrough.
# dtype: bfloat16 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
weightarith: 1
inputs:
  a: org/a
expression: |-
  stack(
    take(a, "0-3"),
    passthrough(take(a, "3"), scale=where("*o_proj*", 0.0, where("*down_proj*", 0.0, 1.0))),
    take(a, "4-7")
  )
output:
  dtype: bfloat16
  like: a
""",
    ),
    "the_same_merge_in_every_slice": (
        """\
merge_method: dare_ties
base_model: org/base
slices:
  - sources:
      - {model: org/base, layer_range: [0, 8]}
      - {model: org/a, layer_range: [0, 8]}
      - {model: org/b, layer_range: [0, 8]}
  - sources:
      - {model: org/base, layer_range: [8, 16]}
      - {model: org/c, layer_range: [4, 12]}
      - {model: org/b, layer_range: [8, 16]}
parameters: {weight: 0.5, density: 0.6}
dtype: bfloat16
""",
        """\
# From a mergekit document, merge_method: dare_ties.
# dtype: bfloat16 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
# seed: the masks are as likely as mergekit's, and not the same: they depend on the seed alone.
weightarith: 1
inputs:
  base: org/base
  a: org/a
  b: org/b
  c: org/c
expression: |-
  take(base, "0-15")
  + dare_ties(
    [
      stack(take(a, "0-7"), take(c, "4-11")) - take(base, "0-15"),
      take(b, "0-15") - take(base, "0-15")
    ],
    weights=[0.5, 0.5],
    density=0.6,
    normalize=false,
    rescale="l1",
    seed=0,
    compat="mergekit"
  )
output:
  dtype: bfloat16
  like: base
""",
    ),
    "weights_for_every_slice": (
        """\
base_model: mistralai/Mistral-7B-v0.1
dtype: bfloat16
merge_method: task_arithmetic
parameters: {int8_mask: 1.0, normalize: 0.0}
slices:
- sources:
  - layer_range: [0, 8]
    model: mistralai/Mistral-7B-v0.1
  - layer_range: [0, 8]
    model: org/WizardMath-7B-V1.1
    parameters: {weight: 0.4}
  - layer_range: [0, 8]
    model: org/shisa-gamma-7b-v1
    parameters: {weight: 0.8}
- sources:
  - layer_range: [8, 16]
    model: mistralai/Mistral-7B-v0.1
  - layer_range: [8, 16]
    model: org/WizardMath-7B-V1.1
    parameters: {weight: 0.1}
  - layer_range: [8, 16]
    model: org/shisa-gamma-7b-v1
    parameters: {weight: -0.2}
tokenizer_source: org/shisa-gamma-7b-v1
""",
        """\
# From a mergekit document, merge_method: task_arithmetic.
# dtype: bfloat16 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
weightarith: 1
inputs:
  base: mistralai/Mistral-7B-v0.1
  WizardMath_7B_V1_1: org/WizardMath-7B-V1.1
  shisa_gamma_7b_v1: org/shisa-gamma-7b-v1
let:
  slice_1: |-
    take(base, "0-7")
    + 0.4*(take(WizardMath_7B_V1_1, "0-7") - take(base, "0-7"))
    + 0.8*(take(shisa_gamma_7b_v1, "0-7") - take(base, "0-7"))
  slice_2: |-
    take(base, "8-15")
    + 0.1*(take(WizardMath_7B_V1_1, "8-15") - take(base, "8-15"))
    - 0.2*(take(shisa_gamma_7b_v1, "8-15") - take(base, "8-15"))
expression: stack(slice_1, slice_2)
output:
  dtype: bfloat16
  like: base
  tokenizer: shisa_gamma_7b_v1
""",
    ),
    "filters_that_name_layers": (
        """\
merge_method: linear
slices:
  - sources:
      - model: org/a
        layer_range: [8, 12]
        parameters: {weight: [{filter: layers.9., value: 2}, {value: 1}]}
      - model: org/b
        layer_range: [8, 12]
        parameters: {weight: 1}
  - sources:
      - model: org/a
        layer_range: [12, 24]
        parameters: {weight: [{filter: layers.2, value: 3}, {value: 1}]}
    parameters: {normalize: false}
""",
        """\
# From a mergekit document, merge_method: linear.
# No base_model: config and tokenizer come from the first model. mergekit takes those of any,
# and may take another's in the next run.
# filter 'layers.2': a part of a name, so layers 2, 20, 21, … all have it.
weightarith: 1
inputs:
  a: org/a
  b: org/b
let:
  slice_1: |-
    linear(
      [take(a, "8-11"), take(b, "8-11")],
      weights=[where("*layers.1.*", 2, 1), 1],
      normalize=true
    )
  slice_2: |-
    linear(
      [take(a, "12-23")],
      weights=[
        where(
          "*layers.8.*",
          3,
          where("*layers.9.*", 3, where("*layers.10.*", 3, where("*layers.11.*", 3, 1)))
        )
      ],
      normalize=false
    )
expression: stack(slice_1, slice_2)
output:
  like: a
""",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_document_becomes_a_recipe(name: str) -> None:
    document, recipe = CASES[name]

    assert converted(document) == recipe
    read_yaml(recipe, "recipe.yaml")
