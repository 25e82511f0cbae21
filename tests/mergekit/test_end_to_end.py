"""The same document through mergekit 0.1.5 and through our command: every method, on two architectures.

Nothing that is compared was rounded on the way: inputs are float32, arithmetic is float64 or float32, and the
result is written in it, or rounded once to bfloat16.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run
from tests.mergekit.both import assert_near, assert_same_layout, both
from tests.reference import read
from weightarith.mergekit.methods import METHODS

pytestmark = pytest.mark.oracle

OF_TWO = """
base_model: $base
models: [{model: $a, parameters: {weight: 0.3}}, {model: $b, parameters: {weight: 0.9}}]
"""
OF_THREE = """
base_model: $base
models: [{model: $a}, {model: $b}, {model: $c}]
"""
BESIDE = """
base_model: $base
models: [{model: $a}]
"""
DOCUMENTS = {
    "linear": "models: [{model: $a, parameters: {weight: 3}}, {model: $b, parameters: {weight: 0.9}}]",
    "linear, not normalised": """
models: [{model: $a, parameters: {weight: 1.25}}, {model: $b, parameters: {weight: -0.25}}]
parameters: {normalize: false}""",
    "linear, of a base": """
base_model: $base
models: [{model: $base, parameters: {weight: 1.25}}, {model: $b, parameters: {weight: 0.25}}]""",
    "task_arithmetic": OF_TWO + "parameters: {lambda: 0.7}",
    "task_arithmetic, normalised": OF_TWO + "parameters: {lambda: 0.7, normalize: true}",
    "task_arithmetic, forgetting": OF_TWO.replace("0.9", "-0.9"),
    "ties": OF_TWO + "parameters: {density: 0.4, lambda: 1.3}",
    "ties, each in its own way": """
base_model: $base
models:
- {model: $base}
- {model: $a, parameters: {weight: 0.3, density: 0.4}}
- {model: $b, parameters: {weight: [0.9, 0.1], density: [0.5, 0.9]}}
- {model: $c, parameters: {weight: 0.5, density: [{filter: mlp, value: 0.2}, {value: 1}]}}
parameters: {int8_mask: true}""",
    "ties, forgetting": OF_TWO.replace("0.9", "-0.9")
    + "parameters: {density: 0.4, normalize: false, rescale: true}",
    "breadcrumbs": OF_TWO + "parameters: {density: 0.7, gamma: 0.05}",
    "breadcrumbs, all": OF_TWO + "parameters: {density: 1, gamma: 0}",
    "breadcrumbs_ties": OF_TWO + "parameters: {density: 0.9, gamma: 0.3, rescale: true, normalize: true}",
    "sce": OF_THREE + "parameters: {select_topk: 0.6}",
    "ram": OF_THREE + "parameters: {epsilon: 5e-3}",
    "ramplus_tl": OF_THREE + "parameters: {epsilon: 5e-3, r: 0.3, alpha: 0.5}",
    "model_stock": OF_THREE,
    "model_stock, by rows": OF_THREE + "parameters: {filter_wise: true}",
    "nearswap": BESIDE + "parameters: {t: 0.003}",
    "slerp": BESIDE + "parameters: {t: 0.3}",
    "slerp, far apart": """
base_model: $far
models: [{model: $far}, {model: $a}]
parameters: {t: [{filter: self_attn, value: [0, 0.5, 1]}, {filter: mlp, value: [1, 0.2]}, {value: 0.5}]}""",
    "nuslerp": """
models: [{model: $far, parameters: {weight: 0.3}}, {model: $b, parameters: {weight: 0.9}}]""",
    "nuslerp, of task vectors": OF_TWO,
    "nuslerp, by rows": OF_TWO + "parameters: {nuslerp_flatten: false}",
    "nuslerp, by columns": OF_TWO + "parameters: {nuslerp_flatten: false, nuslerp_row_wise: true}",
    "multislerp": """
models:
- {model: $far, parameters: {weight: 0.3}}
- {model: $b, parameters: {weight: 0.9}}
- {model: $c, parameters: {weight: 0.2}}""",
    "multislerp, of task vectors": OF_TWO,
    "multislerp, not normalised": OF_TWO + "parameters: {normalize_weights: false}",
    "karcher": "models: [{model: $far}, {model: $b}, {model: $a}]",
    "karcher, to the end": "models: [{model: $far}, {model: $b}]\nparameters: {max_iter: 30, tol: 1e-9}",
    "arcee_fusion": BESIDE,
    "passthrough": "models: [{model: $a}]\nparameters: {scale: [{filter: o_proj, value: 0.5}, {value: 1}]}",
}
MASKED = {"dare_linear", "dare_ties", "della", "della_linear"}
"""Methods that draw masks: see test_end_to_end_masks.py."""

IN_FLOAT32 = {"ramplus_tl": 1e-6}
"""What mergekit computes in float32 whatever is asked for, and how far off that may be."""

KINDS = pytest.mark.parametrize("kind", DOCUMENTS)


def document(kind: str, dtype: str) -> str:
    return f"merge_method: {kind.partition(',')[0]}\n{DOCUMENTS[kind]}\n{dtype}\n"


def test_every_method_is_here() -> None:
    assert {kind.partition(",")[0] for kind in DOCUMENTS} | MASKED == METHODS.keys()


@KINDS
def test_a_llama_merged_in_float64_is_mergekits(kind: str, llamas: Path, tmp_path: Path, run: Run) -> None:
    found = both(document(kind, "dtype: float64"), llamas, tmp_path, run)

    assert {raw.code for raw in found.ours.values()} == {"F64"}
    assert_near(found, off=IN_FLOAT32.get(kind))


@KINDS
def test_a_model_with_a_tied_head_and_biases_merged_is_mergekits(
    kind: str, qwens: Path, tmp_path: Path, run: Run
) -> None:
    found = both(document(kind, "dtype: float64"), qwens, tmp_path, run)

    assert "lm_head.weight" not in found.ours
    assert_near(found, off=IN_FLOAT32.get(kind))


@pytest.mark.parametrize("dtype", ["dtype: float32", "dtype: float32\nout_dtype: bfloat16"])
@pytest.mark.parametrize("kind", [kind for kind in DOCUMENTS if kind != "arcee_fusion"])
def test_a_llama_merged_in_float32_is_mergekits_but_for_rounding(
    kind: str, dtype: str, llamas: Path, tmp_path: Path, run: Run
) -> None:
    assert_near(both(document(kind, dtype), llamas, tmp_path, run))


def test_fusion_in_float32_takes_an_element_more_or_less(llamas: Path, tmp_path: Path, run: Run) -> None:
    found = both(document("arcee_fusion", "dtype: float32"), llamas, tmp_path, run)

    assert_same_layout(found)
    base, other = read(llamas / "base"), read(llamas / "a")
    for name, raw in found.ours.items():
        ours, theirs = raw.values, found.theirs[name].values
        assert np.count_nonzero(ours != theirs) <= 2, name  # whose scores are near the threshold
        assert np.all((ours == base[name].values) | (ours == other[name].values))


@pytest.mark.parametrize("kind", ["linear", "task_arithmetic", "slerp", "multislerp", "model_stock"])
def test_models_of_sixteen_bits_merged_are_mergekits_but_for_the_last_bit(
    kind: str, llamas: Path, tmp_path: Path, run: Run
) -> None:
    text = document(kind, "dtype: float32\nout_dtype: bfloat16")

    found = both(re.sub(r"\$(\w+)", r"$\g<1>16", text), llamas, tmp_path, run)

    assert {raw.code for raw in found.ours.values()} == {"BF16"}
    assert_near(found)
