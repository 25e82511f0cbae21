from __future__ import annotations

import numpy as np
import pytest

from tests.operators_spectral.arrays import (
    LIBRARIES,
    Doubles,
    NeverDense,
    dense,
    factored_field,
    field,
    normal,
    product,
)
from tests.operators_spectral.test_isotropic import naive_iso_c
from tests.operators_spectral.test_knots import naive_ties
from tests.operators_spectral.test_tsv import naive as naive_tsv
from weightarith.errors import UnsupportedError
from weightarith.operators.core_space import CORE_SPACE, core_space
from weightarith.operators.field import Mixed, Product

Pairs = list[tuple[Doubles, Doubles]]
MERGES = ("tsv", "iso_c", "ties")


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def adapters(count: int, rows: int = 20, columns: int = 16, rank: int = 2) -> Pairs:
    return [(normal(2 * seed, rows, rank), normal(2 * seed + 1, rank, columns)) for seed in range(count)]


def naive(pairs: Pairs, merge: str, density: float, weights: tuple[float, ...]) -> Doubles:
    left = np.linalg.svd(np.hstack([pair[0] for pair in pairs]), full_matrices=False)[0]
    right = np.linalg.svd(np.vstack([pair[1] for pair in pairs]), full_matrices=False)[2]
    cores = [
        weight * left.T @ one @ other @ right.T for weight, (one, other) in zip(weights, pairs, strict=True)
    ]
    merged = {
        "tsv": lambda: naive_tsv(cores, 1 / len(cores)),
        "iso_c": lambda: naive_iso_c(cores),
        "ties": lambda: naive_ties(cores, density),
    }[merge]()
    return np.asarray(left @ merged @ right)


@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_merge_is_that_of_the_paper_and_thin(library: str, merge: str, count: int) -> None:
    pairs, weights = adapters(count), (1.0, 0.5, 2.0, -1.0)[:count]
    given = factored_field(library, pairs)
    found = core_space(given, merge, 0.5, weights)
    assert isinstance(found, Product)
    assert found.left.shape == (20, 2 * count)
    np.testing.assert_allclose(dense(found, given), naive(pairs, merge, 0.5, weights), atol=1e-10)


def test_adapters_of_different_ranks_are_merged(library: str) -> None:
    pairs = [*adapters(1, rank=3), (normal(8, 20, 1), normal(9, 1, 16))]
    given = factored_field(library, pairs)
    np.testing.assert_allclose(
        dense(core_space(given, "ties", 1.0, (1.0, 1.0)), given),
        naive(pairs, "ties", 1.0, (1.0, 1.0)),
        atol=1e-11,
    )


def test_ranks_that_add_up_to_more_than_a_side_are_fine(library: str) -> None:
    pairs = adapters(4, rows=5, columns=6)
    given = factored_field(library, pairs)
    for merge in MERGES:
        assert np.isfinite(dense(core_space(given, merge, 0.5, (1.0,) * 4), given)).all()


def test_nothing_is_lost_between_the_bases(library: str) -> None:
    (left, right), given = adapters(1)[0], factored_field(library, adapters(1))
    for merge in ("ties", "tsv"):
        np.testing.assert_allclose(
            dense(core_space(given, merge, 1.0, (1.0,)), given), left @ right, atol=1e-12
        )


def test_an_adapter_merged_with_itself_by_ties_is_itself(library: str) -> None:
    pair = adapters(1)[0]
    given = factored_field(library, [pair, pair])
    np.testing.assert_allclose(
        dense(core_space(given, "ties", 1.0, (1.0, 1.0)), given), pair[0] @ pair[1], atol=1e-12
    )


def test_the_dense_form_is_never_asked_for(library: str) -> None:
    factors = [product(library, *pair) for pair in adapters(2)]
    given = NeverDense([one.left @ one.right for one in factors], factors=factors)
    for merge in MERGES:
        core_space(given, merge, 0.5, (1.0, 1.0))


def test_a_dense_matrix_is_refused_by_name() -> None:
    given = field("numpy", [normal(0, 4, 3), normal(1, 4, 3)], name="model.embed_tokens.weight")
    with pytest.raises(
        UnsupportedError, match=r"'model\.embed_tokens\.weight' is dense in one of the"
    ) as error:
        core_space(given, "tsv", 0.2, (1.0, 1.0))
    assert "knots()" in error.value.hint


@pytest.mark.parametrize("shape", [(), (5,), (4, 1, 3), (0, 3)])
def test_what_is_no_matrix_is_added(library: str, shape: tuple[int, ...]) -> None:
    found = core_space(field(library, [np.ones(shape)] * 2), "tsv", 0.2, (0.5, 2.0))
    assert isinstance(found, Mixed)
    assert found.coefficients == (0.5, 2.0)


def test_a_linear_merge_is_the_weighted_sum_of_anything(library: str) -> None:
    found = core_space(field(library, [normal(0, 4, 3)] * 2), "linear", 0.2, (0.5, 2.0))
    assert isinstance(found, Mixed)


def test_zero_gives_zero(library: str) -> None:
    zero = (np.zeros((5, 2)), np.zeros((2, 4)))
    for merge in MERGES:
        given = factored_field(library, [zero, zero])
        assert not dense(core_space(given, merge, 0.5, (1.0, 1.0)), given).any()
        given = field(library, [np.zeros((5, 4))] * 2)
        assert not dense(core_space(given, merge, 0.5, (1.0, 1.0)), given).any()


def test_order_does_not_matter_and_scale_carries_over(library: str) -> None:
    one, two = adapters(2)
    given = factored_field(library, [one, two])
    for merge in MERGES:
        merged = dense(core_space(given, merge, 0.4, (1.0, 1.0)), given)
        turned = factored_field(library, [two, one])
        np.testing.assert_allclose(
            dense(core_space(turned, merge, 0.4, (1.0, 1.0)), turned), merged, atol=1e-11
        )
        np.testing.assert_allclose(
            dense(core_space(given, merge, 0.4, (-2.0, -2.0)), given), -2 * merged, atol=1e-11
        )


def test_the_operator_says_what_it_takes() -> None:
    assert CORE_SPACE.defaults == {"merge": "tsv", "density": 0.2, "weights": 1.0}
    assert "2509.17786" in CORE_SPACE.source
