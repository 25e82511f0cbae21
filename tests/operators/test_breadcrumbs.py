"""Model Breadcrumbs: neither the smallest nor the very largest elements stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.operators.naive import Doubles, election, rescaled, vectors
from tests.operators.running import BLOCKS, LIBRARIES, SHAPES, mergekit, run, settings
from weightarith.operators.breadcrumbs import BREADCRUMBS, BREADCRUMBS_TIES, limits
from weightarith.operators.field import Tensors

SHARES = pytest.mark.parametrize(
    ("density", "gamma"),
    [(0.5, 0.1), (0.9, 0.01), (0.9, 0.3), (1.0, 0.0), (1.0, 0.2), (0.0, 0.1), (0.3, 1.0)],
)


def naive(vector: Doubles, density: float, gamma: float) -> Doubles:
    """Return what stays of a vector without equal magnitudes."""
    flat, kept = vector.ravel(), np.zeros(vector.size)
    order = np.argsort(-np.abs(flat), kind="stable")
    cut = int(gamma * flat.size)
    many = max(1, int(density * flat.size)) if density else 0
    kept[order[cut : cut + many]] = flat[order[cut : cut + many]]
    return kept.reshape(vector.shape)


@LIBRARIES
@BLOCKS
@SHAPES
@SHARES
def test_the_top_is_cut_and_the_next_largest_stay(
    library: Any, block: int, shape: tuple[int, ...], density: float, gamma: float
) -> None:
    (vector,) = vectors(1, shape)

    found = run(BREADCRUMBS, [library(vector)], block, density=density, gamma=gamma)

    assert found.shape == shape
    assert np.array_equal(np.asarray(found), naive(vector, density, gamma))


@LIBRARIES
@BLOCKS
@pytest.mark.parametrize("rescale", ["none", "l1"])
def test_several_vectors_are_added_or_elected(library: Any, block: int, rescale: str) -> None:
    parts, weights = vectors(3, (6, 9)), (0.3, -0.7, 1.1)
    density, gamma = (0.5, 0.9, 0.2), (0.1, 0.2, 0.0)
    kept = [naive(*each) for each in zip(parts, density, gamma, strict=True)]
    if rescale == "l1":
        kept = [rescaled(one, part) for one, part in zip(kept, parts, strict=True)]
    options: dict[str, Any] = {"density": density, "gamma": gamma, "weights": weights, "rescale": rescale}

    added = run(BREADCRUMBS, [library(part) for part in parts], block, **options)
    elected = run(BREADCRUMBS_TIES, [library(part) for part in parts], block, **options)

    total = sum(weight * one for weight, one in zip(weights, kept, strict=True))
    assert np.allclose(np.asarray(added), total, rtol=1e-13, atol=1e-18)
    assert np.allclose(np.asarray(elected), election(kept, weights), rtol=1e-13, atol=1e-18)


def test_elements_as_large_as_a_limit_stay() -> None:
    vector = np.array([9.0, 5.0, -5.0, 5.0, 2.0, -2.0, 2.0, 1.0, 0.5, 0.0])

    assert run(BREADCRUMBS, [vector], density=0.4, gamma=0.1).tolist() == [0, 5, -5, 5, 2, -2, 2, 0, 0, 0]
    assert run(BREADCRUMBS, [np.full(9, -2.0)], density=0.3, gamma=0.3).tolist() == [-2.0] * 9


def test_a_tensor_too_small_for_a_top_loses_none() -> None:
    vector = np.array([3.0, -1.0])

    for gamma in (0.0, 0.01, 0.49):
        assert run(BREADCRUMBS, [vector], density=0.5, gamma=gamma).tolist() == [3, 0]


def test_where_density_and_gamma_are_too_much_the_top_is_cut_all_the_same_and_not_by_mergekit() -> None:
    vector = np.arange(1.0, 11.0)

    ours, theirs = (
        run(BREADCRUMBS, [vector], density=0.9, gamma=0.3, compat=each) for each in ("", "mergekit")
    )

    assert ours.tolist() == [*range(1, 8), 0, 0, 0]
    assert theirs.tolist() == [*range(1, 10), 0]


@given(count=st.integers(0, 50), density=st.floats(0, 1), gamma=st.floats(0, 1))
def test_to_mergekit_as_many_stay_as_the_density_says(count: int, density: float, gamma: float) -> None:
    most, least = limits(count, density, gamma, "mergekit")

    assert max(0, least - most + 1) == int(density * count)


@given(values=st.lists(st.integers(-9, 9), min_size=1, max_size=30), power=st.integers(-60, 60))
def test_scaling_commutes(values: list[int], power: int) -> None:
    vector, factor = np.array(values, np.float64), -(2.0**power)

    scaled = run(BREADCRUMBS, [factor * vector], density=0.5, gamma=0.1)

    assert np.array_equal(scaled, factor * run(BREADCRUMBS, [vector], density=0.5, gamma=0.1))


@pytest.mark.parametrize("operator", [BREADCRUMBS, BREADCRUMBS_TIES], ids=lambda operator: operator.name)
@pytest.mark.parametrize("compat", ["", "mergekit"])
@pytest.mark.parametrize("rescale", ["none", "l1"])
def test_zeros_make_zeros_and_empty_tensors_are_no_error(operator: Any, compat: str, rescale: str) -> None:
    options: dict[str, Any] = {
        "density": 0.5,
        "compat": compat,
        "rescale": rescale,
        "weights": (1.0, -1.0),
        "normalize": True,
    }

    assert not run(operator, [np.zeros((3, 4))] * 2, **options).any()
    operator.run(Tensors([np.zeros(0)] * 2), **settings(operator, 2, options))


@pytest.mark.oracle
@pytest.mark.parametrize("method", ["breadcrumbs", "breadcrumbs_ties"])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("rescale", ["none", "l1"])
@SHARES
@pytest.mark.parametrize("shape", [(1,), (6, 9)], ids=str)
def test_breadcrumbs_is_mergekits_in_its_own_terms(
    method: str, normalize: bool, rescale: str, density: float, gamma: float, shape: tuple[int, ...]
) -> None:
    base, *models = vectors(4, shape)
    weights = (0.3, 0.7, -0.4)

    theirs = mergekit(
        method, base, models, weight=list(weights), density=[density] * 3, gamma=[gamma] * 3,
        normalize=normalize, rescale=rescale == "l1",
    )  # fmt: skip

    ours = run(
        {"breadcrumbs": BREADCRUMBS, "breadcrumbs_ties": BREADCRUMBS_TIES}[method],
        [model - base for model in models], 7, density=density, gamma=gamma, weights=weights,
        normalize=normalize, rescale=rescale, compat="mergekit",
    )  # fmt: skip
    assert np.allclose(base + ours, base + theirs, rtol=1e-12, atol=1e-17)
