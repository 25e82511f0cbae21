"""SCE: select where vectors differ most, weigh them by energy, erase minority signs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.operators.naive import Doubles, vectors
from tests.operators.running import BLOCKS, LIBRARIES, SHAPES, mergekit, run, settings
from weightarith.operators.field import Tensors
from weightarith.operators.sce import SCE

SHARES = pytest.mark.parametrize("share", [0.01, 0.3, 0.99, 1.0])


def naive(parts: list[Doubles], share: float, normalize: bool = True) -> Doubles:
    stack = np.array([part.ravel() for part in parts])
    spread = stack.var(axis=0)
    if share < 1 and stack.size:
        many = max(1, int(share * np.count_nonzero(spread))) if share else 0
        kept = np.argsort(-spread, kind="stable")[:many]
        stack = np.where(np.isin(np.arange(stack.shape[1]), kept), stack, 0.0)
    energy = (stack**2).sum(axis=1)
    shares = energy / energy.sum() if energy.sum() else np.full(len(stack), 1 / len(stack))
    made = np.zeros(stack.shape[1])
    for place, column in enumerate(stack.T):
        winners = np.sign(column) * np.sign(column.sum()) > 0
        if winners.any():
            size = shares[winners].sum() if normalize else 1.0
            made[place] = (shares * column)[winners].sum() / size
    return made.reshape(parts[0].shape)


@LIBRARIES
@BLOCKS
@SHAPES
@SHARES
@pytest.mark.parametrize("normalize", [True, False])
def test_what_differs_most_is_merged_by_energy(
    library: Any, block: int, shape: tuple[int, ...], share: float, normalize: bool
) -> None:
    parts = vectors(3, shape)

    found = run(SCE, [library(part) for part in parts], block, select_topk=share, normalize=normalize)

    assert found.shape == shape
    assert np.allclose(np.asarray(found), naive(parts, share, normalize), rtol=1e-13, atol=0)


def test_an_example_by_hand() -> None:
    parts = [np.array([2.0, 1.0, 0.0, 1.0]), np.array([-1.0, 1.0, 0.0, 1.5])]

    # Energies 6 and 4.25; where plus is elected first, the second vector is erased.
    assert np.allclose(run(SCE, parts), [2, 1, 0, (6 * 1 + 4.25 * 1.5) / 10.25])
    assert np.allclose(run(SCE, parts, normalize=False)[0], 2 * 6 / 10.25)
    # Of the two elements that differ, the first differs more.
    assert np.allclose(run(SCE, parts, select_topk=0.5), [2, 0, 0, 0])


def test_numpy_and_torch_select_the_same_elements() -> None:
    import torch

    parts = vectors(3, (50, 40))

    ours, theirs = (
        run(SCE, each, select_topk=0.3) for each in (parts, [torch.tensor(part) for part in parts])
    )

    assert np.array_equal(ours != 0, np.asarray(theirs) != 0)
    assert np.allclose(ours, np.asarray(theirs), rtol=1e-14, atol=0)


@given(
    parts=arrays(np.float64, (3, 12), elements=st.integers(-4, 4).map(float)),
    power=st.integers(-200, 200),
    share=st.sampled_from([0.3, 1.0]),
)
def test_small_vectors_are_weighed_as_large_ones_are(parts: Doubles, power: int, share: float) -> None:
    factor = -(2.0**power)

    scaled = run(SCE, list(factor * parts), select_topk=share)

    assert np.allclose(scaled, factor * run(SCE, list(parts), select_topk=share), rtol=1e-14, atol=0)


def test_mergekit_weighs_small_vectors_all_alike() -> None:
    parts = [1e-5 * part for part in vectors(2, (20,))]

    ours, theirs = (run(SCE, parts, compat=each) for each in ("", "mergekit"))

    assert np.allclose(ours, naive(parts, 1.0), rtol=1e-13)
    assert not np.allclose(ours, theirs, rtol=0.01)


@pytest.mark.parametrize("compat", ["", "mergekit"])
@SHARES
def test_zeros_make_zeros_equal_vectors_stay_and_empty_tensors_are_no_error(
    share: float, compat: str
) -> None:
    zeros, (one,) = np.zeros((3, 4)), vectors(1, (5,))

    assert not run(SCE, [zeros, zeros], select_topk=share, compat=compat).any()
    assert np.allclose(run(SCE, [one, one], select_topk=1.0, compat=compat), one, rtol=1e-15)
    SCE.run(Tensors([np.zeros(0)] * 2), **settings(SCE, 2, {"select_topk": share, "compat": compat}))


@pytest.mark.oracle
@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-6])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.99, 1.0])
@pytest.mark.parametrize("shape", [(1,), (50,), (6, 9), (7, 1, 3)], ids=str)
def test_sce_is_mergekits_in_its_own_terms(shape: tuple[int, ...], share: float, size: float) -> None:
    parts = [size * part for part in vectors(3, shape)]
    for part in parts:
        part[0] = parts[0][0]

    theirs = mergekit("sce", np.zeros(shape), parts, select_topk=share)

    ours = run(SCE, parts, 7, select_topk=share, compat="mergekit")
    assert np.allclose(ours, theirs, rtol=1e-12, atol=0)
