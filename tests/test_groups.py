"""Groups of operands with one coefficient: summed first, measured from the anchor, multiplied once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import reference
from weightarith.kernels.accounts import ACCOUNTS
from weightarith.kernels.linear import CODES, TILE, combine, terms

COUNT = TILE + 24
OPERANDS = 4
NO_FACTORS = (np.zeros((1, 0)), np.zeros((0, 1)))
ZERO_FACTORS = (np.zeros((COUNT, 1)), np.zeros((1, 1)))  # nothing to add, but no fast way either

Group = tuple[float, int, list[tuple[int, int, int]]]


@st.composite
def groups(draw: st.DrawFn) -> list[Group]:
    """Return up to three groups over the operand rows, each measured from the anchor or not."""
    made: list[Group] = []
    row = 1
    while row <= OPERANDS and len(made) < 3:
        size = draw(st.integers(1, OPERANDS + 1 - row))
        members = [(row + i, CODES["BF16"], draw(st.sampled_from([1, -1]))) for i in range(size)]
        multiplier = draw(st.sampled_from([1.0, 1.5, 0.7, 1e-3]))
        made.append((multiplier, draw(st.sampled_from([0, sum(sign for _, _, sign in members)])), members))
        row += size
    return made


def workspace(seed: int, kind: str) -> Any:
    """Return rows of bfloat16 numbers: any bits at all, like weights, tiny, or many zeros of both signs."""
    random = np.random.default_rng(seed)
    rows = np.zeros((OPERANDS + 2, 4 * COUNT), np.uint8)
    for row in rows[:-1]:
        scale = 1e-38 if kind == "tiny" else 0.02
        bits = (random.normal(0, scale, COUNT).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
        if kind == "any":
            bits = random.integers(0, 1 << 16, COUNT).astype(np.uint16)
        if kind == "zeros":
            bits[random.random(COUNT) < 0.4] = 0x8000
            bits[random.random(COUNT) < 0.3] = 0
        row[: 2 * COUNT] = bits.view(np.uint8)
    return rows


def result(rows: Any, made: list[Group], kept: bool, factors: tuple[Any, Any]) -> tuple[Any, Any]:
    account = np.zeros(ACCOUNTS)
    code = CODES["BF16" if kept else "F32"]
    combine(rows, terms(made), 0, CODES["BF16"], kept, *factors, 0, OPERANDS + 1, code, COUNT, account)
    return rows[-1].view(np.uint16 if kept else np.float32)[:COUNT].copy(), account


@given(groups(), st.integers(0, 1 << 16), st.sampled_from(["any", "weights", "tiny", "zeros"]), st.booleans())
def test_the_fast_ways_give_the_bytes_and_accounts_of_the_general_one(
    made: list[Group], seed: int, kind: str, kept: bool
) -> None:
    rows = workspace(seed, kind)

    with np.errstate(all="ignore"):
        fast, fast_account = result(rows, made, kept, NO_FACTORS)
        slow, slow_account = result(rows, made, kept, ZERO_FACTORS)

    same = fast == slow if kept else (fast.view(np.uint32) == slow.view(np.uint32)) | np.isnan(fast)
    assert np.all(same)
    assert np.allclose(fast_account, slow_account, rtol=1e-4, equal_nan=True)


@pytest.mark.parametrize("number", [1.3, 0.7, 1 / 3, 0.1])
def test_a_multiple_of_a_difference_is_the_float64_one_as_it_is_written(number: float) -> None:
    rows = workspace(0, "weights")
    base, tuned, other = (
        reference.from_bits(rows[row].view(np.uint16)[:COUNT].copy(), "BF16").values for row in range(3)
    )
    code = CODES["BF16"]

    against_the_anchor, _ = result(rows, [(number, 1, [(1, code, 1)])], True, NO_FACTORS)
    of_each_other, _ = result(rows, [(number, 0, [(1, code, 1), (2, code, -1)])], True, NO_FACTORS)

    assert np.array_equal(against_the_anchor, reference.encode(base + number * (tuned - base), "BF16").bits)
    assert np.array_equal(of_each_other, reference.encode(base + number * (tuned - other), "BF16").bits)
