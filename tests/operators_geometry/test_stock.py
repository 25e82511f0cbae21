"""`model_stock`: the ratio from the mean cosine, per tensor and per row."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from tests.operators_geometry.fields import MATRICES, PLAIN, SHAPES, Doubles, Machine, along, close, random
from weightarith.operators.field import Mixed, Tensors
from weightarith.operators.stock import model_stock

AXES = {"tensor": None, "row": -1}


def naive(*deltas: Doubles) -> Doubles:
    cosines = []
    for a, b in combinations(deltas, 2):
        size = float(np.linalg.norm(a) * np.linalg.norm(b))
        cosines.append(float(a @ b) / size if size else 0.0)
    mean = max(sum(cosines) / len(cosines), 0.0)
    share = len(deltas) * mean / (1 + (len(deltas) - 1) * mean)
    return np.asarray(share * np.mean(deltas, axis=0))


@pytest.mark.parametrize("per", list(AXES))
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [2, 4])
def test_it_is_the_formula(machine: Machine, shape: tuple[int, ...], per: str, count: int) -> None:
    deltas = random(count, shape, seed=1, spread=0.7)

    found = machine(model_stock, deltas, per=per)

    assert close(found, along(AXES[per], naive, deltas), 1e-12)


@pytest.mark.parametrize("per", list(AXES))
def test_equal_vectors_are_kept_and_opposite_ones_dropped(per: str) -> None:
    a, b = random(2, (6, 5))

    assert close(PLAIN(model_stock, [a, a, a], per=per), a, 1e-12)
    assert not np.any(PLAIN(model_stock, [a, b - a], per="tensor") * (np.sum(a * (b - a)) < 0))
    assert close(PLAIN(model_stock, [a, -2 * a], per=per), 0 * a)


def test_vectors_at_sixty_degrees_keep_two_thirds_of_their_mean() -> None:
    a = np.array([1.0, 0.0, 0.0])
    b = np.array([0.5, math.sqrt(0.75), 0.0])

    assert close(PLAIN(model_stock, [a, b]), (a + b) / 3)


@pytest.mark.parametrize("scale", [1e-3, 1e-12, 1e9])
def test_the_size_of_the_vectors_does_not_matter(scale: float) -> None:
    deltas = random(3, (6, 5))

    scaled = PLAIN(model_stock, [scale * one for one in deltas])

    assert close(scaled / scale, PLAIN(model_stock, deltas), 1e-12)


def test_mergekit_shrinks_small_vectors_and_turns_those_that_disagree_around() -> None:
    a, b = random(2, (6, 5))
    small = PLAIN(model_stock, [1e-5 * a, 1e-5 * b], compat="mergekit")
    c = 0.2 * b - a
    assert np.sum(a * c) < 0

    turned = PLAIN(model_stock, [a, c], compat="mergekit")

    assert np.linalg.norm(small) < 0.01 * np.linalg.norm(PLAIN(model_stock, [1e-5 * a, 1e-5 * b]))
    assert np.sum(turned * (a + c)) < 0
    assert close(PLAIN(model_stock, [a, -a], compat="mergekit"), 0 * a)


@pytest.mark.parametrize("shape", MATRICES)
def test_rows_that_are_zero_in_one_vector_are_shortened_and_finite(shape: tuple[int, ...]) -> None:
    a, b, c = random(3, shape)
    a[0], b[0] = 0, 0

    found = PLAIN(model_stock, [a, b, c], per="row")

    assert np.all(np.isfinite(found))
    assert not np.any(found[0])


def test_an_empty_tensor_has_coefficients_too() -> None:
    for per in AXES:
        found = model_stock(Tensors([np.zeros((0, 3))] * 2), per=per)
        assert isinstance(found, Mixed)
        assert found.coefficients == (0, 0)
