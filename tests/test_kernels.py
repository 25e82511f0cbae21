"""The kernels against a naive second implementation in float64, one rounding at the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests import reference
from tests.reference import BITS, FORMATS, Raw, from_bits, rounded
from weightarith.kernels.accounts import ACCOUNTS, CHANGED, CROSS, INTENDED, NONFINITE, REALISED
from weightarith.kernels.linear import CODES, NO_ANCHOR, TILE, combine, decode, encode
from weightarith.kernels.linear import terms as in_groups

FLOATS = tuple(FORMATS)
NUMBERS = (1.0, -1.0, 0.5, -1.3, 1e-3, 1e6, 1e-30, 2.0**-140)


def row(raw: Raw, size: int) -> Any:
    """Return the bytes of a tensor in a workspace row of `size` bytes, followed by NaN."""
    return np.frombuffer(raw.data.ljust(size, b"\xff"), np.uint8)


def combined(
    anchor: Raw | None, terms: list[tuple[float, Raw]], code: str, low_rank: tuple[Any, Any] | None = None
) -> tuple[Raw, Any]:
    """Return what `combine` makes of one block, and its account."""
    raws = [anchor if anchor is not None else terms[0][1], *(raw for _, raw in terms)]
    count = len(raws[0].bits)
    workspace = np.stack([row(raw, -(-count // 8) * 64) for raw in (*raws, raws[0])])
    account = np.zeros(ACCOUNTS)
    left, right = low_rank or (np.zeros((1, 0)), np.zeros((0, 1)))
    groups = [(number, 0, [(place, CODES[raw.code], 1)]) for place, (number, raw) in enumerate(terms, 1)]
    combine(
        workspace, in_groups(groups), NO_ANCHOR if anchor is None else 0, CODES[raws[0].code],
        anchor is not None, left, right, 0, len(raws), CODES[code], count, account,
    )  # fmt: skip
    return Raw(code, raws[0].shape, workspace[-1].tobytes()[: count * np.dtype(BITS[code]).itemsize]), account


def naive(anchor: Raw | None, terms: list[tuple[float, Raw]], code: str) -> Raw:
    """Return the same, an element's own bits where nothing is added to it."""
    change = np.zeros(terms[0][1].shape)
    for number, raw in terms:
        change = change + number * raw.values
    before = np.zeros_like(change) if anchor is None else anchor.values
    sums = reference.encode(before + change, code)
    kept = reference.encode(before, code)
    return from_bits(np.where(change == 0, kept.bits, sums.bits), code)


def finite(code: str, count: int) -> st.SearchStrategy[Raw]:
    def kept(bits: Any) -> Raw:
        values = from_bits(bits, code).values
        return from_bits(np.where(np.isfinite(values), bits, 0), code)

    return arrays.arrays(np.dtype(BITS[code]), count).map(kept)


@pytest.mark.parametrize("code", ["BF16", "F16"])
def test_every_16_bit_number_is_decoded_and_encoded_as_it_is(code: str) -> None:
    every = from_bits(np.arange(1 << 16), code)
    numbers, back = np.empty(1 << 16), np.zeros(1 << 17, np.uint8)

    decode(row(every, 1 << 17), CODES[code], 0, 1 << 16, numbers)
    encode(numbers, back, CODES[code], 0, 1 << 16)

    assert np.array_equal(numbers, every.values, equal_nan=True)
    number = ~np.isnan(every.values)
    assert np.array_equal(back.view(np.uint16)[number], every.bits[number])
    assert np.isnan(Raw(code, (1 << 16,), back.tobytes()).values[~number]).all()


@pytest.mark.parametrize("code", ["BF16", "F16", "F32"])
def test_numbers_at_and_beside_every_kind_of_boundary_are_rounded_to_even(code: str) -> None:
    digits, least, largest = FORMATS[code]
    exponents = np.arange(least - digits - 2, int(np.log2(largest)) + 2)
    significands = 1 + np.arange(0, 2 ** min(digits + 1, 12))[:, None] * 2.0 ** -min(digits + 1, 12)
    ties = (significands * 2.0**exponents).reshape(-1)
    numbers = np.concatenate(
        [ties, np.nextafter(ties, 0), np.nextafter(ties, np.inf), [0.0, 5e-324, 1e308, np.inf]]
    )
    numbers = np.concatenate([numbers, -numbers])
    out = np.zeros(-(-numbers.size // 2) * 8, np.uint8)

    encode(numbers, out, CODES[code], 0, numbers.size)

    expected = reference.encode(numbers, code)
    found = np.frombuffer(out.tobytes()[: len(expected.data)], BITS[code])
    assert np.array_equal(found, expected.bits)


@settings(max_examples=300)
@given(data=st.data(), count=st.sampled_from([1, 7, 33]), code=st.sampled_from(FLOATS))
def test_a_block_is_the_float64_sum_rounded_once(data: st.DataObject, count: int, code: str) -> None:
    codes = data.draw(st.lists(st.sampled_from(FLOATS), min_size=1, max_size=3) | st.just(["BF16", "BF16"]))
    numbers = data.draw(st.lists(st.sampled_from(NUMBERS), min_size=len(codes), max_size=len(codes)))
    terms = [(number, data.draw(finite(each, count))) for number, each in zip(numbers, codes, strict=True)]
    anchor = data.draw(st.none() | st.sampled_from(FLOATS).flatmap(lambda each: finite(each, count)))

    with np.errstate(over="ignore", invalid="ignore"):
        expected = naive(anchor, terms, code)
    found, account = combined(anchor, terms, code)

    number = ~np.isnan(expected.values)
    assert np.array_equal(found.bits[number], expected.bits[number])
    assert np.isnan(found.values[~number]).all()
    assert account[NONFINITE] == np.sum(~np.isfinite(expected.values))


SUBNORMAL = [0x0000, 0x8000, 0x0001, 0x8001, 0x007F, 0x807F, 0x0080, 0x8080, 0x0081, 0x3F80, 0x7F7F, 0xFF7F]


@pytest.mark.parametrize("number", [1.0, -1.0, 0.5, 2.0**-17, 1e-30, 2.0**-140, 1e20])
def test_the_smallest_bfloat16_numbers_are_added_like_all_others(number: float) -> None:
    pairs = [(from_bits(np.repeat(SUBNORMAL, 12), "BF16"), from_bits(SUBNORMAL * 12, "BF16"))]
    # One at a time too, for a whole tile may be done another way on account of one number in it.
    pairs += [(from_bits([a], "BF16"), from_bits([b], "BF16")) for a in SUBNORMAL for b in SUBNORMAL]
    for anchor, operand in pairs:
        with np.errstate(over="ignore"):
            expected = naive(anchor, [(number, operand)], "BF16")

        assert combined(anchor, [(number, operand)], "BF16")[0] == expected


@pytest.mark.parametrize("signs", [(1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, 1.0)])
def test_plain_differences_of_bfloat16_are_exact_in_float32_or_rounded_once(
    signs: tuple[float, float],
) -> None:
    random = np.random.default_rng(0)
    every = from_bits(np.arange(1 << 16), "BF16")
    numbers = every.bits[np.isfinite(every.values)]
    first, second = (from_bits(random.permutation(numbers), "BF16") for _ in range(2))
    terms = list(zip(signs, (first, second), strict=True))

    with np.errstate(over="ignore"):
        assert combined(None, terms, "F32")[0] == naive(None, terms, "F32")


@pytest.mark.parametrize("codes", [("BF16", "BF16"), ("F32", "BF16"), ("F16", "F64")])
def test_the_account_is_that_of_the_change_asked_for_and_the_change_made(codes: tuple[str, str]) -> None:
    random = np.random.default_rng(0)
    anchor = reference.encode(random.normal(0, 0.02, 5000), codes[0])
    operand = reference.encode(random.normal(0, 2e-5, 5000), codes[1])

    found, account = combined(anchor, [(1.7, operand)], codes[0])

    wanted, got = 1.7 * operand.values, found.values - anchor.values
    assert np.isclose(account[INTENDED], wanted @ wanted, rtol=1e-6)
    assert np.isclose(account[REALISED], got @ got, rtol=1e-6)
    assert np.isclose(account[CROSS], wanted @ got, rtol=1e-6)
    assert account[CHANGED] == np.count_nonzero(got)
    assert account[NONFINITE] == 0


@pytest.mark.parametrize("columns", [1, 3, 1000, TILE, 5 * TILE])
def test_a_low_rank_change_is_the_product_in_float64(columns: int) -> None:
    random = np.random.default_rng(0)
    rows = -(-3 * TILE // columns)
    left, right = random.standard_normal((rows, 5)), random.standard_normal((5, columns))
    anchor = reference.encode(random.standard_normal(rows * columns), "F64")

    found, _ = combined(anchor, [], "F64", (left, right))

    assert np.allclose(found.values, anchor.values + (left @ right).reshape(-1), rtol=1e-13, atol=1e-13)


def test_rounding_to_a_format_twice_changes_nothing() -> None:
    random = np.random.default_rng(0)
    numbers = random.standard_normal(1000) * 10.0 ** random.integers(-40, 38, 1000)
    for code in FLOATS:
        with np.errstate(over="ignore"):
            once = rounded(numbers, code)
        assert np.array_equal(reference.encode(once, code).values, once)
