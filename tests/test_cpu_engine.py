"""The engine's numbers against float64 and exact fractions, and what it refuses to write."""

from __future__ import annotations

import json
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

from tests import tiny as models
from tests.conftest import Tiny
from tests.reference import BITS, FORMATS, Raw, encode, from_bits, read, rounded, step, total, write
from weightarith.algebra import Checkpoint, Linear, Sum, Vector
from weightarith.engine.settings import Policy
from weightarith.errors import NonFiniteError, WeightArithError
from weightarith.saving import save

NAME = "model.layers.0.mlp.up_proj.weight"
FLOATS = ("BF16", "F16", "F32", "F64")
NAMES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64"}
COEFFICIENTS = ("-1.3", "0.1", "1e-3", "1e6", "1/3", "0.7", "-0.999")


def model(folder: Path, label: str, raw: Raw) -> Checkpoint:
    write(folder / label / "model.safetensors", {NAME: raw})
    return Checkpoint.open(folder / label, label=label)


def made(total: Linear, path: Path, **options: Any) -> Raw:
    save(total, path, overwrite=path.exists(), device="cpu", **options)
    return read(path)[NAME]


def affine(numbers: list[Fraction], leaves: list[Checkpoint]) -> Sum:
    """Return `base + Σ number·(leaf − base)`, base the first of the leaves."""
    base, *others = leaves
    result = 1 * base
    for number, leaf in zip(numbers, others, strict=True):
        result = result + number * (leaf - base)
    return result


def finetunes(folder: Path, code: str) -> tuple[list[Raw], list[Checkpoint]]:
    """Return a base and two fine-tunes of it, close enough for many of their sums to be exact ties."""
    random = np.random.default_rng(0)
    raws = [encode(random.normal(0, 0.02, 300_000), code)]
    raws += [encode(raws[0].values + random.normal(0, 2e-3, 300_000), code) for _ in range(2)]
    return raws, [model(folder, *each) for each in zip(("base", "a", "b"), raws, strict=True)]


@pytest.mark.parametrize("code", FLOATS)
@pytest.mark.parametrize("out", FLOATS)
def test_sums_of_weights_are_the_float64_sums_rounded_once(tmp_path: Path, code: str, out: str) -> None:
    raws, (base, a, b) = finetunes(tmp_path, code)

    found = made(base + 1.5 * (a - b), tmp_path / "out", dtype=NAMES[out])

    expected = rounded(total([(1.0, raws[0]), (1.5, raws[1]), (-1.5, raws[2])]), out)
    if "F64" not in (code, out):  # two float64 sums differ by the order of their terms
        assert np.mean(found.values != expected) <= 1e-4
    noise = 2.0**-51 * 1.5 * np.sum([np.abs(raw.values) for raw in raws], axis=0)
    assert np.all(np.abs(found.values - expected) <= np.maximum(step(expected, out), noise))


@pytest.mark.parametrize("number", [1.3, 0.7])
@pytest.mark.parametrize("code", ["BF16", "F16", "F32"])
def test_a_scaled_difference_is_the_float64_one_as_it_is_written(
    tmp_path: Path, code: str, number: float
) -> None:
    raws, (base, a, b) = finetunes(tmp_path, code)

    found = made(base + number * (a - b), tmp_path / "out")

    expected = rounded(raws[0].values + number * (raws[1].values - raws[2].values), code)
    assert np.mean(found.values != expected) <= 1e-4


@settings(max_examples=60)
@given(data=st.data())
def test_every_sum_is_the_exact_one_rounded_once(data: st.DataObject) -> None:
    codes = data.draw(st.lists(st.sampled_from(FLOATS), min_size=3, max_size=3))
    numbers = [Fraction(text) for text in data.draw(st.tuples(*2 * [st.sampled_from(COEFFICIENTS)]))]
    raws = [data.draw(finite(code)) for code in codes]
    out = data.draw(st.sampled_from(FLOATS))
    with TemporaryDirectory() as scratch, patch("os.fsync"):
        leaves = [model(Path(scratch), *each) for each in zip(("base", "a", "b"), raws, strict=True)]
        try:
            found = made(affine(numbers, leaves), Path(scratch, "out"), dtype=NAMES[out])
        except NonFiniteError:  # the exact sum is too large for the format, or next to it
            return

    weights = [1 - sum(numbers), *numbers]
    digits, least, _ = FORMATS[out]
    for place, value in enumerate(found.values):
        summands = [weight * Fraction(raw.values[place]) for weight, raw in zip(weights, raws, strict=True)]
        exact = sum(summands)
        # Half a unit for the one rounding, and the noise of a float64 sum where large summands cancel.
        unit = Fraction(2) ** (max(int(np.frexp(float(exact))[1]) - 1, least) - digits + 1)
        noise = Fraction(2) ** -50 * sum(map(abs, (*summands, *(weight * Fraction(raws[0].values[place])
                                                               for weight in weights))))  # fmt: skip
        smallest = Fraction(2) ** -1072  # below which float64 itself has steps
        assert abs(Fraction(value) - exact) <= unit / 2 + noise + smallest


def finite(code: str, count: int = 24) -> st.SearchStrategy[Raw]:
    """Return a strategy for tensors of any finite bits: subnormals, extremes, zeros of both signs."""

    def kept(bits: Any) -> Raw:
        values = from_bits(bits, code).values
        largest = min(FORMATS[code][2], 1e290)  # products of a float64 with 1e6 must stay finite
        return encode(np.where(np.abs(values) <= largest, values, 1.0), code)

    return arrays.arrays(np.dtype(BITS[code]), count).map(kept)


@pytest.mark.parametrize("code", ["BF16", "F16"])
def test_every_16_bit_number_passes_through_wider_formats_and_back(tmp_path: Path, code: str) -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    every = from_bits(bits[np.isfinite(from_bits(bits, code).values)], code)
    original = model(tmp_path, "original", every)

    for wide in ("F32", "F64"):
        kept = made(original, tmp_path / wide, dtype=NAMES[wide])
        back = made(Checkpoint.open(tmp_path / wide), tmp_path / f"back-{wide}", dtype=NAMES[code])

        assert np.array_equal(kept.values, every.values)
        assert back == every


@pytest.mark.parametrize("code", ["BF16", "F16", "F32"])
def test_halfway_cases_and_their_neighbours_round_to_even(tmp_path: Path, code: str) -> None:
    digits, least, largest = FORMATS[code]
    exponents = np.array([least - digits // 2, least, 0, 5, 14])
    significands = np.arange(1, 40)[:, None] / 8 * 2.0 ** (1 - digits) + 1
    ties = (significands * 2.0**exponents).reshape(-1)
    around = np.concatenate([ties, np.nextafter(ties, 0), np.nextafter(ties, np.inf)])
    values = np.concatenate([around, -around, [largest, np.nextafter(largest, np.inf)]])

    found = made(model(tmp_path, "exact", encode(values, "F64")), tmp_path / "out", dtype=NAMES[code])

    assert found == encode(values, code)


NOT_FINITE: list[tuple[str, list[float], list[float], str, str]] = [
    ("NaN in the base", [1, np.nan], [1, 2], "BF16", r"base.*holds nan at \[1\]"),
    ("infinity in a fine-tune", [1, 2], [-np.inf, 2], "BF16", r"tuned.*holds -inf at \[0\]"),
    ("too large for float16", [1, 60000], [1, 65000], "F16", r"the sum is inf at \[1\].*too large for F16"),
    ("too large for bfloat16", [1, 3e38], [1, -3e38], "BF16", r"the sum is inf at \[1\].*too large for BF16"),
]  # fmt: skip


@pytest.mark.parametrize(("base", "tuned", "code", "text"), [case[1:] for case in NOT_FINITE],
                         ids=[case[0] for case in NOT_FINITE])  # fmt: skip
def test_a_number_that_is_not_finite_is_refused_by_tensor_and_index(
    tmp_path: Path, base: list[float], tuned: list[float], code: str, text: str
) -> None:
    first, second = (model(tmp_path, label, encode(values, code))
                     for label, values in (("base", base), ("tuned", tuned)))  # fmt: skip
    total = first - 2 * (second - first)
    if "60000" in str(base):
        total = first + 2 * (second - first)

    with pytest.raises(NonFiniteError, match=text) as caught:
        save(total, tmp_path / "out")

    assert caught.value.exit_code == 3
    assert NAME in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "tuned"]


def test_what_is_not_finite_is_counted_where_the_policy_allows_it(tmp_path: Path) -> None:
    base = model(tmp_path, "base", encode([1.0, np.nan, 3.0], "F32"))
    tuned = model(tmp_path, "tuned", encode([2.0, 1.0, np.inf], "F32"))

    receipt = save(0.5 * base + 0.5 * tuned, tmp_path / "out", policy=Policy(nonfinite="allow"))

    found = read(tmp_path / "out")[NAME].values
    assert found[0] == 1.5
    assert np.isnan(found[1])
    assert found[2] == np.inf
    assert receipt["change"]["elements_nonfinite"] == 2
    json.loads((tmp_path / "out" / "weightarith.json").read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize("number", [Fraction(10) ** 400, -(Fraction(10) ** 309)])
def test_a_coefficient_beyond_float64_is_refused(tmp_path: Path, number: Fraction) -> None:
    base, tuned = (model(tmp_path, label, encode([1.0], "F32")) for label in ("base", "tuned"))

    with pytest.raises(WeightArithError, match="too large for a float64") as caught:
        save(base + number * (tuned - base), tmp_path / "out")

    assert caught.value.exit_code == 2


def test_six_bit_tensors_of_many_blocks_are_copied_whole(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 256, 3_000_000, np.uint8).tobytes()
    base = model(tmp_path, "base", Raw("F6_E3M2", (4_000_000,), data))

    assert made(base, tmp_path / "out").data == data


def test_a_merged_adapter_is_the_dense_float64_result(tmp_path: Path, tiny: Tiny) -> None:
    base, adapter = Checkpoint.open(tiny.base), Vector.open(tiny.positive)
    save(base + 1.5 * adapter, tmp_path / "out", dtype="float64")

    factors, weights = models.load(tiny.positive / "adapter_model.safetensors"), models.load(tiny.base)
    for name, found in models.load(tmp_path / "out").items():
        expected = weights[name].astype(np.float64)
        prefix = f"base_model.model.{name.removesuffix('.weight')}"
        if f"{prefix}.lora_A.weight" in factors:
            a, b = (factors[f"{prefix}.lora_{side}.weight"].astype(np.float64) for side in "AB")
            expected = expected + 1.5 * 2.0 * (b @ a)
        assert np.allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_the_difference_of_two_adapters_stays_factored(tmp_path: Path, tiny: Tiny) -> None:
    base = Checkpoint.open(tiny.base)
    positive, negative = Vector.open(tiny.positive, label="p"), Vector.open(tiny.negative, label="n")
    save(positive - 0.5 * negative, tmp_path / "v.safetensors")
    written = models.load(tmp_path / "v.safetensors")

    assert all(name.endswith(("::A", "::B")) for name in written)
    assert {raw.shape[0] for name, raw in written.items() if name.endswith("::A")} == {8}

    vector = Vector.open(tmp_path / "v.safetensors")
    save(base + vector, tmp_path / "by-file", dtype="float64")
    save(base + (positive - 0.5 * negative), tmp_path / "at-once", dtype="float64")
    weights = models.load(tiny.base)
    for name, at_once in models.load(tmp_path / "at-once").items():
        change = at_once - weights[name]
        error = np.linalg.norm(models.load(tmp_path / "by-file")[name] - at_once)
        assert error <= 1e-6 * np.linalg.norm(change)


def damage(adapter: Path, value: float) -> None:
    """Put one number into a factor of an adapter."""
    factors = models.load(adapter / "adapter_model.safetensors")
    name = next(name for name in factors if "lora_A" in name)
    factors[name] = np.where(
        np.arange(factors[name].size).reshape(factors[name].shape) == 3, value, factors[name]
    )
    models.save(adapter / "adapter_model.safetensors", factors, dtype="F32")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("stays_factored", [True, False])
def test_a_damaged_factor_is_refused_by_file_and_tensor(
    tmp_path: Path, tiny: Tiny, value: float, stays_factored: bool
) -> None:
    damage(tiny.positive, value)
    adapter = Vector.open(tiny.positive)
    total = 0.5 * adapter if stays_factored else Checkpoint.open(tiny.base) + adapter

    with pytest.raises(NonFiniteError, match=r"positive/adapter_model.*a factor of tensor 'model\.layers\.0"):
        save(total, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_factor_too_large_for_its_dtype_is_refused(tmp_path: Path, tiny: Tiny) -> None:
    with pytest.raises(NonFiniteError, match="::B' is too large for F32") as caught:
        save(Fraction(10) ** 40 * Vector.open(tiny.positive), tmp_path / "v.safetensors")
    assert caught.value.exit_code == 3


def test_fewer_than_no_threads_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightArithError, match="-1 threads can do no work") as caught:
        save(model(tmp_path, "base", encode([1.0], "F32")), tmp_path / "out", threads=-1)
    assert caught.value.exit_code == 2
    assert not (tmp_path / "out").exists()
