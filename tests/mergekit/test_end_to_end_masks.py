"""The same document through both tools where elements are dropped at random: DARE and DELLA.

mergekit draws one mask after another from one generator, so that each depends on all before it. Here it is
handed ours; that its own are as likely is seen from how much they keep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.cli.conftest import Run
from tests.mergekit.both import Both, assert_near, both, placed
from tests.reference import Doubles, read
from weightarith.mergekit import load_recipe
from weightarith.operators.made import Made
from weightarith.operators.masks import uniform

pytestmark = pytest.mark.oracle

DOCUMENTS = {
    "dare_linear": "parameters: {density: 0.4}",
    "dare_linear, each in its own way": "parameters: {density: [0.3, 0.8], rescale: false, lambda: 0.7}",
    "dare_ties": "parameters: {density: 0.4, lambda: 1.2}",
    "dare_ties, normalised": """
parameters: {density: [{filter: mlp, value: 0.2}, {value: 0.6}], normalize: true}""",
    "della": "parameters: {density: 0.5, epsilon: 0.1}",
    "della, summed": "parameters: {density: 0.4, epsilon: 0.3, normalize: false, rescale: false}",
    "della_linear": "parameters: {density: 0.7, epsilon: 0.2, lambda: 0.9}",
}
MODELS = """
base_model: $base
models: [{model: $a, parameters: {weight: 0.3}}, {model: $b, parameters: {weight: 0.9}}]
"""
IN_FLOAT32 = 1e-6
"""mergekit draws and multiplies in float32, of whatever dtype the models are."""


def document(kind: str, more: str = "") -> str:
    return f"merge_method: {kind.partition(',')[0]}{MODELS}{DOCUMENTS[kind]}\ndtype: float64\n{more}"


def ours(text: str, base: Path, folder: Path) -> Iterator[Doubles]:
    """Yield what our masks are drawn from, in the order in which mergekit asks: by name, then by model."""
    path = folder / "asked.yaml"
    path.write_text(text, encoding="utf-8")
    total = load_recipe(path).total
    (made,) = (term.leaf for term in total.terms if isinstance(term.leaf, Made))
    for name, raw in sorted(read(base).items()):
        for operand in range(len(made.operands)):
            yield uniform(made.mask_key(operand, name), 0, 0, np.empty(raw.values.size))


def drawing(masks: Iterator[Doubles]) -> Callable[..., Any]:
    """Return what stands for torch.bernoulli, and draws as we do."""

    def bernoulli(chance: Any, **_: Any) -> Any:
        drawn = next(masks)
        assert drawn.size == chance.numel()
        return (torch.tensor(drawn).reshape(chance.shape) < chance).to(chance.dtype)

    return bernoulli


@pytest.fixture
def alike(monkeypatch: pytest.MonkeyPatch, run: Run, tmp_path: Path) -> Callable[[str, Path], Both]:
    """Return what the tools make of a document under equal masks."""

    def merged(text: str, models: Path) -> Both:
        masks = ours(placed(text, models), models / "base", tmp_path)
        monkeypatch.setattr(torch, "bernoulli", drawing(masks))
        found = both(text, models, tmp_path, run)
        assert next(masks, None) is None
        return found

    return merged


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_llama_merged_under_equal_masks_is_mergekits(
    kind: str, llamas: Path, alike: Callable[[str, Path], Both]
) -> None:
    assert_near(alike(document(kind), llamas), off=IN_FLOAT32)


@pytest.mark.parametrize("kind", ["dare_ties", "della"])
def test_a_model_with_a_tied_head_merged_under_equal_masks_is_mergekits(
    kind: str, qwens: Path, alike: Callable[[str, Path], Both]
) -> None:
    assert_near(alike(document(kind), qwens), off=IN_FLOAT32)


@pytest.mark.parametrize("kind", ["dare_linear", "della_linear"])
def test_as_much_is_kept_as_by_mergekits_own_masks(kind: str, llamas: Path, tmp_path: Path, run: Run) -> None:
    text = document(kind).replace("{model: $b, parameters: {weight: 0.9}}", "")

    found = both(text, llamas, tmp_path, run)

    base = read(llamas / "base")
    changed, count = np.zeros(2), 0
    for name, raw in found.ours.items():
        changed += [np.count_nonzero(each.values != base[name].values) for each in (raw, found.theirs[name])]
        count += raw.values.size
    share = {"dare_linear": 0.4, "della_linear": 0.7}[kind]
    assert np.all(np.abs(changed / count - share) < 5 * np.sqrt(share * (1 - share) / count))
