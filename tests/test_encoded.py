"""Encoded displacements come back: signs to one bit, bytes to half a step a row, what is sparse exactly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests import tiny
from tests.packed import VECTOR, decoded, naive, packed, vector
from weightarith.kernels.encodings import (
    Doubles,
    encode,
    nonzero_places,
    pack_signs,
    quantise_rows,
    row_magnitudes,
    sign_scale,
)
from weightarith.store import Encoded, open_source
from weightarith.tensorfile.encoded import KEY, Kind, encodings_text, parts_of

KINDS: tuple[Kind, ...] = ("sign", "int8", "sparse")
SHAPES = [(), (1,), (0,), (3, 0), (0, 3), (13,), (5, 7), (1, 1), (3, 2, 5), (4, 1, 3), (2, 9000)]
RANDOM = np.random.default_rng(0)


def displacement(shape: tuple[int, ...]) -> Doubles:
    """Return float32 numbers, about half of them zero."""
    values = RANDOM.standard_normal(shape).astype(np.float32).astype(np.float64)
    return np.where(RANDOM.random(shape) < 0.5, values, 0.0)


def stored(folder: Path, kind: Kind, values: Doubles, val: str = "F32") -> Encoded:
    """Write a displacement, open the file and return what it holds."""
    path = vector(
        folder / "v.safetensors", packed("q.weight", kind, values, val), {"q.weight": (kind, values.shape)}
    )
    source = open_source(path)
    assert (source.kind, dict(source.tensors), list(source.encoded)) == ("vector", {}, ["q.weight"])
    return source.encoded["q.weight"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_block_size_decodes_to_what_a_naive_reader_finds(
    kind: Kind, shape: tuple[int, ...], tmp_path: Path
) -> None:
    encoded = stored(tmp_path, kind, displacement(shape))

    expected = naive(encoded)
    for block in (1, 7, 8, 64, 1 << 20) if encoded.count < 1000 else (4096, 5000, 1 << 20):
        np.testing.assert_array_equal(decoded(encoded, block), expected)
    assert encoded.shape == shape


@pytest.mark.parametrize("shape", SHAPES)
def test_signs_come_back_at_the_mean_magnitude(shape: tuple[int, ...], tmp_path: Path) -> None:
    values = displacement(shape)

    found = decoded(stored(tmp_path, "sign", values), 8)

    mean = np.float32(np.abs(values).mean()) if values.size else np.float32(0)
    np.testing.assert_array_equal(np.abs(found), np.full(shape, mean, np.float64))
    np.testing.assert_array_equal(found > 0, values > 0)


@pytest.mark.parametrize("shape", SHAPES)
def test_bytes_come_back_to_half_a_step_of_their_row(shape: tuple[int, ...], tmp_path: Path) -> None:
    values = displacement(shape)

    found = decoded(stored(tmp_path, "int8", values), 5)

    largest = np.abs(values).max(axis=-1, keepdims=True, initial=0) if shape else np.abs(values)
    assert (np.abs(found - values) <= largest / 254 * (1 + 1e-5)).all()
    np.testing.assert_array_equal(found == 0, np.abs(values) <= largest / 254)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("val", ["F64", "F32"])
def test_what_is_sparse_comes_back_exactly(val: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    values = displacement(shape)

    np.testing.assert_array_equal(decoded(stored(tmp_path, "sparse", values, val), 6), values)


@pytest.mark.parametrize(("val", "rtol"), [("F16", 2.0**-11), ("BF16", 2.0**-8)])
def test_sparse_values_may_be_of_sixteen_bits(val: str, rtol: float, tmp_path: Path) -> None:
    values = displacement((5, 7))

    found = decoded(stored(tmp_path, "sparse", values, val), 6)

    np.testing.assert_allclose(found, values, rtol=rtol)
    np.testing.assert_array_equal(found == 0, values == 0)


def test_a_displacement_of_zeros_is_one_in_every_encoding(tmp_path: Path) -> None:
    for kind in KINDS:
        found = decoded(stored(tmp_path, kind, np.zeros((3, 5))), 4)
        np.testing.assert_array_equal(found, np.zeros((3, 5)))


def test_long_sparse_tensors_are_searched_and_not_read_whole(tmp_path: Path) -> None:
    values = np.zeros(40_000)
    values[::3] = 1.0
    encoded = stored(tmp_path, "sparse", values)

    for block in (1000, 4097, 39_999):
        np.testing.assert_array_equal(decoded(encoded, block), values)


FINITE = st.floats(-(2.0**100), 2.0**100, width=32)
MATRICES = arrays.arrays(np.float64, arrays.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=FINITE)


@given(MATRICES, st.integers(1, 9))
def test_rows_are_encoded_alike_whatever_comes_with_them(rows: Doubles, height: int) -> None:
    blocks = [rows[first : first + height] for first in range(0, len(rows), height)]

    sums = [row_magnitudes(block) for block in blocks]
    assert sign_scale(np.concatenate(sums), rows.size) == sign_scale(row_magnitudes(rows)[::-1], rows.size)
    steps, scales = zip(*(quantise_rows(block) for block in blocks), strict=True)
    np.testing.assert_array_equal(np.concatenate(steps), quantise_rows(rows)[0])
    np.testing.assert_array_equal(np.concatenate(scales), quantise_rows(rows)[1])


@given(MATRICES, st.integers(1, 5))
def test_flat_blocks_are_encoded_alike_wherever_they_begin(rows: Doubles, eighths: int) -> None:
    flat = rows.reshape(-1)
    starts = range(0, flat.size, 8 * eighths)
    blocks = [(start, flat[start : start + 8 * eighths]) for start in starts]

    np.testing.assert_array_equal(np.concatenate([pack_signs(b) for _, b in blocks]), pack_signs(flat))
    places, values = zip(*(nonzero_places(block, start) for start, block in blocks), strict=True)
    np.testing.assert_array_equal(np.concatenate(places), np.flatnonzero(flat))
    np.testing.assert_array_equal(np.concatenate(values), flat[flat != 0])


@given(MATRICES, st.integers(-20, 20))
def test_a_displacement_scaled_by_a_power_of_two_is_encoded_the_same_at_another_scale(
    rows: Doubles, exponent: int
) -> None:
    rows = np.where(np.abs(rows) < 1e-20, 0.0, rows)  # where float32 has such steps
    scaled = encode(np.ldexp(rows, exponent), "int8")

    np.testing.assert_array_equal(scaled[""], encode(rows, "int8")[""])
    np.testing.assert_array_equal(scaled["scale"], np.ldexp(encode(rows, "int8")["scale"], exponent))


def test_places_of_large_tensors_take_eight_bytes() -> None:
    assert parts_of("sparse", (2**31,), kept=5)["idx"][0].code == "I32"
    assert parts_of("sparse", (2**31 + 1,), kept=5)["idx"][0].code == "I64"


def test_the_header_tells_kind_and_shape_by_name_in_order() -> None:
    text = encodings_text({"b": ("sparse", (2, 3)), "a": ("sign", ())})

    assert text == '{"a":{"enc":"sign","shape":[]},"b":{"enc":"sparse","shape":[2,3]}}'


def test_encoded_dense_and_factored_displacements_lie_side_by_side(tmp_path: Path) -> None:
    parts = packed("up", "int8", displacement((4, 3))) | packed("norm", "sparse", displacement((9,)))
    parts |= {"bias": ("F32", np.ones(3)), "q::A": ("F32", np.ones((2, 5))), "q::B": ("F32", np.ones((7, 2)))}

    source = open_source(
        vector(tmp_path / "v.safetensors", parts, {"up": ("int8", (4, 3)), "norm": ("sparse", (9,))})
    )

    assert (list(source.tensors), list(source.factors), sorted(source.encoded)) == (
        ["bias"],
        ["q"],
        ["norm", "up"],
    )
    assert source.encoded["up"].nbytes == 4 * 3 + 4 * 4


def test_the_parts_may_lie_in_different_shards(tmp_path: Path) -> None:
    values = displacement((5, 7))
    parts = packed("q", "sign", values)
    placed: dict[str, Any] = {}
    for number, (name, part) in enumerate(parts.items(), start=1):
        placed[name] = f"vector-0000{number}-of-00002.safetensors"
        vector(tmp_path / placed[name], {name: part}, {"q": ("sign", values.shape)})
    index = tmp_path / "vector.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": placed}), encoding="utf-8")

    np.testing.assert_array_equal(decoded(open_source(tmp_path).encoded["q"], 7) > 0, values > 0)


@pytest.mark.oracle
def test_the_safetensors_library_reads_and_writes_the_same_parts(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    values = displacement((6, 11))
    for kind in KINDS:
        parts = {name: np.asarray(part) for name, (_, part) in packed("q", kind, values).items()}
        if kind == "sparse":
            parts = {"q::idx": parts["q::idx"].astype(np.int32), "q::val": parts["q::val"].astype(np.float32)}
        path = tmp_path / f"{kind}.safetensors"
        save_file(parts, path, metadata=VECTOR | {KEY: encodings_text({"q": (kind, values.shape)})})

        encoded = open_source(path).encoded["q"]

        np.testing.assert_array_equal(decoded(encoded, 8), naive(encoded))
        assert {name: part.shape for name, part in load_file(path).items()} == {
            name: part.shape for name, part in parts.items()
        }


def test_tiny_writes_nothing_that_is_taken_for_an_encoding(tmp_path: Path) -> None:
    tiny.save(tmp_path / "v.safetensors", {"a": np.zeros(2)}, metadata=VECTOR)

    assert open_source(tmp_path / "v.safetensors").encoded == {}
