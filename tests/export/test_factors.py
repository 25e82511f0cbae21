"""Pairs of factors: sums lose nothing, balancing rounds nothing, and a number is rounded once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference import encode
from weightarith.errors import IncompatibleError, NonFiniteError
from weightarith.export import Pair, balanced, padded, side_by_side
from weightarith.export.factors import rounded
from weightarith.tensorfile.dtypes import DTYPES


def random_pair(rows: int, rank: int, columns: int, seed: int) -> Pair:
    random = np.random.default_rng(seed)
    return Pair(random.standard_normal((rows, rank)), random.standard_normal((rank, columns)))


@pytest.mark.parametrize(("one", "two"), [((4, 2), (3, -1.0)), ((1, 1.0), (5, 0.25)), ((2, 0.0), (2, 7.0))])
def test_a_sum_of_changes_is_the_dense_sum_and_its_rank_the_sum_of_ranks(
    one: tuple[int, float], two: tuple[int, float]
) -> None:
    first, second = random_pair(7, one[0], 5, 1), random_pair(7, two[0], 5, 2)

    total = side_by_side([(one[1], first), (two[1], second)])

    dense = one[1] * (first.left @ first.right) + two[1] * (second.left @ second.right)
    assert total.rank == one[0] + two[0]
    assert np.allclose(total.left @ total.right, dense, rtol=1e-12, atol=1e-14)


def test_changes_of_different_shapes_have_no_sum() -> None:
    with pytest.raises(
        IncompatibleError, match=r"changes of different shapes have no sum: \[\(3, 4\), \(4, 3\)"
    ):
        side_by_side([(1, random_pair(3, 1, 4, 0)), (1, random_pair(4, 1, 3, 0))])
    with pytest.raises(IncompatibleError, match=r"different shapes have no sum: \[\]"):
        side_by_side([])


def test_factors_that_do_not_fit_are_no_pair() -> None:
    with pytest.raises(
        IncompatibleError, match=r"do not fit: \[3, 2\] and \[1, 4\], expected \(rows, rank\)"
    ):
        Pair(np.zeros((3, 2)), np.zeros((1, 4)))


@given(
    scales=st.lists(st.integers(-60, 60), min_size=1, max_size=5),
    dead=st.sets(st.integers(0, 4)),
    seed=st.integers(0, 99),
)
def test_balancing_keeps_every_bit_of_the_product_and_evens_the_lengths(
    scales: list[int], dead: set[int], seed: int
) -> None:
    pair = random_pair(6, len(scales), 5, seed)
    left = pair.left * np.exp2(scales)
    left[:, [index for index in dead if index < len(scales)]] = 0
    even = balanced(Pair(left, pair.right))

    products = left[:, :, None] * pair.right  # (rows, rank, columns)
    assert np.array_equal(even.left[:, :, None] * even.right, products)
    lengths = np.linalg.norm(even.left, axis=0), np.linalg.norm(even.right, axis=1)
    live = lengths[0] > 0
    assert np.all(np.abs(np.log2(lengths[0][live] / lengths[1][live])) <= 1 + 1e-9)


def test_balancing_leaves_zeros_and_empty_ranks() -> None:
    for pair in (Pair(np.zeros((3, 2)), np.zeros((2, 4))), Pair(np.zeros((3, 0)), np.zeros((0, 4)))):
        even = balanced(pair)
        assert np.array_equal(even.left, pair.left)
        assert np.array_equal(even.right, pair.right)


def test_padding_adds_zeros_and_cuts_nothing() -> None:
    pair = random_pair(3, 2, 4, 0)
    full = padded(pair, 5)

    assert full.rank == 5
    assert np.array_equal(full.left[:, :2], pair.left)
    assert not full.left[:, 2:].any()
    assert np.array_equal(full.left @ full.right, pair.left @ pair.right)
    with pytest.raises(IncompatibleError, match="a change of rank 2 does not fit in rank 1"):
        padded(pair, 1)


@pytest.mark.parametrize("code", ["F32", "BF16", "F16"])
def test_numbers_are_rounded_once_to_the_nearest(code: str) -> None:
    values = np.random.default_rng(0).standard_normal((31, 7)) * np.exp2(
        np.random.default_rng(1).integers(-20, 5, 7)
    )
    assert rounded(values.T, DTYPES[code], "x").tobytes() == encode(values.T, code).data
    assert rounded(np.zeros((0, 3)), DTYPES[code], "x").tobytes() == b""


@pytest.mark.parametrize(
    ("code", "value", "told"),
    [
        (
            "F16",
            65520.0,
            "holds 65520.0 at element 4, which float16 has no number for\n  try: store the adapter",
        ),
        ("BF16", -3.4e38, r"holds -3.4e\+38 at element 4, which bfloat16 has no number for"),
        ("F32", 3.5e38, r"holds 3.5e\+38 at element 4, which float32 has no number for"),
        ("F32", np.nan, "'x.lora_A.weight' holds nan at element 4, which float32 has no number for$"),
        ("F16", np.inf, "holds inf at element 4"),
    ],
)
def test_a_number_that_the_dtype_lacks_is_named(code: str, value: float, told: str) -> None:
    values = np.zeros((2, 3))
    values[1, 1] = value
    with pytest.raises(NonFiniteError, match=told):
        rounded(values, DTYPES[code], "x.lora_A.weight")


@pytest.mark.parametrize(("code", "largest"), [("F16", 65519.99), ("BF16", 3.389e38), ("F32", 3.4028235e38)])
def test_the_largest_numbers_of_a_dtype_pass(code: str, largest: float) -> None:
    assert rounded(np.array([largest, -largest]), DTYPES[code], "x").size
