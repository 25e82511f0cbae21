"""DELLA and its first step: chances by rank in a row, the scaling, and what becomes of several vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.operators.naive import Doubles, drawn, election, rescaled, vectors
from tests.operators.running import BLOCKS, LIBRARIES, SHAPES, mergekit, run, settings
from weightarith.operators.della import DELLA, DELLA_LINEAR, MAGPRUNE, chances
from weightarith.operators.field import Tensors

RESCALES = pytest.mark.parametrize("rescale", ["", "chance", "l1", "none"])


def naive_chances(row: Doubles, density: float, epsilon: float, mergekits: bool = False) -> Doubles:
    """Return the chance of each element of one row to stay."""
    count, made = len(row), np.zeros(len(row))
    reach = min(epsilon * (1 if mergekits else 0.5), density, 1 - density)
    for rank, place in enumerate(sorted(range(count), key=lambda place: (abs(row[place]), place))):
        along = (rank + 0.5) / count
        if mergekits:
            along = rank / (count - 1) if count > 1 else 0.5
        made[place] = density - reach + 2 * reach * along
    return made


def naive(vector: Doubles, key: int, seed: int, density: float, epsilon: float, rescale: str) -> Doubles:
    rows = np.atleast_1d(vector).reshape(-1, vector.shape[-1] if vector.shape else 1)
    chance = np.concatenate([naive_chances(row, density, epsilon) for row in rows]).reshape(vector.shape)
    stays = drawn(key, seed, vector.size).reshape(vector.shape) < chance
    kept = np.where(stays, vector, 0.0)
    if rescale in ("", "chance"):
        return kept / np.where(stays, chance, 1.0)
    return rescaled(kept, vector) if rescale == "l1" else kept


@LIBRARIES
@BLOCKS
@SHAPES
@RESCALES
@pytest.mark.parametrize("density", [0.0, 0.05, 0.4, 1.0])
def test_elements_stay_by_their_number_and_their_rank_in_the_row(
    library: Any, block: int, shape: tuple[int, ...], rescale: str, density: float
) -> None:
    (vector,) = vectors(1, shape)

    found = run(MAGPRUNE, [library(vector)], block, density=density, epsilon=0.3, seed=5, rescale=rescale)

    assert found.shape == shape
    assert np.allclose(np.asarray(found), naive(vector, 0, 5, density, 0.3, rescale), rtol=1e-13, atol=0)


@LIBRARIES
@BLOCKS
@RESCALES
def test_several_vectors_are_elected_or_added(library: Any, block: int, rescale: str) -> None:
    parts, density, weights = vectors(3, (6, 9)), (0.3, 0.6, 1.0), (0.3, -0.7, 1.1)
    kept = [naive(part, key, 9, density[key], 0.2, rescale) for key, part in enumerate(parts)]
    options: dict[str, Any] = {
        "density": density,
        "weights": weights,
        "seed": 9,
        "rescale": rescale,
        "epsilon": 0.2,
    }
    given_parts = [library(part) for part in parts]

    elected = run(DELLA, given_parts, block, **options)
    added = run(DELLA_LINEAR, given_parts, block, **options)

    total = sum(weight * one for weight, one in zip(weights, kept, strict=True))
    assert np.allclose(np.asarray(elected), election(kept, weights), rtol=1e-13, atol=1e-18)
    assert np.allclose(np.asarray(added), total, rtol=1e-13, atol=1e-18)


@LIBRARIES
@given(
    row=st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=20),
    density=st.floats(0, 1),
    epsilon=st.floats(0, 1),
)
def test_the_chances_of_a_row_rise_with_the_rank_and_average_to_the_density(
    library: Any, row: list[float], density: float, epsilon: float
) -> None:
    for compat in ("", "mergekit"):
        (found,) = np.asarray(chances(library(np.array([row])), density, epsilon, compat))

        assert np.allclose(
            found, naive_chances(np.array(row), density, epsilon, compat == "mergekit"), atol=1e-15
        )
        assert found.min() >= 0
        assert found.max() <= 1
        assert found.mean() == pytest.approx(density, abs=1e-15)
        assert np.all(np.diff(found[np.argsort(np.abs(row), kind="stable")]) >= 0)


def test_epsilon_is_how_far_the_chances_are_apart_and_half_of_that_to_mergekit() -> None:
    row = np.arange(1000.0)[None, :]

    for compat, width in (("", 0.14), ("mergekit", 0.28)):
        found = chances(row, 0.5, 0.14, compat)
        assert found.max() - found.min() == pytest.approx(width, rel=2e-3)


def test_the_share_that_stays_is_the_density_and_large_elements_stay_more_often() -> None:
    vector = np.tile(np.arange(1.0, 101.0), (2000, 1))

    kept = run(MAGPRUNE, [vector], density=0.5, epsilon=0.6, rescale="none") != 0

    assert kept.mean() == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(vector.size))
    assert np.allclose(
        kept.mean(axis=0), 0.2 + 0.6 * (np.arange(100) + 0.5) / 100, atol=5 * 0.5 / np.sqrt(2000)
    )


def test_the_expected_vector_is_the_vector() -> None:
    (vector,) = vectors(1, (5, 10))

    mean = np.mean([run(MAGPRUNE, [vector], density=0.5, epsilon=0.4, seed=n) for n in range(2000)], axis=0)

    assert np.all(np.abs(mean / vector - 1) < 5 * np.sqrt(0.7 / 0.3 / 2000))


def test_numpy_and_torch_make_the_same_bits() -> None:
    parts = [np.round(part, 2) for part in vectors(2, (30, 40))]
    options: dict[str, Any] = {"density": 0.4, "weights": (0.3, -0.7), "epsilon": 0.3}

    ours, theirs = run(DELLA, parts, **options), run(DELLA, [torch.tensor(part) for part in parts], **options)

    assert ours.tobytes() == theirs.numpy().tobytes()


@pytest.mark.parametrize("operator", [DELLA, DELLA_LINEAR], ids=lambda operator: operator.name)
@pytest.mark.parametrize("compat", ["", "mergekit"])
@pytest.mark.parametrize("rescale", ["", "l1"])
def test_rows_of_one_element_and_zeros_and_empty_tensors_are_no_error(
    operator: Any, compat: str, rescale: str
) -> None:
    options: dict[str, Any] = {"density": 0.5, "compat": compat, "rescale": rescale, "weights": (1.0, -1.0)}

    for shape in ((), (1,), (4, 1), (5, 1, 3)):
        assert not run(operator, [np.zeros(shape)] * 2, **options).any()
        assert np.isfinite(run(operator, vectors(2, shape), **options)).all()
    for shape in ((0,), (3, 0)):
        operator.run(Tensors([np.zeros(shape)] * 2), **settings(operator, 2, options))


@pytest.mark.oracle
@pytest.mark.parametrize("method", ["della", "della_linear"])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("rescale", ["", "none"])
@pytest.mark.parametrize("shape", [(50,), (20, 30)], ids=str)
def test_under_equal_masks_della_is_mergekits_in_its_own_terms(
    method: str, normalize: bool, rescale: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, density, weights = vectors(3, shape), [0.3, 0.5, 0.8], (1.0, -0.9, 0.5)
    keys = iter(range(3))

    def bernoulli(chance: Any, **_: Any) -> Any:
        key = next(keys)
        rows = parts[key].reshape(-1, shape[-1])
        ours = np.array([naive_chances(row, density[key], 0.15, mergekits=True) for row in rows])
        assert np.allclose(chance.numpy().reshape(ours.shape), ours, atol=1e-6)
        mask = drawn(key, 3, parts[key].size).reshape(ours.shape) < ours
        return torch.tensor(mask).reshape(chance.shape).to(chance.dtype)

    monkeypatch.setattr(torch, "bernoulli", bernoulli)

    theirs = mergekit(
        method, np.zeros(shape), parts, weight=list(weights), density=density, epsilon=[0.15] * 3,
        normalize=normalize, rescale=rescale != "none",
    )  # fmt: skip

    ours = run(
        {"della": DELLA, "della_linear": DELLA_LINEAR}[method], parts, 7, density=tuple(density),
        epsilon=0.15, weights=weights, seed=3, normalize=normalize, rescale=rescale, compat="mergekit",
    )  # fmt: skip
    # mergekit multiplies by the mask and by the ratio of the norms in float32.
    assert np.allclose(ours, theirs, rtol=1e-5, atol=1e-8)
