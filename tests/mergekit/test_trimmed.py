"""Merges of trimmed task vectors: documents of mergekit, and the recipes they become."""

from __future__ import annotations

import pytest

from tests.mergekit.documents import converted
from weightarith.recipe.strictyaml import read_yaml

CASES = {
    "ties": (
        """\
models:
  - model: mistralai/Mistral-7B-v0.1
    # no parameters necessary for base model
  - model: OpenPipe/mistral-ft-optimized-1218
    parameters:
      density: 0.5
      weight: 0.5
  - model: mlabonne/NeuralHermes-2.5-Mistral-7B
    parameters:
      density: 0.5
      weight: 0.3
merge_method: ties
base_model: mistralai/Mistral-7B-v0.1
parameters:
  normalize: true
dtype: float16
""",
        """\
# From a mergekit document, merge_method: ties.
# dtype: float16 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
weightarith: 1
inputs:
  base: mistralai/Mistral-7B-v0.1
  mistral_ft_optimized_1218: OpenPipe/mistral-ft-optimized-1218
  NeuralHermes_2_5_Mistral_7B: mlabonne/NeuralHermes-2.5-Mistral-7B
expression: |-
  base
  + ties(
    [mistral_ft_optimized_1218 - base, NeuralHermes_2_5_Mistral_7B - base],
    weights=[0.5, 0.3],
    density=0.5,
    normalize=true,
    rescale="none",
    compat="mergekit"
  )
output:
  dtype: float16
  like: base
""",
    ),
    "dare_ties": (
        """\
models:
  - model: mistralai/Mistral-7B-v0.1
  - model: samir-fama/SamirGPT-v1
    parameters:
      density: 0.53
      weight: 0.4
  - model: abacusai/Slerp-CM-mist-dpo
    parameters:
      density: 0.53
      weight: 0.3
  - model: EmbeddedLLM/Mistral-7B-Merge-14-v0.2
    parameters:
      density: 0.53
      weight: 0.3
merge_method: dare_ties
base_model: mistralai/Mistral-7B-v0.1
parameters:
  int8_mask: true
dtype: bfloat16
""",
        """\
# From a mergekit document, merge_method: dare_ties.
# dtype: bfloat16 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
# seed: the masks are as likely as mergekit's, and not the same: they depend on the seed alone.
weightarith: 1
inputs:
  base: mistralai/Mistral-7B-v0.1
  SamirGPT_v1: samir-fama/SamirGPT-v1
  Slerp_CM_mist_dpo: abacusai/Slerp-CM-mist-dpo
  Mistral_7B_Merge_14_v0_2: EmbeddedLLM/Mistral-7B-Merge-14-v0.2
expression: |-
  base
  + dare_ties(
    [SamirGPT_v1 - base, Slerp_CM_mist_dpo - base, Mistral_7B_Merge_14_v0_2 - base],
    weights=[0.4, 0.3, 0.3],
    density=0.53,
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
    "dare_linear": (
        """\
merge_method: dare_linear
base_model: org/base
models:
  - {model: org/a, parameters: {weight: 1.0, density: 0.4}}
  - {model: org/b, parameters: {weight: -0.5, density: 0.9}}
parameters: {rescale: false, lambda: 0.8}
dtype: bfloat16
""",
        """\
# From a mergekit document, merge_method: dare_linear.
# dtype: bfloat16 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
# seed: the masks are as likely as mergekit's, and not the same: they depend on the seed alone.
weightarith: 1
inputs:
  base: org/base
  a: org/a
  b: org/b
expression: |-
  base
  + 0.8*dare_linear(
    [a - base, b - base],
    weights=[1.0, -0.5],
    density=[0.4, 0.9],
    normalize=false,
    rescale="none",
    seed=0,
    compat="mergekit"
  )
output:
  dtype: bfloat16
  like: base
""",
    ),
    "della": (
        """\
merge_method: della
base_model: org/base
models:
  - {model: org/a, parameters: {weight: 0.6, density: 0.6}}
  - {model: org/b, parameters: {weight: 0.4, density: 0.5}}
parameters: {epsilon: 0.05, lambda: 1.1}
dtype: bfloat16
""",
        """\
# From a mergekit document, merge_method: della.
# dtype: bfloat16 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
# seed: the masks are as likely as mergekit's, and not the same: they depend on the seed alone.
weightarith: 1
inputs:
  base: org/base
  a: org/a
  b: org/b
expression: |-
  base
  + 1.1*della(
    [a - base, b - base],
    weights=[0.6, 0.4],
    density=[0.6, 0.5],
    epsilon=0.05,
    normalize=true,
    rescale="l1",
    seed=0,
    compat="mergekit"
  )
output:
  dtype: bfloat16
  like: base
""",
    ),
    "della_linear": (
        """\
merge_method: della_linear
base_model: org/base
models:
  - {model: org/a, parameters: {weight: 1, density: 0.5, epsilon: 0.2}}
  - {model: org/b, parameters: {weight: 1, density: 0.5, epsilon: 0.2}}
""",
        """\
# From a mergekit document, merge_method: della_linear.
# seed: the masks are as likely as mergekit's, and not the same: they depend on the seed alone.
weightarith: 1
inputs:
  base: org/base
  a: org/a
  b: org/b
expression: |-
  base
  + della_linear(
    [a - base, b - base],
    weights=[1, 1],
    density=0.5,
    epsilon=0.2,
    normalize=false,
    rescale="l1",
    seed=0,
    compat="mergekit"
  )
output:
  like: base
""",
    ),
    "breadcrumbs_ties": (
        """\
merge_method: breadcrumbs_ties
base_model: org/base
models:
  - model: org/a
  - model: org/b
parameters: {weight: 0.5, density: 0.9, gamma: 0.03, normalize: false}
dtype: bfloat16
""",
        """\
# From a mergekit document, merge_method: breadcrumbs_ties.
# dtype: bfloat16 is what mergekit computes in as well; here everything is computed in
# float64 and rounded once, when it is written.
weightarith: 1
inputs:
  base: org/base
  a: org/a
  b: org/b
expression: |-
  base
  + breadcrumbs_ties(
    [a - base, b - base],
    weights=[0.5, 0.5],
    density=0.9,
    gamma=0.03,
    normalize=false,
    rescale="none",
    compat="mergekit"
  )
output:
  dtype: bfloat16
  like: base
""",
    ),
    "breadcrumbs": (
        """\
merge_method: breadcrumbs
base_model: org/base
models:
  - {model: org/a, parameters: {weight: 0.4}}
parameters: {density: [0.9, 0.7]}
""",
        """\
# From a mergekit document, merge_method: breadcrumbs.
# gradient: from the first layer to the last, straight lines between; `elsewhere` is for tensors
# outside the layers. mergekit gives them all the first value, final norm and head too.
weightarith: 1
inputs:
  base: org/base
  a: org/a
expression: |-
  base
  + breadcrumbs(
    [a - base],
    weights=[0.4],
    density=gradient(0.9, 0.7, elsewhere=0.9),
    gamma=0.01,
    normalize=false,
    rescale="none",
    compat="mergekit"
  )
output:
  like: base
""",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_document_becomes_a_recipe(name: str) -> None:
    document, recipe = CASES[name]

    assert converted(document) == recipe
    read_yaml(recipe, "recipe.yaml")
