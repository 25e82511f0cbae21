"""Merges of task vectors: documents of mergekit as they are found, and the recipes they become."""

from __future__ import annotations

import pytest

from tests.mergekit.documents import converted
from weightarith.recipe.strictyaml import read_yaml

CASES = {
    "task_arithmetic_with_a_negative_weight": (
        """\
merge_method: task_arithmetic
base_model: meta-llama/Llama-2-7b-hf
models:
  - {model: meta-llama/Llama-2-7b-chat-hf, parameters: {weight: 1.0}}
  - {model: org/swallow, parameters: {weight: 0.7}}
  - {model: org/toxic, parameters: {weight: -0.25}}
parameters: {lambda: 0.9}
dtype: float32
out_dtype: bfloat16
""",
        """\
# From a mergekit document, merge_method: task_arithmetic.
# dtype: float32 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
weightarith: 1
inputs:
  base: meta-llama/Llama-2-7b-hf
  Llama_2_7b_chat_hf: meta-llama/Llama-2-7b-chat-hf
  swallow: org/swallow
  toxic: org/toxic
expression: |-
  base + 0.9*((Llama_2_7b_chat_hf - base) + 0.7*(swallow - base) - 0.25*(toxic - base))
output:
  dtype: bfloat16
  like: base
""",
    ),
    "task_arithmetic_by_layer": (
        """\
merge_method: task_arithmetic
base_model: org/base
models:
  - model: org/a
    parameters:
      weight:
        - filter: embed_tokens
          value: 0
        - value: [0, 0.5, 1]
parameters: {normalize: yes}
dtype: bfloat16
""",
        """\
# From a mergekit document, merge_method: task_arithmetic.
# dtype: bfloat16 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
# gradient: from the first layer to the last, straight lines between; `elsewhere` is for tensors
# outside the layers. mergekit gives them all the first value, final norm and head too.
weightarith: 1
inputs:
  base: org/base
  a: org/a
expression: |-
  base
  + task_arithmetic(
    [a - base],
    weights=[where("*embed_tokens*", 0, gradient(0, 0.5, 1, elsewhere=0))],
    normalize=true
  )
output:
  dtype: bfloat16
  like: base
""",
    ),
    "sce": (
        """\
merge_method: sce
base_model: org/base
models: [{model: org/a}, {model: org/b}]
parameters: {select_topk: 0.15}
dtype: float32
""",
        """\
# From a mergekit document, merge_method: sce.
# dtype: float32 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
# sce: models are weighed by the energy of what they change. mergekit weighs them all alike
# where mean squares add up to less than 1e-6, as they do in most fine-tunes.
weightarith: 1
inputs:
  base: org/base
  a: org/a
  b: org/b
expression: base + sce([a - base, b - base], select_topk=0.15, normalize=true)
output:
  dtype: float32
  like: base
""",
    ),
    "ram": (
        """\
merge_method: ram
base_model: org/base
models: [{model: org/a}, {model: org/b}]
""",
        """\
# From a mergekit document, merge_method: ram.
weightarith: 1
inputs:
  base: org/base
  a: org/a
  b: org/b
expression: base + ram([a - base, b - base], epsilon=1e-5)
output:
  like: base
""",
    ),
    "ramplus_tl": (
        """\
merge_method: ramplus_tl
base_model: org/base
models: [{model: org/a}, {model: org/b}]
parameters: {r: 0.15}
""",
        """\
# From a mergekit document, merge_method: ramplus_tl.
weightarith: 1
inputs:
  base: org/base
  a: org/a
  b: org/b
expression: base + ramplus([a - base, b - base], epsilon=1e-5, r=0.15, alpha=0.2)
output:
  like: base
""",
    ),
    "model_stock": (
        """\
models:
  - model: org/a
  - model: org/b
  - model: org/c
base_model: org/base
merge_method: model_stock
parameters:
  filter_wise: false
dtype: bfloat16
tokenizer_source: base
chat_template: auto
""",
        """\
# From a mergekit document, merge_method: model_stock.
# dtype: bfloat16 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
weightarith: 1
inputs:
  base: org/base
  a: org/a
  b: org/b
  c: org/c
expression: base + model_stock([a - base, b - base, c - base], per="tensor", compat="mergekit")
output:
  dtype: bfloat16
  like: base
  tokenizer: base
  chat_template: auto
""",
    ),
    "nearswap": (
        """\
merge_method: nearswap
base_model: org/base
models: [{model: org/base}, {model: org/a}]
parameters: {t: 0.0001}
""",
        """\
# From a mergekit document, merge_method: nearswap.
weightarith: 1
inputs:
  base: org/base
  a: org/a
expression: base + nearswap(a - base, t=0.0001, compat="mergekit")
output:
  like: base
""",
    ),
    "arcee_fusion": (
        """\
merge_method: arcee_fusion
base_model: org/base
models: [{model: org/a}]
dtype: bfloat16
""",
        """\
# From a mergekit document, merge_method: arcee_fusion.
# dtype: bfloat16 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
weightarith: 1
inputs:
  base: org/base
  a: org/a
expression: arcee_fusion(base, a)
output:
  dtype: bfloat16
  like: base
""",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_document_becomes_a_recipe(name: str) -> None:
    document, recipe = CASES[name]

    assert converted(document) == recipe
    read_yaml(recipe, "recipe.yaml")
