"""`arcee_fusion`: against scores that are all there and sorted."""

from __future__ import annotations

import numpy as np
import pytest

from tests.operators_geometry.fields import PLAIN, SHAPES, Doubles, Machine, close, random
from weightarith.operators.field import SAMPLE, Mixed, Tensors
from weightarith.operators.fusion import arcee_fusion, divergence


def naive(base: Doubles, other: Doubles) -> Doubles:
    def softmax(values: Doubles) -> Doubles:
        raised = np.exp(values - values.max(axis=-1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=-1, keepdims=True))

    rows = (np.atleast_1d(base), np.atleast_1d(other))
    q, p = (softmax(one) for one in rows)
    scores = np.abs(rows[1] - rows[0]) * np.sum(p * np.log(p / q), axis=-1, keepdims=True)
    ranked = np.sort(scores.reshape(-1))
    low, middle, high = (ranked[int(share * (ranked.size - 1))] for share in (0.25, 0.5, 0.75))
    return np.where(scores >= middle + 1.5 * (high - low), rows[1], rows[0]).reshape(base.shape)


@pytest.mark.parametrize("spread", [1.0, 1e-2])
@pytest.mark.parametrize("shape", [*(shape for shape in SHAPES if shape != (9, 1)), (40, 30), (30, 2, 21)])
def test_what_stands_out_is_taken(machine: Machine, shape: tuple[int, ...], spread: float) -> None:
    base, other = random(2, shape, seed=2)
    other = np.asarray(base + spread * (other - base))

    assert np.array_equal(machine(arcee_fusion, [base, other]), naive(base, other))


def test_quartiles_are_exact_where_a_sample_is_not_the_whole(machine: Machine) -> None:
    base, other = random(2, (300, 510), seed=4)
    assert base.size > 2 * SAMPLE
    machine = Machine(machine.library, 1000 * machine.block)

    found = machine(arcee_fusion, [base, other])

    assert np.array_equal(found, naive(base, other))
    assert 0 < np.count_nonzero(found != base) < base.size / 4


def test_a_model_that_changes_nothing_changes_nothing(machine: Machine) -> None:
    (base,) = random(1, (6, 5))

    assert np.array_equal(machine(arcee_fusion, [base, base]), base)


def test_a_column_has_rows_that_cannot_diverge_and_is_taken_whole() -> None:
    base, other = random(2, (9, 1))

    assert np.array_equal(PLAIN(arcee_fusion, [base, other]), other)


def test_rows_that_did_not_change_are_kept(machine: Machine) -> None:
    base, other = random(2, (8, 50))
    other[:6] = base[:6]

    found = machine(arcee_fusion, [base, other])

    assert np.array_equal(found[:6], base[:6])
    assert np.array_equal(found, naive(base, other))


@pytest.mark.parametrize("size", [1e-2, 1e-5, 1e-8])
def test_small_divergences_keep_their_digits(size: float) -> None:
    generator = np.random.default_rng(0)
    base, change = 0.02 * generator.standard_normal((2, 3, 4000))
    p = np.exp(base) / np.exp(base).sum(axis=-1, keepdims=True)
    variance = np.sum(p * change**2, axis=-1) - np.sum(p * change, axis=-1) ** 2

    found = divergence(np.stack([base, base + size * change]))

    assert close(found, size**2 * variance / 2, max(size, 1e-6))


def test_rows_with_nothing_in_common_diverge_finitely() -> None:
    base, other = np.array([[0.0, 1000.0]]), np.array([[1000.0, 0.0]])

    assert divergence(np.stack([base, other])) == pytest.approx(np.array([1000.0]))


def test_an_empty_tensor_is_the_base() -> None:
    found = arcee_fusion(Tensors([np.zeros((0, 3))] * 2))

    assert isinstance(found, Mixed)
    assert found.coefficients == (1, 0)
