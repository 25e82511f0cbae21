"""Elections, and TIES: trim, elect, merge."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.operators.naive import Doubles, election, rescaled, trimmed, vectors
from tests.operators.running import BLOCKS, LIBRARIES, SHAPES, mergekit, run, run_over
from weightarith.operators.election import ELECT
from weightarith.operators.field import Tensors
from weightarith.operators.ties import TIES

WEIGHTS = [(1.0, 1.0, 1.0), (0.3, 0.7, 0.5), (1.0, -0.9, 0.5), (1.0, -1.0, 0.0)]
SMALL = arrays(np.float64, (3, 12), elements=st.integers(-4, 4).map(float))


@LIBRARIES
@BLOCKS
@SHAPES
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("normalize", [True, False])
def test_what_agrees_with_the_elected_sign_is_averaged(
    library: Any, block: int, shape: tuple[int, ...], weights: tuple[float, ...], normalize: bool
) -> None:
    parts = vectors(3, shape)

    found = run(ELECT, [library(part) for part in parts], block, weights=weights, normalize=normalize)

    assert found.shape == shape
    assert np.allclose(np.asarray(found), election(parts, weights, normalize), rtol=1e-14, atol=0)


def test_an_election_by_hand() -> None:
    parts = [np.array([3.0, 1.0, 0.0, -2.0, 1.0]), np.array([-1.0, 3.0, -4.0, 2.0, 0.0])]

    assert run(ELECT, parts).tolist() == [3, 2, -4, 0, 1]
    assert run(ELECT, parts, normalize=False).tolist() == [3, 4, -4, 0, 1]
    assert run(ELECT, parts, compat="mergekit").tolist() == [3, 2, -4, 2, 1]
    assert run(ELECT, parts, weights=(1.0, 3.0)).tolist() == [0, 2.5, -4, 2, 1]


@LIBRARIES
@BLOCKS
@SHAPES
@pytest.mark.parametrize("rescale", ["none", "l1"])
@pytest.mark.parametrize("density", [(0.2, 0.2, 0.2), (0.5, 1.0, 0.0)])
def test_ties_trims_elects_and_merges(
    library: Any, block: int, shape: tuple[int, ...], rescale: str, density: tuple[float, ...]
) -> None:
    parts = vectors(3, shape)
    kept = [trimmed(part, each) for part, each in zip(parts, density, strict=True)]
    if rescale == "l1":
        kept = [rescaled(one, part) for one, part in zip(kept, parts, strict=True)]

    found = run(TIES, [library(part) for part in parts], block, density=density, rescale=rescale)

    assert np.allclose(np.asarray(found), election(kept, (1, 1, 1)), rtol=1e-14, atol=0)


def test_numpy_and_torch_make_the_same_bits() -> None:
    import torch

    parts = vectors(3, (40, 50))
    options: dict[str, Any] = {"density": 0.4, "weights": (0.3, -0.7, 1.1)}

    ours, theirs = run(TIES, parts, **options), run(TIES, [torch.tensor(part) for part in parts], **options)

    assert ours.tobytes() == theirs.numpy().tobytes()


def test_unless_told_otherwise_a_fifth_stays_and_the_mean_is_taken() -> None:
    parts = vectors(2, (10, 10))

    found = run(TIES, parts)

    assert np.allclose(found, election([trimmed(part, 0.2) for part in parts], (1, 1)), rtol=1e-14)


def test_over_a_model_the_trimming_counts_all_tensors() -> None:
    shapes = [(30,), (4, 5), (1,), (3, 1, 2)]
    tensors = [vectors(2, shape, seed) for seed, shape in enumerate(shapes)]
    flat = [np.concatenate([tensor[row].ravel() for tensor in tensors]) for row in range(2)]
    expected = election([trimmed(one, 0.3) for one in flat], (1, 1))

    found = run_over(TIES, tensors, density=0.3)

    assert np.allclose(np.concatenate([one.ravel() for one in found]), expected, rtol=1e-14)
    assert not np.allclose(run(TIES, tensors[2], density=0.3), found[2])


@pytest.mark.parametrize("weights", [(1.0, -0.9), (1.0, -1.0), (-1.0, 0.999999), (1e-9, 1.0), (0.0, 0.0)])
def test_no_weights_make_the_result_larger_than_what_is_merged(weights: tuple[float, float]) -> None:
    parts = vectors(2, (10, 10))

    found = run(TIES, parts, density=1.0, weights=weights)

    assert np.all(np.abs(found) <= np.maximum(*np.abs(parts)) * (1 + 1e-15))


def test_mergekit_makes_the_result_many_times_larger_where_weights_all_but_cancel() -> None:
    one = np.array([1.0, 1.0, 1.0])
    other = np.array([-0.5, -1.0, 1.0])

    theirs = run(TIES, [one, other], density=1.0, weights=(1.0, -0.9), compat="mergekit")

    assert np.allclose(theirs, [14.5, 19, 1], rtol=1e-12)
    assert np.allclose(
        mergekit("ties", np.zeros(3), [one, other], weight=[1.0, -0.9], density=[1.0, 1.0]), theirs
    )
    assert np.allclose(run(TIES, [one, other], density=1.0, weights=(1.0, -0.9)), [1.45 / 1.9, 1, 1])


@given(parts=SMALL, weights=st.tuples(*[st.integers(-3, 3).map(float)] * 3), normalize=st.booleans())
def test_an_election_does_not_depend_on_the_order_of_the_vectors(
    parts: Doubles, weights: tuple[float, ...], normalize: bool
) -> None:
    expected = run(ELECT, list(parts), weights=weights, normalize=normalize)

    for order in permutations(range(3)):
        found = run(
            ELECT, [parts[n] for n in order], weights=tuple(weights[n] for n in order), normalize=normalize
        )
        assert np.allclose(found, expected, rtol=1e-15, atol=0)


@given(parts=SMALL, weights=st.tuples(*[st.integers(-3, 3).map(float)] * 3), turned=st.integers(0, 2))
def test_a_negative_weight_is_a_vector_turned_round(
    parts: Doubles, weights: tuple[float, ...], turned: int
) -> None:
    signs = np.where(np.arange(3) == turned, -1.0, 1.0)

    found = run(TIES, list(parts * signs[:, None]), weights=tuple(signs * weights))

    assert np.array_equal(found, run(TIES, list(parts), weights=weights))


@given(parts=SMALL, power=st.integers(-100, 100), sign=st.sampled_from([-1.0, 1.0]))
def test_ties_of_scaled_vectors_is_scaled(parts: Doubles, power: int, sign: float) -> None:
    factor = sign * 2.0**power

    assert np.array_equal(run(TIES, list(factor * parts)), factor * run(TIES, list(parts)))


@given(parts=SMALL, weights=st.tuples(*[st.integers(-3, 3).map(float)] * 3), power=st.integers(-9, 9))
def test_only_the_proportions_of_the_weights_of_a_mean_count(
    parts: Doubles, weights: tuple[float, ...], power: int
) -> None:
    found = run(TIES, list(parts), weights=tuple(2.0**power * weight for weight in weights))

    assert np.array_equal(found, run(TIES, list(parts), weights=weights))


def test_one_vector_is_trimmed_and_nothing_else() -> None:
    (part,) = vectors(1, (8, 8))

    assert np.array_equal(run(TIES, [part]), trimmed(part, 0.2))


@pytest.mark.parametrize("compat", ["", "mergekit"])
@pytest.mark.parametrize("rescale", ["none", "l1"])
def test_zeros_make_zeros_and_empty_tensors_are_no_error(compat: str, rescale: str) -> None:
    zeros = [np.zeros((3, 4))] * 2

    assert not run(TIES, zeros, weights=(1.0, -1.0), compat=compat, rescale=rescale).any()
    options: dict[str, Any] = {
        "density": (0.2,),
        "weights": (1.0,),
        "normalize": True,
        "rescale": rescale,
        "compat": compat,
    }
    TIES.run(Tensors([np.zeros(0)]), over="tensor", **options)


@pytest.mark.oracle
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("rescale", ["none", "l1"])
@pytest.mark.parametrize("density", [(0.0, 0.5, 1.0), (0.01, 0.2, 0.7)])
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("shape", [(1,), (50,), (6, 9), (7, 1, 3)], ids=str)
def test_ties_is_mergekits_in_its_own_terms(
    shape: tuple[int, ...],
    weights: tuple[float, ...],
    density: tuple[float, ...],
    rescale: str,
    normalize: bool,
) -> None:
    base, *models = vectors(4, shape)
    parts = [model - base for model in models]

    theirs = mergekit(
        "ties", base, models, weight=list(weights), density=list(density),
        normalize=normalize, rescale=rescale == "l1",
    )  # fmt: skip

    ours = run(
        TIES, parts, 7, density=density, weights=weights,
        normalize=normalize, rescale=rescale, compat="mergekit",
    )  # fmt: skip
    assert np.allclose(base + ours, base + theirs, rtol=1e-12, atol=1e-17)


@pytest.mark.oracle
@pytest.mark.parametrize("weights", WEIGHTS[:2])
def test_with_positive_weights_and_no_ties_the_default_is_mergekits(weights: tuple[float, ...]) -> None:
    base, *models = vectors(4, (6, 9))

    theirs = mergekit("ties", base, models, weight=list(weights), density=[0.2] * 3)

    ours = run(TIES, [model - base for model in models], weights=weights)
    assert np.allclose(base + ours, base + theirs, rtol=1e-12, atol=1e-17)
