"""`fisher`: against the formula, where nothing matters, and maps that cannot be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.operators_geometry.fields import PLAIN, SHAPES, Machine, close, random
from weightarith.errors import InvalidFileError, RecipeError
from weightarith.operators.field import computed
from weightarith.operators.fisher import FISHER, fisher

PLAINLY = {"operands": 2, "weights": (1.0, 1.0), "floor": 0.0}


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_formula(machine: Machine, shape: tuple[int, ...]) -> None:
    operands, maps = random(3, shape), [one**2 for one in random(3, shape, seed=1)]
    weights = (0.2, 0.5, 0.3)

    found = machine(fisher, [*operands, *maps], operands=3, weights=weights, floor=0.0)

    parts = [weight * one for weight, one in zip(weights, maps, strict=True)]
    expected = sum(part * one for part, one in zip(parts, operands, strict=True)) / sum(parts)
    assert close(found, np.asarray(expected))


def test_where_nothing_matters_it_is_the_plain_mean(machine: Machine) -> None:
    a, b = random(2, (6, 5))
    f, g = np.ones((6, 5)), np.ones((6, 5))
    f[0], g[0] = 0, 0
    f[1], g[1] = 1e-9, 3e-9
    f[2] = 0

    found = machine(fisher, [a, b, f, g], operands=2, weights=(1.0, 3.0), floor=1e-8)

    assert close(found[0], 0.25 * a[0] + 0.75 * b[0])
    assert close(found[1], 0.25 * a[1] + 0.75 * b[1])
    assert close(found[2], b[2])
    assert close(PLAIN(fisher, [a, b, f, g], **PLAINLY)[1], 0.25 * a[1] + 0.75 * b[1])


@given(st.integers(0, 1000), st.floats(1e-150, 1e150))
def test_the_scale_of_the_maps_does_not_matter(seed: int, scale: float) -> None:
    operands, maps = random(2, (5,), seed), [one**2 for one in random(2, (5,), seed + 1)]

    found = PLAIN(fisher, [*operands, *(scale * one for one in maps)], **PLAINLY)

    assert close(found, PLAIN(fisher, [*operands, *maps], **PLAINLY))


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_negative_importance_is_an_error_that_names_it(library: str) -> None:
    operands, maps = random(2, (6, 5)), [np.ones((6, 5)), np.ones((6, 5))]
    maps[1][4, 3] = -0.5
    field = Machine(library, 7).field([*operands, *maps], name="model.norm.weight")
    rule = fisher(field, operands=2, weights=(1.0, 1.0), floor=0.0)

    with pytest.raises(InvalidFileError) as raised:
        computed(rule, field)

    assert raised.value.message == (
        "importance map 2 is negative at element 23 of 'model.norm.weight': -0.5, expected 0 or more"
    )
    assert raised.value.hint
    assert raised.value.exit_code == 3


def test_every_operand_has_a_map() -> None:
    field = PLAIN.field(random(3, (4,)))

    with pytest.raises(RecipeError) as raised:
        fisher(field, operands=2, weights=(1.0, 1.0), floor=0.0)

    assert raised.value.message == "fisher takes an importance map for each operand: 2 operands, 1 maps"
    assert "importance=[f, g]" in raised.value.hint


def test_weights_are_not_negative_nor_all_zero() -> None:
    field = PLAIN.field(random(4, (4,)))

    with pytest.raises(RecipeError, match="weights of 0 or more, not -1"):
        fisher(field, operands=2, weights=(2.0, -1.0), floor=0.0)
    with pytest.raises(RecipeError, match="sum to 0"):
        fisher(field, operands=2, weights=(0.0, 0.0), floor=0.0)


def test_the_maps_follow_the_operands() -> None:
    assert FISHER.beside == "importance"
    assert FISHER.defaults == {"weights": 1.0, "floor": 0.0}
