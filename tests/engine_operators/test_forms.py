"""Sums that kernels use without writing them out, against numpy that writes them out: the same bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.reference import encode, from_bits
from weightarith.kernels import elect
from weightarith.kernels.formats import TILE
from weightarith.kernels.fused import Forms
from weightarith.kernels.linear import CODES, Terms, terms, values
from weightarith.operators.election import consensus

Doubles = NDArray[np.float64]
Group = tuple[float, int, list[tuple[int, int, int]]]
FLOATS = ("BF16", "F16", "F32", "F64")
COUNTS = [1, 2, 7, TILE - 1, TILE, TILE + 1, 3 * TILE + 5]


@dataclass(frozen=True)
class Made:
    """Forms over the rows of a workspace, and the numbers of every row."""

    workspace: NDArray[np.uint8]
    rows: list[Doubles]
    groups: list[list[Group]]

    @property
    def forms(self) -> list[Terms]:
        return [terms(each) for each in self.groups]

    @property
    def written(self) -> Doubles:
        """Every form in float64, one rounding an operation, in the order of its groups, (forms, count)."""
        found = []
        with np.errstate(all="ignore"):
            for groups in self.groups:
                total = np.zeros_like(self.rows[0])
                for multiplier, _, members in groups:
                    inner = np.zeros_like(total)
                    for row, _, sign in members:
                        inner = inner + sign * self.rows[row]
                    total = total + multiplier * inner
                found.append(total)
        return np.array(found)


def bits_of(random: np.random.Generator, code: str, count: int, kind: str) -> NDArray[Any]:
    """Return the bits of numbers: weights, whole numbers, numbers of every size, or any bits at all."""
    if kind == "any":
        wide = {"BF16": "<u2", "F16": "<u2", "F32": "<u4", "F64": "<u8"}[code]
        return random.integers(0, 256, 8 * count, np.uint8).view(wide)[:count]
    numbers = random.normal(0, 0.02, count)
    if kind == "whole":
        numbers = random.integers(-9, 10, count).astype(float)
    if kind == "zeros":
        numbers = np.where(random.random(count) < 0.5, np.copysign(0.0, numbers), numbers)
    return encode(numbers, code).bits


def made(
    seed: int,
    codes: list[list[str]],
    count: int,
    kind: str = "weights",
    by: tuple[float, ...] = (1.0, -0.7, 1 / 3),
) -> Made:
    """Return a form for each list of codes, an operand each, in groups of one or two."""
    random = np.random.default_rng(seed)
    height = sum(map(len, codes))
    workspace = random.integers(0, 256, (height + 1, 8 * count), np.uint8)
    rows: list[Doubles] = [np.zeros(count)]
    groups: list[list[Group]] = []
    for form in codes:
        found: list[Group] = []
        for start in range(0, len(form), 2):
            members = []
            for place, code in enumerate(form[start : start + 2]):
                bits = bits_of(random, code, count, kind)
                raw = from_bits(bits, code)
                workspace[len(rows), : len(raw.data)] = np.frombuffer(raw.data, np.uint8)
                members.append((len(rows), CODES[code], 1 if place == 0 else int(random.choice([-1, -1, 1]))))
                rows.append(raw.values)
            found.append((by[(start // 2 + seed) % len(by)], 0, members))
        groups.append(found)
    return Made(workspace, rows, groups)


def same(found: Doubles, wanted: Doubles) -> bool:
    """Return whether two arrays have the same bits, but for those inside a NaN."""
    return np.array_equal(
        np.where(np.isnan(found), 1.5, found).view(np.uint64),
        np.where(np.isnan(wanted), 1.5, wanted).view(np.uint64),
    ) and np.array_equal(np.isnan(found), np.isnan(wanted))


codes_drawn = st.lists(st.lists(st.sampled_from(FLOATS), max_size=4), min_size=1, max_size=6)
kinds_drawn = st.sampled_from(["weights", "whole", "zeros", "any"])
few = settings(max_examples=60)


@few
@given(codes_drawn, st.integers(0, 99), st.sampled_from(COUNTS), kinds_drawn)
def test_values_are_those_of_numpy_and_what_is_not_finite_is_counted(
    codes: list[list[str]], seed: int, count: int, kind: str
) -> None:
    given_forms = made(seed, codes, count, kind)
    for form, wanted in zip(given_forms.forms, given_forms.written, strict=True):
        out = np.full(count, 7.0)
        nonfinite = values(given_forms.workspace, form, np.zeros((1, 0)), np.zeros((0, 1)), 0, out)
        assert same(out, wanted)
        assert nonfinite == np.count_nonzero(~np.isfinite(wanted))


@pytest.mark.parametrize("first", [0, 5, 12])
def test_values_add_a_product_of_factors(first: int) -> None:
    count, random = 3 * TILE + 5, np.random.default_rng(0)
    given_forms = made(0, [["BF16", "F32", "F16"]], count)
    columns = 13
    left, right = (
        random.standard_normal((-(-(first + count) // columns), 3)),
        random.standard_normal((3, columns)),
    )
    out = np.empty(count)
    values(given_forms.workspace, given_forms.forms[0], left, right, first, out)
    wanted = given_forms.written[0] + (left @ right).reshape(-1)[first : first + count]
    np.testing.assert_allclose(out, wanted, rtol=1e-13, atol=1e-15)


@few
@given(codes_drawn, st.integers(0, 99), st.sampled_from(COUNTS), kinds_drawn)
def test_inner_products_are_those_of_the_sums_written_out(
    codes: list[list[str]], seed: int, count: int, kind: str
) -> None:
    # whole numbers times powers of two are added without rounding, so there the order makes no difference
    by = (1.0, -0.5, 2.0) if kind == "whole" else (1.0, -0.7, 1 / 3)
    given_forms = made(seed, codes, count, kind, by)
    written = given_forms.written

    found, nonfinite = Forms(given_forms.workspace, given_forms.forms).products(count)

    with np.errstate(all="ignore"):
        wanted = written @ written.T
        sizes = np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
    assert nonfinite == np.count_nonzero(~np.isfinite(written))
    assert np.array_equal(found, found.T, equal_nan=True)
    if kind == "whole":
        assert np.array_equal(found, wanted)
    elif kind != "any":
        assert np.all(abs(found - wanted) <= 1e-13 * sizes)


@few
@given(
    codes_drawn, st.integers(0, 99), st.sampled_from(COUNTS), kinds_drawn, st.floats(0, 1), st.floats(0, 1)
)
def test_magnitudes_about_a_bracket_are_counted_and_kept_in_their_order(
    codes: list[list[str]], seed: int, count: int, kind: str, one: float, other: float
) -> None:
    given_forms = made(seed, codes, count, kind)
    forms = Forms(given_forms.workspace, given_forms.forms)
    for number, written in enumerate(given_forms.written):
        sizes = abs(written)
        known = np.sort(sizes[~np.isnan(sizes)])
        low, high = sorted(
            float(known[int(at * (known.size - 1))]) if known.size else at for at in (one, other)
        )
        for lower, upper in ((low, high), (-np.inf, np.inf), (low, np.inf), (-np.inf, high), (high, high)):
            kept = np.full(count + 1, 9.0)
            *counts, nonfinite = forms.sizes_between(number, count, lower, upper, kept)
            inside = sizes[(sizes > lower) & (sizes < upper)]
            assert counts == [
                np.count_nonzero(sizes > upper), np.count_nonzero(sizes == upper),
                np.count_nonzero(sizes == lower), inside.size,
            ]  # fmt: skip
            assert same(kept[: inside.size], inside)
            assert nonfinite == np.count_nonzero(~np.isfinite(written))
            plain = np.full(count + 1, 9.0)
            assert list(elect.between(written, lower, upper, plain, sizes=True)) == counts
            assert same(plain[: inside.size], inside)


@few
@given(
    st.lists(st.lists(st.sampled_from(FLOATS), max_size=4), min_size=1, max_size=6), st.integers(0, 99),
    st.sampled_from(COUNTS), st.sampled_from(["weights", "whole", "zeros"]),
    st.booleans(), st.booleans(), st.booleans(),
)  # fmt: skip
def test_votes_are_those_of_the_sums_written_out(
    codes: list[list[str]], seed: int, count: int, kind: str, normalize: bool, plus: bool, plain: bool
) -> None:
    given_forms = made(seed, codes, count, kind)
    written, forms = given_forms.written, len(codes)
    random = np.random.default_rng(seed)
    least = [float(random.choice([-np.inf, 0.0, 0.01, 2.0, np.inf])) for _ in range(forms)]
    factors = [1.0] * forms if plain else [float(random.uniform(0.5, 2)) for _ in range(forms)]
    weights = [1.0] * forms if plain else [float(random.choice([1.0, -1.0, 0.0, 0.3])) for _ in range(forms)]
    shares = [abs(weight) for weight in weights] if not plus else weights
    rules = (least, factors, weights, shares)

    wanted = elect.elect(written, *rules, normalize=normalize, plus=plus)

    for checked in (False, True):
        out = np.full(count, 7.0)
        nonfinite = Forms(given_forms.workspace, given_forms.forms).vote(
            rules, out, normalize=normalize, plus=plus, checked=checked
        )
        assert (nonfinite, same(out, wanted)) == (0, True)
    scaled = [
        np.where(abs(row) >= low, row, 0) * by for row, low, by in zip(written, least, factors, strict=True)
    ]
    compat = "mergekit" if plus else ""
    assert same(consensus(scaled, weights, normalize=normalize, compat=compat), wanted)


@pytest.mark.parametrize("code", FLOATS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 5, TILE, 2 * TILE + 6])
def test_damage_anywhere_is_counted_by_every_reduction(code: str, bad: float, place: int) -> None:
    count = 2 * TILE + 7
    for codes in ([[code], [code, code]], [[code, "F32", "BF16"], ["BF16"]]):
        given_forms = made(3, codes, count)
        row = encode(np.where(np.arange(count) == place, 0.0, given_forms.rows[1]), code)
        bits = row.bits.copy()
        bits[place] = {
            "BF16": {np.inf: 0x7F80, -np.inf: 0xFF80}.get(bad, 0x7FC1),
            "F16": {np.inf: 0x7C00, -np.inf: 0xFC00}.get(bad, 0x7E01),
            "F32": np.array(bad, "<f4").view("<u4"),
            "F64": np.array(bad, "<f8").view("<u8"),
        }[code]
        given_forms.workspace[1, : bits.nbytes] = bits.view(np.uint8)
        forms = Forms(given_forms.workspace, given_forms.forms)
        out, kept = np.empty(count), np.empty(count + 1)
        assert forms.products(count)[1] == 1
        assert forms.sizes_between(0, count, 0.0, 1.0, kept)[-1] == 1
        assert forms.sizes_between(1, count, 0.0, 1.0, kept)[-1] == 0
        rules = ([0.0] * 2, [1.0] * 2, [1.0] * 2, [1.0] * 2)
        assert forms.vote(rules, out, normalize=True, plus=False, checked=False) == 1
        none = (np.zeros((1, 0)), np.zeros((0, 1)))
        assert values(given_forms.workspace, given_forms.forms[0], *none, 0, out) == 1
