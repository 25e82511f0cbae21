"""Singular values, ranks, principal angles and signs: those of numpy on changes multiplied out."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import lowrank
from tests import tiny as models
from tests.conftest import Tiny
from tests.geometry.vectors import adapter_changes, dense_vector, differences, opened
from weightarith.algebra import Checkpoint
from weightarith.geometry import effective_rank, overlap, signs, spectra, spectrum, stable_rank

Q = "model.layers.0.self_attn.q_proj.weight"
DOWN = "model.layers.1.mlp.down_proj.weight"
GATE = "model.layers.1.mlp.gate_proj.weight"
NORM = "model.norm.weight"


def test_values_of_an_adapter_are_those_of_its_change(tiny: Tiny) -> None:
    found, dense = spectrum(opened(tiny.positive)), adapter_changes(tiny.positive)

    assert found.keys() == dense.keys()
    for name, change in dense.items():
        expected = np.linalg.svd(change, compute_uv=False)[:4]
        assert np.allclose(found[name].values, expected, rtol=1e-10, atol=0)
        assert (found[name].count, found[name].shape, found[name].exact) == (4, change.shape, True)
        assert found[name].energy == pytest.approx(float((change**2).sum()), rel=1e-12)


@pytest.mark.parametrize("dtype", ["BF16", "F64"])
def test_values_of_dense_matrices_are_those_of_numpy_tall_wide_and_square(tmp_path: Path, dtype: str) -> None:
    base = models.weights()
    folders = [models.checkpoint(tmp_path / name, each, dtype=dtype)
               for name, each in (("base", base), ("tuned", models.finetuned(base, seed=1)))]  # fmt: skip
    changes = differences(folders[1], folders[0])

    found = spectrum(Checkpoint.open(folders[1]) - Checkpoint.open(folders[0], label="base"))

    assert found.keys() == {name for name, change in changes.items() if change.ndim == 2}
    for name in (Q, DOWN, GATE):
        expected = np.linalg.svd(changes[name], compute_uv=False)
        assert np.allclose(found[name].values, expected, rtol=1e-5, atol=1e-6 * expected[0])


def test_a_dense_matrix_of_low_rank_has_as_many_values(tmp_path: Path) -> None:
    changes = lowrank.changes(models.weights(), 3)
    found = spectrum(dense_vector(tmp_path / "v.safetensors", dict(changes)))

    assert {found[name].count for name in (Q, DOWN, GATE)} == {3}
    assert found[Q].kept()[-1] == pytest.approx(1)


def test_matrices_that_are_too_much_work_are_named_and_not_dropped(tmp_path: Path, tiny: Tiny) -> None:
    vector = dense_vector(tmp_path / "v.safetensors", {Q: np.ones((16, 16)), DOWN: np.ones((16, 32))})

    found = spectra(vector, work=16**3)

    assert (list(found.found), found.skipped) == ([Q], (DOWN,))
    assert spectra(opened(tiny.positive), work=0).skipped == ()


@given(st.integers(1, 12), st.floats(0.1, 10))
def test_equal_values_have_a_rank_of_their_number(count: int, size: float) -> None:
    values = np.full(count, size)

    assert effective_rank(values) == pytest.approx(count)
    assert stable_rank(values) == pytest.approx(count)


def test_ranks_follow_their_definitions() -> None:
    shares = [0.5, 0.25, 0.25]
    entropy = -sum(share * math.log(share) for share in shares)

    assert effective_rank(np.array([2.0, 1.0, 1.0])) == pytest.approx(math.exp(entropy))
    assert stable_rank(np.array([2.0, 1.0, 1.0])) == pytest.approx(6 / 4)
    assert effective_rank(np.zeros(0)) == stable_rank(np.zeros(0)) == 0


def test_a_vector_overlaps_with_itself_whatever_its_size(tiny: Tiny) -> None:
    adapter = opened(tiny.positive)

    for one in overlap(adapter, -0.3 * adapter).values():
        assert [one.writing, one.reading] == pytest.approx([1, 1])
        assert one.ranks == (4, 4)


@pytest.mark.parametrize("dense", [False, True])
def test_overlaps_are_those_of_orthonormal_bases(tmp_path: Path, tiny: Tiny, dense: bool) -> None:
    one, other = adapter_changes(tiny.positive), adapter_changes(tiny.negative)
    given_ = [opened(tiny.positive), opened(tiny.negative)]
    if dense:
        given_ = [dense_vector(tmp_path / f"{n}.safetensors", each) for n, each in enumerate((one, other))]

    found = overlap(*given_, directions=3)

    for name in (Q, DOWN, GATE):
        first, second = (np.linalg.svd(each[name]) for each in (one, other))
        left = np.linalg.svd(first[0][:, :3].T @ second[0][:, :3], compute_uv=False)
        right = np.linalg.svd(first[2][:3] @ second[2][:3].T, compute_uv=False)
        assert np.allclose(found[name].left, left, atol=1e-4)
        assert np.allclose(found[name].right, right, atol=1e-4)
        assert found[name].writing == pytest.approx(float((left**2).sum()) / 3, abs=1e-4)
        rows, columns = one[name].shape
        assert found[name].by_chance == (3 / rows, 3 / columns)


def test_only_matrices_that_both_move_have_an_overlap(tmp_path: Path) -> None:
    one = dense_vector(
        tmp_path / "one.safetensors", {Q: np.eye(16), NORM: np.ones(16), GATE: np.ones((32, 16))}
    )
    other = dense_vector(tmp_path / "other.safetensors", {Q: np.eye(16), NORM: np.ones(16)})

    assert list(overlap(one, other)) == [Q]


def test_signs_are_counted_where_both_move_a_weight(tmp_path: Path) -> None:
    one = dense_vector(tmp_path / "one.safetensors", {Q: np.array([[1.0, -1.0, 0.0, 2.0]])})
    other = dense_vector(tmp_path / "other.safetensors", {Q: np.array([[3.0, 1.0, 5.0, -1.0]])})
    none = dense_vector(tmp_path / "none.safetensors", {NORM: np.ones(4)})

    found = signs(one, other, none)

    assert found.agreement()[0, 1] == pytest.approx(1 / 3)
    assert found.agreement()[0, 0] == 1
    assert math.isnan(found.agreement()[0, 2])
    assert found.by(lambda name: name)[Q][1, 0] == pytest.approx(1 / 3)


def test_signs_of_factored_and_dense_vectors_are_those_of_their_changes(tiny: Tiny) -> None:
    base = Checkpoint.open(tiny.base, label="base")
    dense, change = adapter_changes(tiny.positive), differences(tiny.finetuned, tiny.base)

    found = signs(opened(tiny.positive), Checkpoint.open(tiny.finetuned) - base)

    products = np.concatenate([(dense[name] * change[name]).ravel() for name in dense])
    assert found.agreement()[0, 1] == pytest.approx((products > 0).sum() / (products != 0).sum(), abs=1e-12)
