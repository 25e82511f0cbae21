"""Spherical merges of mergekit: documents as they are found, and the recipes they become."""

from __future__ import annotations

import pytest

from tests.mergekit.documents import converted
from weightarith.recipe.strictyaml import read_yaml

CASES = {
    "slerp_with_filters_and_gradients": (
        """\
slices:
  - sources:
      - model: OpenPipe/mistral-ft-optimized-1218
        layer_range: [0, 32]
      - model: mlabonne/NeuralHermes-2.5-Mistral-7B
        layer_range: [0, 32]
merge_method: slerp
base_model: OpenPipe/mistral-ft-optimized-1218
parameters:
  t:
    - filter: self_attn
      value: [0, 0.5, 0.3, 0.7, 1]
    - filter: mlp
      value: [1, 0.5, 0.7, 0.3, 0]
    - value: 0.5
dtype: bfloat16
""",
        """\
# From a mergekit document, merge_method: slerp.
# dtype: bfloat16 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
# gradient: from the first layer to the last, straight lines between; `elsewhere` is for tensors
# outside the layers. mergekit gives them all the first value, final norm and head too.
weightarith: 1
inputs:
  base: OpenPipe/mistral-ft-optimized-1218
  NeuralHermes_2_5_Mistral_7B: mlabonne/NeuralHermes-2.5-Mistral-7B
expression: |-
  slerp(
    take(base, "0-31"),
    take(NeuralHermes_2_5_Mistral_7B, "0-31"),
    t=where(
      "*self_attn*",
      gradient(0, 0.5, 0.3, 0.7, 1, elsewhere=0),
      where("*mlp*", gradient(1, 0.5, 0.7, 0.3, 0, elsewhere=1), 0.5)
    ),
    compat="mergekit"
  )
output:
  dtype: bfloat16
  like: base
""",
    ),
    "slerp_with_one_number": (
        """\
models:
  - model: ./chat
  - model: ./code
merge_method: slerp
base_model: ./chat
dtype: float16
parameters:
  t: 0.35
""",
        """\
# From a mergekit document, merge_method: slerp.
# dtype: float16 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
weightarith: 1
inputs:
  base: ./chat
  code: ./code
expression: slerp(base, code, t=0.35, compat="mergekit")
output:
  dtype: float16
  like: base
""",
    ),
    "slerp_with_a_base_in_every_slice": (
        """\
merge_method: slerp
slices:
  - base_model: org/first
    sources:
      - {model: org/first, layer_range: [0, 12]}
      - {model: org/second, layer_range: [0, 12]}
    parameters: {t: 0.2}
  - base_model: org/second
    sources:
      - {model: org/first, layer_range: [12, 24]}
      - {model: org/second, layer_range: [12, 24]}
    parameters: {t: [0.2, 0.8]}
dtype: bfloat16
""",
        """\
# From a mergekit document, merge_method: slerp.
# dtype: bfloat16 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
# No base_model: config and tokenizer come from the first model. mergekit takes those of any,
# and may take another's in the next run.
# gradient: from the first layer to the last, straight lines between; `elsewhere` is for tensors
# outside the layers. mergekit gives them all the first value, final norm and head too.
weightarith: 1
inputs:
  first: org/first
  second: org/second
let:
  slice_1: slerp(take(first, "0-11"), take(second, "0-11"), t=0.2, compat="mergekit")
  slice_2: |-
    slerp(
      take(second, "12-23"),
      take(first, "12-23"),
      t=gradient(0.2, 0.8, elsewhere=0.2),
      compat="mergekit"
    )
expression: stack(slice_1, slice_2)
output:
  dtype: bfloat16
  like: first
""",
    ),
    "nuslerp_of_models": (
        """\
merge_method: nuslerp
models:
  - {model: org/a, parameters: {weight: 0.5}}
  - {model: org/b, parameters: {weight: 0.5}}
dtype: bfloat16
""",
        """\
# From a mergekit document, merge_method: nuslerp.
# dtype: bfloat16 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
# No base_model: config and tokenizer come from the first model. mergekit takes those of any,
# and may take another's in the next run.
weightarith: 1
inputs:
  a: org/a
  b: org/b
expression: nuslerp(a, b, weights=[0.5, 0.5], per="tensor", compat="mergekit")
output:
  dtype: bfloat16
  like: a
""",
    ),
    "nuslerp_of_columns": (
        """\
merge_method: nuslerp
base_model: org/base
models:
  - {model: org/a, parameters: {weight: [0, 1]}}
  - {model: org/b, parameters: {weight: [1, 0]}}
parameters:
  nuslerp_flatten: false
  nuslerp_row_wise: true
dtype: bfloat16
""",
        """\
# From a mergekit document, merge_method: nuslerp.
# dtype: bfloat16 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
# gradient: from the first layer to the last, straight lines between; `elsewhere` is for tensors
# outside the layers. mergekit gives them all the first value, final norm and head too.
# per: mergekit's nuslerp_row_wise means columns where it is true, and rows where it is false.
weightarith: 1
inputs:
  base: org/base
  a: org/a
  b: org/b
expression: |-
  base
  + nuslerp(
    a - base,
    b - base,
    weights=[gradient(0, 1, elsewhere=0), gradient(1, 0, elsewhere=1)],
    per="column",
    compat="mergekit"
  )
output:
  dtype: bfloat16
  like: base
""",
    ),
    "multislerp": (
        """\
merge_method: multislerp
models:
  - {model: org/a, parameters: {weight: 0.3}}
  - {model: org/b, parameters: {weight: 0.3}}
  - {model: org/c, parameters: {weight: 0.4}}
dtype: float32
out_dtype: bfloat16
""",
        """\
# From a mergekit document, merge_method: multislerp.
# dtype: float32 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
# No base_model: config and tokenizer come from the first model. mergekit takes those of any,
# and may take another's in the next run.
weightarith: 1
inputs:
  a: org/a
  b: org/b
  c: org/c
expression: multislerp([a, b, c], weights=[0.3, 0.3, 0.4], normalize=true, compat="mergekit")
output:
  dtype: bfloat16
  like: a
""",
    ),
    "karcher": (
        """\
merge_method: karcher
models:
  - model: org/a
  - model: org/b
  - model: org/c
parameters: {max_iter: 20, tol: 1e-6}
dtype: bfloat16
tokenizer_source: org/b
""",
        """\
# From a mergekit document, merge_method: karcher.
# dtype: bfloat16 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
# No base_model: config and tokenizer come from the first model. mergekit takes those of any,
# and may take another's in the next run.
weightarith: 1
inputs:
  a: org/a
  b: org/b
  c: org/c
expression: karcher([a, b, c], max_iter=20, tol=1e-6)
output:
  dtype: bfloat16
  like: a
  tokenizer: b
""",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_document_becomes_a_recipe(name: str) -> None:
    document, recipe = CASES[name]

    assert converted(document) == recipe
    read_yaml(recipe, "recipe.yaml")
