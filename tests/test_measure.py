"""Norms of streamed tensors, compared with numpy in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests import tiny
from weightarith import measure
from weightarith.errors import InvalidFileError
from weightarith.kernels.linear import CODES
from weightarith.kernels.reduce import LARGEST, NONFINITE, SQUARES, SUMMARY, ZEROS, summarise
from weightarith.measure import Norm, by_layer, by_role, norms, total
from weightarith.store import open_source

NAMES = (
    "model.embed_tokens.weight",
    "model.layers.10.mlp.up_proj.weight",
    "model.layers.2.mlp.up_proj.weight",
)


def saved(path: Path, *, dtype: str = "F32", **tensors: tiny.Array) -> Path:
    tiny.save(path, tensors, dtype=dtype)
    return path


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32", "F64"])
def test_norms_are_those_of_numpy(dtype: str, tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((123, 77))
    values[0, :5] = 0.0
    values[0, 5] = -0.0
    path = saved(tmp_path / "m.safetensors", dtype=dtype, w=values)

    found = norms(open_source(path))["w"]

    stored = tiny.load(path)["w"].astype(np.float64)
    assert found.norm == pytest.approx(float(np.linalg.norm(stored)), rel=1e-14)
    assert found.largest == float(np.abs(stored).max())
    assert (found.count, found.zeros, found.nonfinite) == (values.size, 6, 0)


@given(arrays.arrays(np.float64, st.integers(0, 2100), elements=st.floats(width=32)))
def test_a_summary_counts_what_is_zero_and_what_is_not_finite(values: tiny.Array) -> None:
    summary = np.zeros(SUMMARY)

    summarise(values.view(np.uint8), CODES["F64"], values.size, 1.0, summary)

    finite = values[np.isfinite(values)]
    assert summary[SQUARES] == pytest.approx(float((finite**2).sum()), rel=1e-12)
    assert summary[LARGEST] == np.abs(finite).max(initial=0)
    assert summary[ZEROS] == np.count_nonzero(finite == 0)
    assert summary[NONFINITE] == values.size - finite.size


def test_nan_and_infinity_count_as_zero_and_are_told(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.safetensors", w=np.array([3.0, np.nan, -np.inf, 0.0, 4.0, np.inf]))

    assert norms(open_source(path))["w"] == Norm(5.0, 4.0, 6, 1, 3)


@pytest.mark.parametrize("largest", [1e-320, 1e-200, 1e-100, 1e100, 1e200, 1.5e308])
def test_no_square_vanishes_or_overflows(largest: float, tmp_path: Path) -> None:
    path = saved(tmp_path / "m.safetensors", dtype="F64", w=np.array([largest, -largest / 2, 0.0]))

    found = norms(open_source(path))["w"]

    assert found.norm == pytest.approx(largest * 1.25**0.5, rel=1e-3 if largest < 1e-300 else 1e-14)
    assert found.largest == largest


def test_a_tensor_of_many_blocks_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "BLOCK_BYTES", 24)
    values = np.arange(-50.0, 51.0)

    for dtype in ("BF16", "F64"):
        found = norms(open_source(saved(tmp_path / f"{dtype}.safetensors", dtype=dtype, w=values)))["w"]
        assert found == Norm(float(np.linalg.norm(values)), 50.0, 101, 1, 0)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0)])
def test_scalars_and_empty_tensors_have_norms(shape: tuple[int, ...], tmp_path: Path) -> None:
    path = saved(tmp_path / "m.safetensors", w=np.full(shape, -2.0))

    assert norms(open_source(path))["w"].norm == (2.0 if shape == () else 0.0)


def test_buffers_of_integers_have_no_norm(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.safetensors", w=np.ones(2), ids=np.arange(3))

    assert list(norms(open_source(path))) == ["w"]


@pytest.mark.parametrize("rank", [1, 4, 200])
def test_a_factored_norm_is_that_of_the_product(rank: int, tmp_path: Path) -> None:
    folder = tiny.adapter(tmp_path / "adapter", rank=rank, alpha=6)

    found = norms(open_source(folder))

    lowrank = tiny.load(folder)
    assert len(found) == 14
    for name, one in found.items():
        prefix = f"base_model.model.{name.removesuffix('.weight')}"
        left, right = (lowrank[f"{prefix}.lora_{side}.weight"].astype(np.float64) for side in "BA")
        assert one.norm == pytest.approx(float(np.linalg.norm(6 / rank * left @ right)), rel=1e-12)
        assert (one.largest, one.zeros, one.count) == (None, None, left.shape[0] * right.shape[1])


def test_a_factored_norm_survives_cancellation(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    left, right = random.standard_normal((30, 4)), random.standard_normal((4, 20))
    nearly = left * (1 + 1e-9)
    metadata = {"weightarith.kind": "vector", "weightarith.spec": "1"}
    factors = {"w::A": np.concatenate([right, right]), "w::B": np.concatenate([nearly, -left], axis=1)}
    tiny.save(tmp_path / "v.safetensors", factors, dtype="F64", metadata=metadata)

    found = norms(open_source(tmp_path / "v.safetensors"))["w"]

    # The squares of small matrices, BᵀB and AAᵀ, would lose all of it.
    assert found.norm == pytest.approx(float(np.linalg.norm((nearly - left) @ right)), rel=1e-5)


def test_nan_in_a_factor_is_told(tmp_path: Path) -> None:
    metadata = {"weightarith.kind": "vector", "weightarith.spec": "1"}
    factors = {"w::A": np.array([[1.0, np.nan]]), "w::B": np.array([[2.0], [np.inf]])}
    tiny.save(tmp_path / "v.safetensors", factors, dtype="F32", metadata=metadata)

    assert norms(open_source(tmp_path / "v.safetensors"))["w"] == Norm(2.0, None, 4, None, 2)


def test_threads_change_nothing(tmp_path: Path) -> None:
    source = open_source(tiny.checkpoint(tmp_path / "m", tiny.weights()))

    assert norms(source, threads=1) == norms(source, threads=2) == norms(source, threads=7)


def test_progress_only_grows_and_ends_with_every_byte(tmp_path: Path) -> None:
    for folder in (tiny.checkpoint(tmp_path / "m", tiny.weights()), tiny.adapter(tmp_path / "a")):
        source = open_source(folder)
        seen: list[int] = []

        norms(source, threads=2, progress=seen.append)

        assert seen == sorted(seen)
        assert seen[-1] == sum(info.nbytes for info in source.files[0].tensors.values())


def test_a_file_that_changed_since_it_was_opened_is_an_error(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.safetensors", w=np.ones(100))
    source = open_source(path)
    path.write_bytes(path.read_bytes()[:-4])

    with pytest.raises(InvalidFileError, match="changed since its header was read"):
        norms(source)


def test_groups_are_in_the_order_of_layers_and_their_squares_add_up() -> None:
    found = {
        name: Norm(number, None, 1, None, 0) for name, number in zip(NAMES, (2.0, 3.0, 6.0), strict=True)
    }

    assert by_layer(found) == {"outside": 2.0, "2": 6.0, "10": 3.0}
    assert list(by_layer(found)) == ["outside", "2", "10"]
    assert by_role(found) == {"embed": 2.0, "up": pytest.approx(45**0.5)}
    assert total(found.values()) == 7.0
    assert total([]) == 0.0


def test_a_total_of_huge_norms_does_not_overflow() -> None:
    assert total([Norm(3e200, None, 1, None, 0), Norm(4e200, None, 1, None, 0)]) == pytest.approx(5e200)
