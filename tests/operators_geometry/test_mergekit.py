"""Parity with mergekit 0.1.5 in float64: what is asked for with `compat` or an option, to twelve digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from tests.operators_geometry.fields import PLAIN, Doubles, random
from weightarith.operators.fusion import arcee_fusion
from weightarith.operators.linear import linear, task_arithmetic
from weightarith.operators.nuslerp import nuslerp
from weightarith.operators.slerp import slerp
from weightarith.operators.sphere import karcher, multislerp
from weightarith.operators.stock import model_stock

pytestmark = pytest.mark.oracle

SIZES = ((7,), (6, 5), (4, 3, 5), (5, 1, 4))
WEIGHTS = (0.3, 0.9, 0.5)


def theirs(
    method: str, tensors: Sequence[Doubles], options: Mapping[str, Any], base: int | None = None
) -> Doubles:
    import torch
    from mergekit.merge_methods import merge_tensors

    given = [torch.from_numpy(np.array(one)) for one in tensors]
    found: Doubles = merge_tensors(given, method, parameters=dict(options), base_index=base).numpy()
    return found


def same(found: Doubles, expected: Doubles) -> bool:
    """Return whether they agree to rtol 1e-12, and as much of the largest number where some cancel."""
    return np.allclose(found, expected, rtol=1e-12, atol=1e-12 * float(np.max(np.abs(expected))))


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize(("weights", "normalize"), [(WEIGHTS, True), ((0.3, 0.9, -0.2), False)])
def test_linear(shape: tuple[int, ...], weights: Sequence[float], normalize: bool) -> None:
    models = random(3, shape)

    found = PLAIN(linear, models, weights=weights, normalize=normalize)

    assert same(found, theirs("linear", models, {"weight": list(weights), "normalize": normalize}))


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("normalize", [True, False])
def test_task_arithmetic(shape: tuple[int, ...], normalize: bool) -> None:
    base, *models = random(4, shape)

    found = PLAIN(
        task_arithmetic, [one - base for one in models], weights=WEIGHTS, normalize=normalize, scale=0.7
    )

    options = {"weight": list(WEIGHTS), "normalize": normalize, "lambda": 0.7}
    assert same(base + found, theirs("task_arithmetic", [base, *models], options, 0))


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("t", [-0.4, 0.0, 0.3, 1.0, 1.7])
def test_slerp(shape: tuple[int, ...], t: float) -> None:
    a, b = random(2, shape, spread=2)
    pairs = [(a, b), (a, a + 0.01 * b), (a, a + 1e-4 * b), (a, 0 * b), (a, 1e-9 * b), (1e-9 * a, 1e-9 * b)]

    for one, other in [*pairs, (a, -a), (a, 0.1 * b - a)]:
        found = PLAIN(slerp, [one, other], t=t, compat="mergekit")
        assert same(found, theirs("slerp", [one, other], {"t": t}, 0))


def test_slerp_by_default_differs_only_where_mergekit_takes_a_straight_line() -> None:
    a, b = random(2, (6, 5))

    assert same(PLAIN(slerp, [a, b], t=0.3), theirs("slerp", [a, b], {"t": 0.3}, 0))
    assert not same(PLAIN(slerp, [a, a + 0.01 * b], t=0.3), theirs("slerp", [a, a + 0.01 * b], {"t": 0.3}, 0))


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("weights", [(0.3, 0.9), (1.5, -0.5)])
@pytest.mark.parametrize(
    ("per", "options"),
    [
        ("tensor", {}),
        ("row", {"nuslerp_flatten": False}),
        ("column", {"nuslerp_flatten": False, "nuslerp_row_wise": True}),
    ],
)
def test_nuslerp(
    shape: tuple[int, ...], weights: Sequence[float], per: str, options: Mapping[str, bool]
) -> None:
    base, a, b = random(3, shape)

    for compat in ("", "mergekit"):
        options_of_ours = {"weights": weights, "per": per, "compat": compat}
        between = PLAIN(nuslerp, [a, b], **options_of_ours)
        vectors = PLAIN(nuslerp, [a - base, b - base], **options_of_ours)

        given = {"weight": list(weights), **options}
        assert same(between, theirs("nuslerp", [a, b], given))
        assert same(base + vectors, theirs("nuslerp", [base, a, b], given, 0))


@pytest.mark.parametrize("small", [1.0, 1e-6, 1e-9, 0.0])
def test_nuslerp_of_rows_that_are_small(small: float) -> None:
    a, b = random(2, (6, 5))
    a[2], b[3] = small * a[2], small * b[3]
    options = {"weight": [0.3, 0.9], "nuslerp_flatten": False}

    found = PLAIN(nuslerp, [a, b], weights=(0.3, 0.9), per="row", compat="mergekit")

    assert same(found, theirs("nuslerp", [a, b], options))


def test_nuslerp_of_weights_that_cancel() -> None:
    a, b = random(2, (6, 5))

    found = PLAIN(nuslerp, [a, b], weights=(1.0, -1.0), compat="mergekit")

    assert same(found, theirs("nuslerp", [a, b], {"weight": [1.0, -1.0]}))


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e-8])
@pytest.mark.parametrize("normalize", [True, False])
def test_multislerp(shape: tuple[int, ...], scale: float, normalize: bool) -> None:
    tensors = [scale * factor * one for factor, one in zip((1, 5, 0.1), random(3, shape), strict=True)]
    options = {"weight": list(WEIGHTS), "normalize_weights": normalize}

    found = PLAIN(multislerp, tensors, weights=WEIGHTS, normalize=normalize, compat="mergekit")

    assert same(found, theirs("multislerp", tensors, options))
    assert same(found, theirs("multislerp", [0 * tensors[0], *tensors], options, 0))


def test_multislerp_of_a_negative_weight_and_of_opposites() -> None:
    tensors, weights = random(3, (6, 5)), (1.0, -0.3, 0.4)
    opposite = [tensors[0], -2 * tensors[0]]

    found = PLAIN(multislerp, tensors, weights=weights, compat="mergekit")
    middle = PLAIN(multislerp, opposite, weights=(1.0, 1.0), compat="mergekit")

    assert same(found, theirs("multislerp", tensors, {"weight": list(weights)}))
    assert same(middle, theirs("multislerp", opposite, {"weight": [1.0, 1.0]}))


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("spread", [3.0, 0.3, 1e-2, 1e-5])
def test_karcher(shape: tuple[int, ...], spread: float) -> None:
    tensors = [factor * one for factor, one in zip((1, 5, 0.1), random(3, shape, 2, spread), strict=True)]

    for given in (tensors, [*tensors, 0 * tensors[0]]):
        assert same(PLAIN(karcher, given, max_iter=10, tol=1e-5), theirs("karcher", given, {}))
        options = {"max_iter": 2, "tol": 1e-8}
        assert same(PLAIN(karcher, given, **options), theirs("karcher", given, options))


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("per", ["tensor", "row"])
@pytest.mark.parametrize(("spread", "scale"), [(1.0, 1.0), (4.0, 1.0), (1.0, 1e-3)])
def test_model_stock(shape: tuple[int, ...], per: str, spread: float, scale: float) -> None:
    base = random(1, shape, seed=9)[0]
    models = [base + scale * one for one in random(3, shape, spread=spread)]

    found = PLAIN(model_stock, [one - base for one in models], per=per, compat="mergekit")

    options = {"filter_wise": per == "row"}
    assert same(base + found, theirs("model_stock", [base, *models], options, 0))


@pytest.mark.parametrize("shape", [*SIZES, (40, 50), (3000,)])
@pytest.mark.parametrize("spread", [1.0, 1e-2, 1e-4])
def test_arcee_fusion(shape: tuple[int, ...], spread: float) -> None:
    base, other = random(2, shape, seed=6)
    other = base + spread * (other - base)

    assert same(PLAIN(arcee_fusion, [base, other]), theirs("arcee_fusion", [base, other], {}, 0))
