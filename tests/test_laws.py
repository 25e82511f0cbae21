"""The laws of the algebra, on files: what must hold bit for bit whatever the numbers are."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.reference import BITS, Raw, encode, from_bits, rounded, shard, step, write
from tests.reference import read as stored
from weightarith.algebra import Checkpoint, Linear, Sum, Vector
from weightarith.engine import blocks
from weightarith.saving import save

NAME = "model.layers.0.mlp.up_proj.weight"
FLOATS = ("BF16", "F16", "F32", "F64")
REACH = {"BF16": 2.0**15, "F16": 2.0**12}
"""How many times larger than a weight its change may be for float32 to hold the change well enough."""

law = settings(max_examples=30)  # each example is a tensor of many numbers
shapes = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9)
coefficients = st.fractions(-4, 4, max_denominator=1000) | st.sampled_from(
    [Fraction(10**6), Fraction("1e-3")]
)


@pytest.fixture(scope="module")
def scratch() -> Iterator[Callable[[], Path]]:
    """A new folder at each call, for examples that hypothesis makes; the disk is not waited for."""
    numbers = itertools.count()
    with TemporaryDirectory() as folder, patch.object(os, "fsync"):
        yield lambda: Path(folder, str(next(numbers)))


def tensors(code: str, largest: float = 1e30, count: int = 1) -> st.SearchStrategy[list[Raw]]:
    """Return a strategy for finite tensors of one shape, given as bits."""
    kind = np.dtype(BITS[code])

    def finite(bits: Any) -> Raw:
        raw = from_bits(bits, code)
        return encode(np.where(np.abs(raw.values) <= largest, raw.values, 1.0), code)

    return shapes.flatmap(
        lambda shape: st.lists(arrays.arrays(kind, shape).map(finite), min_size=count, max_size=count)
    )


def one(folder: Path, label: str, raw: Raw) -> Checkpoint:
    write(folder / label / "model.safetensors", {NAME: raw})
    return Checkpoint.open(folder / label, label=label)


def saved(total: Linear, path: Path, **options: Any) -> dict[str, Raw]:
    save(total, path, device="cpu", **options)
    return stored(path)


def difference(total: Linear, path: Path, label: str) -> Vector:
    save(total, path.with_suffix(".safetensors"), device="cpu")
    return Vector.open(path.with_suffix(".safetensors"), label=label)


@pytest.mark.parametrize("code", ["BF16", "F16"])
@law
@given(data=st.data())
def test_adding_a_stored_difference_gives_the_model_bit_for_bit(
    scratch: Callable[[], Path], code: str, data: st.DataObject
) -> None:
    folder = scratch()
    b, wanted = data.draw(tensors(code, count=2))
    near = np.abs(wanted.values - b.values) < REACH[code] * np.abs(wanted.values)
    a = from_bits(np.where(near.reshape(-1), wanted.bits, b.bits), code, b.shape)

    base = one(folder, "base", b)
    vector = difference(one(folder, "a", a) - base, folder / "v", "v")

    assert saved(base + vector, folder / "out") == {NAME: a}


@pytest.mark.parametrize("code", FLOATS)
def test_a_difference_added_back_in_one_expression_copies_every_bit(tmp_path: Path, code: str) -> None:
    bits = np.random.default_rng(0).integers(0, 256, 1 << 16, np.uint8).view(BITS[code])
    a, b = from_bits(bits, code), from_bits(bits[::-1], code)
    first, second = one(tmp_path, "a", a), one(tmp_path, "b", b)

    assert saved(second + (first - second), tmp_path / "out") == {NAME: a}


def test_a_model_minus_itself_is_a_vector_without_tensors(tmp_path: Path) -> None:
    a = one(tmp_path, "a", encode([1.0, -0.0, 3.0], "BF16"))
    nothing = difference(a - a, tmp_path / "v", "v")

    assert stored(tmp_path / "v.safetensors") == {}
    assert saved(a + nothing, tmp_path / "out") == stored(tmp_path / "a")


@pytest.mark.parametrize("code", FLOATS)
@law
@given(data=st.data())
def test_a_model_minus_its_copy_is_zero_and_leaves_every_bit(
    scratch: Callable[[], Path], code: str, data: st.DataObject
) -> None:
    folder = scratch()
    (raw,) = data.draw(tensors(code))
    a, copy = one(folder, "a", raw), one(folder, "copy", raw)
    zero = difference(a - copy, folder / "v", "v")

    (found,) = stored(folder / "v.safetensors").values()
    assert not found.bits.any()
    assert saved(a + 1.7 * zero, folder / "out") == {NAME: raw}


@pytest.mark.parametrize("code", [*FLOATS, "I64", "U8", "F8_E4M3"])
def test_nothing_added_copies_the_bits_of_every_dtype(tmp_path: Path, code: str) -> None:
    bits = np.random.default_rng(1).integers(0, 256, 1 << 12, np.uint8).view(BITS[code])
    write(
        tmp_path / "base" / "model.safetensors",
        {"norm.weight": encode([1.0], "F32"), "x": from_bits(bits, code)},
    )
    base = Checkpoint.open(tmp_path / "base", label="base")
    write(tmp_path / "v.safetensors", {"norm.weight": encode([1.0], "F32")}, {"weightarith.kind": "vector"})
    vector = Vector.open(tmp_path / "v.safetensors")

    assert saved(base + 0 * vector, tmp_path / "out")["x"].data == bits.tobytes()
    assert saved(base + vector, tmp_path / "moved")["x"].data == bits.tobytes()


@pytest.mark.parametrize("code", FLOATS)
@law
@given(data=st.data())
def test_swapping_the_two_models_of_a_difference_negates_it(
    scratch: Callable[[], Path], code: str, data: st.DataObject
) -> None:
    folder = scratch()
    first, second = data.draw(tensors(code, count=2))
    a, b = one(folder, "a", first), one(folder, "b", second)
    forth, back = difference(a - b, folder / "ab", "ab"), difference(b - a, folder / "ba", "ba")

    assert saved(-back, folder / "minus.safetensors") == stored(folder / "ab.safetensors")
    assert saved(forth + back, folder / "zero.safetensors") == {
        NAME: encode(np.zeros(first.shape), stored(folder / "ab.safetensors")[NAME].code)
    }


@law
@given(data=st.data())
def test_a_contrast_is_the_difference_of_two_task_vectors(
    scratch: Callable[[], Path], data: st.DataObject
) -> None:
    folder = scratch()
    raws = data.draw(tensors("BF16", count=3))
    p, n, base = (one(folder, *each) for each in zip(("p", "n", "base"), raws, strict=True))
    direct = saved(p - n, folder / "direct.safetensors")[NAME].values
    positive, negative = difference(p - base, folder / "p+", "p+"), difference(n - base, folder / "n-", "n-")

    by_parts = saved(positive - negative, folder / "parts.safetensors")[NAME].values
    in_one = saved((p - base) - (n - base), folder / "one.safetensors")[NAME].values

    assert np.array_equal(in_one, direct)
    once = [step(stored(folder / f"{name}.safetensors")[NAME].values, "F32") / 2 for name in ("p+", "n-")]
    assert np.all(np.abs(by_parts - direct) <= once[0] + once[1] + step(direct, "F32"))


@law
@given(raw=tensors("BF16", largest=1e20), k=coefficients, m=coefficients)
def test_factors_multiply(scratch: Callable[[], Path], raw: list[Raw], k: Fraction, m: Fraction) -> None:
    folder = scratch()
    zero = one(folder, "zero", encode(np.zeros(raw[0].shape), "BF16"))
    vector = difference(one(folder, "a", raw[0]) - zero, folder / "v", "v")
    scaled = difference(m * vector, folder / "mv", "mv")

    once = saved(k * m * vector, folder / "once.safetensors")
    twice = saved(k * scaled, folder / "twice.safetensors")

    assert saved(k * (m * vector), folder / "same.safetensors") == once
    if k and m:
        least = 2.0**-149 * (1 + abs(float(k)))  # where products are subnormal
        exact = float(k * m) * raw[0].values
        assert np.all(np.abs(twice[NAME].values - exact) <= 1.5 * step(exact, "F32") + least)
        assert np.array_equal(once[NAME].values, rounded(exact, "F32"))


@law
@given(data=st.data(), order=st.permutations(range(5)), kind=st.sampled_from(["checkpoint", "vector"]))
def test_the_order_of_terms_changes_no_byte(
    scratch: Callable[[], Path], data: st.DataObject, order: list[int], kind: str
) -> None:
    folder = scratch()
    raws = data.draw(tensors("F32", largest=1e20, count=3))
    base, a, b = (one(folder, *each) for each in zip(("base", "a", "b"), raws, strict=True))
    v, w = difference(a - b, folder / "v", "v"), difference(b - base, folder / "w", "w")
    parts = [0.3 * a, -1.3 * b, (2 if kind == "checkpoint" else 1) * base, 1e-3 * v, 1e6 * w]

    def summed(parts: list[Sum]) -> Sum:
        return parts[0] + parts[1] + (parts[2] + (parts[3] + parts[4]))

    saved(summed(parts), folder / "straight.safetensors")
    saved(summed([parts[place] for place in order]), folder / "shuffled.safetensors")

    assert (folder / "straight.safetensors").read_bytes() == (folder / "shuffled.safetensors").read_bytes()


def a_model(seed: int) -> dict[str, Raw]:
    random = np.random.default_rng(seed)
    sizes = {"model.embed_tokens.weight": (300, 64), "model.norm.weight": (64,), "lm_head.weight": (300, 64)}
    sizes |= {f"model.layers.{layer}.mlp.up_proj.weight": (128, 64) for layer in range(12)}
    codes = {"model.norm.weight": "F32", "lm_head.weight": "F16"}
    made = {
        name: encode(random.standard_normal(size), codes.get(name, "BF16")) for name, size in sizes.items()
    }
    return made | {"model.position_ids": from_bits(np.arange(64), "I64")}


def test_the_shards_of_the_inputs_change_no_byte(tmp_path: Path) -> None:
    written = []
    for count in (1, 2, 5):
        base = Checkpoint.open(shard(tmp_path / f"{count}" / "base", a_model(0), count), label="base")
        other = Checkpoint.open(shard(tmp_path / f"{count}" / "ft", a_model(1), count), label="ft")
        save(base + 0.7 * (other - base), tmp_path / f"model-{count}", shard_size=100_000)
        save(other - base, tmp_path / f"vector-{count}", shard_size=100_000)
        outputs = sorted(tmp_path.glob(f"*-{count}/*.safetensors*"))
        written.append({file.parent.name[:5] + file.name: file.read_bytes() for file in outputs})

    assert len(written[0]) > 4
    assert written[0] == written[1] == written[2]


@pytest.mark.parametrize("small", [False, True])
def test_threads_and_blocks_change_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: bool
) -> None:
    base = Checkpoint.open(shard(tmp_path / "base", a_model(0), 1), label="base")
    other = Checkpoint.open(shard(tmp_path / "ft", a_model(1), 2), label="ft")
    total = 0.3 * base + 0.7 * other
    save(total, tmp_path / "once", device="cpu", threads=1)
    if small:
        monkeypatch.setattr(blocks, "BLOCK_BYTES", 256)

    for threads in (1, 2, 8):
        save(total, tmp_path / f"{threads}", device="cpu", threads=threads)

        found = (tmp_path / f"{threads}" / "model.safetensors").read_bytes()
        assert found == (tmp_path / "once" / "model.safetensors").read_bytes()
    receipts = {(tmp_path / f"{threads}" / "weightarith.json").read_bytes() for threads in (1, 2, 8)}
    assert len(receipts) == 1
