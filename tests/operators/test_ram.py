"""Reinforced Agent Merging: what one vector changes alone is kept, what several change is averaged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.operators.naive import Doubles, vectors
from tests.operators.running import BLOCKS, LIBRARIES, SHAPES, mergekit, run, run_over
from weightarith.operators.field import Tensors
from weightarith.operators.ram import RAM, RAMPLUS

EPSILON = 1e-5


def sparse(count: int, shape: tuple[int, ...], seed: int = 0) -> list[Doubles]:
    random = np.random.default_rng(100 + seed)
    return [np.where(random.random(shape) < 0.5, part, 1e-6) for part in vectors(count, shape, seed)]


def factors(parts: list[Doubles], r: float, alpha: float) -> list[float]:
    changed = np.array([np.abs(part).ravel() > EPSILON for part in parts])
    alone = (changed & (changed.sum(axis=0) == 1)).sum(axis=1)
    shared = (changed & (changed.sum(axis=0) > 1)).sum(axis=1)
    return [
        1 + r * min(float(many) / max(float(few), EPSILON), alpha)
        for many, few in zip(shared, alone, strict=True)
    ]


def naive(parts: list[Doubles], scales: list[float]) -> Doubles:
    made = np.zeros(parts[0].size)
    for place in range(made.size):
        column = [part.ravel()[place] for part in parts]
        changed = [number for number, value in enumerate(column) if abs(value) > EPSILON]
        if len(changed) == 1:
            made[place] = scales[changed[0]] * column[changed[0]]
        elif changed:
            made[place] = sum(column[number] for number in changed) / len(changed)
    return made.reshape(parts[0].shape)


@LIBRARIES
@BLOCKS
@SHAPES
def test_elements_are_averaged_over_the_vectors_that_change_them(
    library: Any, block: int, shape: tuple[int, ...]
) -> None:
    parts = sparse(3, shape)

    found = run(RAM, [library(part) for part in parts], block)

    assert found.shape == shape
    assert np.allclose(np.asarray(found), naive(parts, [1.0] * 3), rtol=1e-14, atol=0)


@LIBRARIES
@BLOCKS
@SHAPES
@pytest.mark.parametrize(("r", "alpha"), [(0.1, 0.2), (0.5, 3.0), (0.0, 0.2)])
def test_what_a_vector_changes_alone_grows_with_its_overlap(
    library: Any, block: int, shape: tuple[int, ...], r: float, alpha: float
) -> None:
    parts = sparse(3, shape)

    found = run(RAMPLUS, [library(part) for part in parts], block, r=r, alpha=alpha)

    assert np.allclose(np.asarray(found), naive(parts, factors(parts, r, alpha)), rtol=1e-14, atol=0)


def test_over_a_model_the_overlap_counts_all_tensors() -> None:
    tensors = [sparse(3, shape, seed) for seed, shape in enumerate([(30,), (4, 5), (1,), (3, 1, 2)])]
    flat = [np.concatenate([tensor[row].ravel() for tensor in tensors]) for row in range(3)]

    found = run_over(RAMPLUS, tensors, r=0.5, alpha=5.0)

    expected = naive(flat, factors(flat, 0.5, 5.0))
    assert np.allclose(np.concatenate([one.ravel() for one in found]), expected, rtol=1e-14, atol=0)


def test_a_change_must_be_larger_than_epsilon() -> None:
    parts = [np.array([1.0, 0.5, -0.5, 0.0]), np.array([3.0, 0.6, 0.5, 0.0])]

    assert run(RAM, parts, epsilon=0.5).tolist() == [2, 0.6, 0, 0]


@given(order=st.permutations(range(3)), r=st.sampled_from([0.0, 0.5]))
def test_the_order_of_the_vectors_makes_no_difference(order: list[int], r: float) -> None:
    parts = sparse(3, (40,))

    found = run(RAMPLUS, [parts[number] for number in order], r=r)

    assert np.allclose(found, run(RAMPLUS, parts, r=r), rtol=1e-15, atol=0)


@pytest.mark.parametrize("operator", [RAM, RAMPLUS], ids=lambda operator: operator.name)
def test_one_vector_is_kept_zeros_make_zeros_and_empty_tensors_are_no_error(operator: Any) -> None:
    (part,) = vectors(1, (5, 6))

    assert np.array_equal(run(operator, [part]), part)
    assert not run(operator, [np.zeros((3, 4))] * 2).any()
    operator.run(Tensors([np.zeros(0)] * 2), **operator.defaults)


@pytest.mark.oracle
@pytest.mark.parametrize("shape", [(1,), (50,), (6, 9), (7, 1, 3)], ids=str)
@pytest.mark.parametrize("case", ["sparse", "all shared", "all alone"])
def test_ram_is_mergekits(shape: tuple[int, ...], case: str) -> None:
    parts = sparse(3, shape)
    if case == "all shared":
        parts = [parts[0], 2 * parts[0], 3 * parts[0]]
    if case == "all alone":
        parts = [parts[0], 0 * parts[0], 0 * parts[0]]
    base = np.zeros(shape)

    assert np.allclose(run(RAM, parts, 7), mergekit("ram", base, parts), rtol=1e-12, atol=0)
    for r, alpha in ((0.1, 0.2), (0.5, 3.0)):
        theirs = mergekit("ramplus_tl", base, parts, r=r, alpha=alpha)
        # mergekit makes the factors in float32.
        assert np.allclose(run(RAMPLUS, parts, 7, r=r, alpha=alpha), theirs, rtol=2e-7, atol=0)
