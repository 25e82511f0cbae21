"""DARE: which elements are dropped, how the others are scaled, and what becomes of several vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.operators.naive import Doubles, dropped, election, rescaled, vectors
from tests.operators.running import BLOCKS, LIBRARIES, SHAPES, mergekit, run, settings
from weightarith.operators.dare import DARE, DARE_LINEAR, DARE_TIES
from weightarith.operators.field import Tensors, computed

RESCALES = pytest.mark.parametrize("rescale", ["", "density", "l1", "none"])


def naive(vector: Doubles, key: int, seed: int, density: float, rescale: str) -> Doubles:
    kept = dropped(vector, key, seed, density)
    if rescale == "l1":
        return rescaled(kept, vector)
    return kept if rescale == "none" or density == 0 else kept / density


@LIBRARIES
@BLOCKS
@SHAPES
@RESCALES
@pytest.mark.parametrize("density", [0.0, 0.3, 1.0])
def test_elements_stay_by_their_number_and_are_rescaled(
    library: Any, block: int, shape: tuple[int, ...], rescale: str, density: float
) -> None:
    (vector,) = vectors(1, shape)

    found = run(DARE, [library(vector)], block, density=density, seed=5, rescale=rescale)

    assert found.shape == shape
    assert np.allclose(np.asarray(found), naive(vector, 0, 5, density, rescale), rtol=1e-14, atol=0)


@LIBRARIES
@BLOCKS
@RESCALES
@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (0.3, -0.7, 1.1)])
def test_several_vectors_are_added_or_elected(
    library: Any, block: int, rescale: str, weights: tuple[float, ...]
) -> None:
    parts, density = vectors(3, (6, 9)), (0.3, 0.6, 1.0)
    kept = [naive(part, key, 9, density[key], rescale) for key, part in enumerate(parts)]
    options: dict[str, Any] = {"density": density, "weights": weights, "seed": 9, "rescale": rescale}
    given_parts = [library(part) for part in parts]

    added = run(DARE_LINEAR, given_parts, block, **options)
    mean = run(DARE_LINEAR, given_parts, block, normalize=True, **options)
    elected = run(DARE_TIES, given_parts, block, **options)

    total = sum(weight * one for weight, one in zip(weights, kept, strict=True))
    assert np.allclose(np.asarray(added), total, rtol=1e-13, atol=1e-18)
    assert np.allclose(np.asarray(mean), total / sum(map(abs, weights)), rtol=1e-13, atol=1e-18)
    assert np.allclose(np.asarray(elected), election(kept, weights), rtol=1e-13, atol=1e-18)


def test_the_share_that_stays_is_the_density() -> None:
    vector = np.ones(100_000)

    for density in (0.01, 0.1, 0.5, 0.9):
        kept = run(DARE, [vector], density=density, rescale="none").mean()
        assert abs(kept - density) < 4 * np.sqrt(density * (1 - density) / vector.size)


def test_the_expected_vector_is_the_vector() -> None:
    (vector,) = vectors(1, (50,))

    mean = np.mean([run(DARE, [vector], density=0.5, seed=seed) for seed in range(2000)], axis=0)

    assert np.all(np.abs(mean / vector - 1) < 5 / np.sqrt(2000))


def test_a_mask_depends_on_the_vector_and_the_seed_and_not_on_its_neighbours() -> None:
    ones, density = np.ones(1000), {"density": 0.5, "rescale": "none"}

    def mask(keys: list[int], seed: int) -> Doubles:
        field = Tensors([ones] * len(keys), keys=keys)
        made: Doubles = computed(
            DARE_LINEAR.run(field, **settings(DARE_LINEAR, len(keys), {**density, "seed": seed})), field
        )
        return made

    alone = mask([7], 1)
    assert np.array_equal(mask([7, 8], 1) - mask([8], 1), alone)
    assert np.array_equal(mask([8, 7], 1), mask([7, 8], 1))
    assert np.array_equal(mask([7, 7], 1), 2 * alone)
    assert 400 < np.count_nonzero(mask([8], 1) != alone) < 600
    assert 400 < np.count_nonzero(mask([7], 2) != alone) < 600


@given(density=st.floats(0, 1), more=st.floats(0, 1), seed=st.integers(0, 2**63 - 1))
def test_a_larger_density_keeps_what_a_smaller_one_keeps(density: float, more: float, seed: int) -> None:
    low, high = sorted((density, more))

    few, many = (run(DARE, [np.ones(99)], density=each, seed=seed, rescale="none") for each in (low, high))

    assert np.all(few <= many)


@pytest.mark.parametrize("operator", [DARE_LINEAR, DARE_TIES], ids=lambda operator: operator.name)
@pytest.mark.parametrize("compat", ["", "mergekit"])
@RESCALES
def test_zeros_make_zeros_and_weights_may_sum_to_zero(operator: Any, compat: str, rescale: str) -> None:
    options: dict[str, Any] = {"density": 0.5, "normalize": True, "compat": compat, "rescale": rescale}

    assert not run(operator, [np.zeros(9)] * 2, weights=(1.0, -1.0), **options).any()
    assert np.isfinite(run(operator, vectors(2, (9,)), weights=(1.0, -1.0), **options)).all()
    assert not run(operator, vectors(2, (9,)), weights=(0.0, 0.0), **options).any()
    operator.run(Tensors([np.zeros(0)]), **settings(operator, 1, options))


def masks_of(density: list[float], seed: int, size: int) -> Callable[..., Any]:
    """Return what stands for torch.bernoulli, and gives the masks that we draw, one vector after another."""
    keys = iter(range(len(density)))

    def bernoulli(chance: Any, **_: Any) -> Any:
        key = next(keys)
        assert np.allclose(chance, density[key], rtol=1e-6)
        mask = dropped(np.ones(size), key, seed, density[key]) != 0
        return torch.tensor(mask).reshape(chance.shape).to(chance.dtype)

    return bernoulli


@pytest.mark.oracle
@pytest.mark.parametrize("method", ["dare_linear", "dare_ties"])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("rescale", ["", "none"])
@pytest.mark.parametrize("weights", [(0.3, 0.7, 0.5), (1.0, -0.9, 0.5)])
def test_under_equal_masks_dare_is_mergekits_in_its_own_terms(
    method: str, normalize: bool, rescale: str, weights: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, density = vectors(3, (20, 30)), [0.3, 0.5, 0.8]
    monkeypatch.setattr(torch, "bernoulli", masks_of(density, 3, 600))

    theirs = mergekit(
        method, np.zeros((20, 30)), parts, weight=list(weights), density=density,
        normalize=normalize, rescale=rescale != "none",
    )  # fmt: skip

    ours = run(
        {"dare_linear": DARE_LINEAR, "dare_ties": DARE_TIES}[method], parts, 7, density=tuple(density),
        weights=weights, seed=3, normalize=normalize, rescale=rescale, compat="mergekit",
    )  # fmt: skip
    # mergekit multiplies by the mask and by the ratio of the norms in float32.
    assert np.allclose(ours, theirs, rtol=1e-5, atol=1e-8)


@pytest.mark.oracle
@pytest.mark.parametrize("density", [0.1, 0.5, 0.9])
def test_mergekits_own_masks_keep_as_much_as_ours(density: float) -> None:
    torch.manual_seed(0)
    ones = np.ones(100_000)

    theirs = mergekit("dare_linear", 0 * ones, [ones], weight=[1.0], density=[density], rescale=False)

    ours = run(DARE, [ones], density=density, rescale="none")
    assert theirs.mean() == pytest.approx(ours.mean(), abs=6 * np.sqrt(density * (1 - density) / ones.size))
