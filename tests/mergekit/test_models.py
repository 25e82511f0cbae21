"""Weighted sums, inputs and outputs: documents of mergekit, and the recipes they become."""

from __future__ import annotations

import pytest

from tests.mergekit.documents import converted
from weightarith.recipe.strictyaml import read_yaml

CASES = {
    "slices_of_one_module": (
        """\
merge_method: passthrough
modules:
  default:
    parameters: {scale: 0.5}
    slices:
      - sources: [{model: org/a, layer_range: [0, 2]}]
      - sources: [{model: org/b, layer_range: [2, 4]}]
""",
        """\
# From a mergekit document, merge_method: passthrough.
# No base_model: config and tokenizer come from the first model. mergekit takes those of any,
# and may take another's in the next run.
weightarith: 1
inputs:
  a: org/a
  b: org/b
expression: passthrough(stack(take(a, "0-1"), take(b, "2-3")), scale=0.5)
output:
  like: a
""",
    ),
    "linear": (
        """\
models:
  - model: org/a
    parameters: {weight: 1.0}
  - model: org/b
    parameters: {weight: 0.3}
  - model: org/c
    parameters: {weight: 0.5}
merge_method: linear
dtype: float16
""",
        """\
# From a mergekit document, merge_method: linear.
# dtype: float16 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
# No base_model: config and tokenizer come from the first model. mergekit takes those of any,
# and may take another's in the next run.
weightarith: 1
inputs:
  a: org/a
  b: org/b
  c: org/c
expression: linear([a, b, c], weights=[1.0, 0.3, 0.5], normalize=true)
output:
  dtype: float16
  like: a
""",
    ),
    "every_level_of_parameters": (
        """\
merge_method: linear
parameters:
  weight: [{filter: lm_head, value: 1}, {filter: mlp, value: 2}, {value: 3}]
  normalize: "false"
modules:
  default:
    models:
      - model: org/a
        parameters:
          weight: [{filter: mlp.down_proj, value: 0.5}, {filter: mlp, value: [0, 1]}]
      - model: org/b
""",
        """\
# From a mergekit document, merge_method: linear.
# No base_model: config and tokenizer come from the first model. mergekit takes those of any,
# and may take another's in the next run.
# gradient: from the first layer to the last, straight lines between; `elsewhere` is for tensors
# outside the layers. mergekit gives them all the first value, final norm and head too.
weightarith: 1
inputs:
  a: org/a
  b: org/b
expression: |-
  linear(
    [a, b],
    weights=[
      where(
        "*mlp.down_proj*",
        0.5,
        where("*mlp*", gradient(0, 1, elsewhere=0), where("*lm_head*", 1, 3))
      ),
      where("*lm_head*", 1, where("*mlp*", 2, 3))
    ],
    normalize=false
  )
output:
  like: a
""",
    ),
    "a_revision_and_a_lora": (
        """\
merge_method: task_arithmetic
base_model: meta-llama/Llama-3.1-8B@0e9e39f
models:
  - {model: meta-llama/Llama-3.1-8B@0e9e39f+org/lora-r64@v2, parameters: {weight: 0.5}}
  - {model: meta-llama/Llama-3.1-8B-Instruct+org/lora-r64@v2, parameters: {weight: 0.5}}
dtype: bfloat16
""",
        """\
# From a mergekit document, merge_method: task_arithmetic.
# dtype: bfloat16 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
weightarith: 1
inputs:
  base: meta-llama/Llama-3.1-8B@0e9e39f
  lora_r64_of_Llama_3_1_8B: {adapter: org/lora-r64@v2, base: base}
  Llama_3_1_8B_Instruct: meta-llama/Llama-3.1-8B-Instruct
  lora_r64_of_Llama_3_1_8B_Instruct: {adapter: org/lora-r64@v2, base: Llama_3_1_8B_Instruct}
expression: |-
  base
  + 0.5*((base + lora_r64_of_Llama_3_1_8B) - base)
  + 0.5*((Llama_3_1_8B_Instruct + lora_r64_of_Llama_3_1_8B_Instruct) - base)
output:
  dtype: bfloat16
  like: base
""",
    ),
    "a_document_as_mergekit_writes_it": (
        """\
base_model:
  model: {path: org/base, revision: null}
  lora: null
  override_architecture: null
merge_method: ties
models:
- model:
    model: {path: org/a, revision: main}
    lora: {path: org/adapter}
  parameters: {weight: 1.0, density: 0.5}
parameters: {normalize: 0.0, rescale: true}
tokenizer: {source: base}
dtype: torch.bfloat16
""",
        """\
# From a mergekit document, merge_method: ties.
# dtype: bfloat16 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
weightarith: 1
inputs:
  base: org/base
  a: org/a@main
  adapter: {adapter: org/adapter, base: a}
expression: |-
  base
  + ties(
    [(a + adapter) - base],
    weights=[1.0],
    density=0.5,
    normalize=false,
    rescale="l1",
    compat="mergekit"
  )
output:
  dtype: bfloat16
  like: base
  tokenizer: base
""",
    ),
    "paths_that_share_a_name": (
        """\
merge_method: linear
models:
  - {model: ./runs/1/final, parameters: {weight: 1}}
  - {model: ./runs/2/final, parameters: {weight: 1}}
  - {model: org/model@main, parameters: {weight: 1}}
  - {model: org/model@v1.0, parameters: {weight: 1}}
  - {model: "./my models/слияние #2", parameters: {weight: 1}}
  - {model: ../7b, parameters: {weight: 1}}
  - {model: ties, parameters: {weight: 1}}
""",
        """\
# From a mergekit document, merge_method: linear.
# No base_model: config and tokenizer come from the first model. mergekit takes those of any,
# and may take another's in the next run.
weightarith: 1
inputs:
  m_1_final: ./runs/1/final
  m_2_final: ./runs/2/final
  model_main: org/model@main
  model_v1_0: org/model@v1.0
  слияние_2: "./my models/слияние #2"
  m_7b: ../7b
  ties_model: ties
expression: |-
  linear(
    [m_1_final, m_2_final, model_main, model_v1_0, слияние_2, m_7b, ties_model],
    weights=[1, 1, 1, 1, 1, 1, 1],
    normalize=true
  )
output:
  like: m_1_final
""",
    ),
    "a_template_by_name": (
        """\
merge_method: passthrough
models: [{model: org/a}]
chat_template: chatml
""",
        """\
# From a mergekit document, merge_method: passthrough.
weightarith: 1
inputs:
  a: org/a
expression: a
output:
  like: a
  chat_template: |-
    {%- for message in messages -%}
    {{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}
    {%- endfor -%}
    {%- if add_generation_prompt -%}
    {{ '<|im_start|>assistant\\n' }}
    {%- endif -%}
""",
    ),
    "a_template_of_its_own": (
        """\
merge_method: passthrough
models: [{model: org/a}]
chat_template: |
  {% for m in messages %}
    {{ m.role }}: "{{ m.content }}"

  {% endfor %}
""",
        """\
# From a mergekit document, merge_method: passthrough.
weightarith: 1
inputs:
  a: org/a
expression: a
output:
  like: a
  chat_template: |
    {% for m in messages %}
      {{ m.role }}: "{{ m.content }}"

    {% endfor %}
""",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_document_becomes_a_recipe(name: str) -> None:
    document, recipe = CASES[name]

    assert converted(document) == recipe
    read_yaml(recipe, "recipe.yaml")
