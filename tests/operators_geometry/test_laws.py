"""What every one of these operators keeps to, whatever the numbers are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.operators_geometry.fields import PLAIN, SHAPES, Machine, close, random
from weightarith.operators.expo import EXPO
from weightarith.operators.extsub import EXT_SUB
from weightarith.operators.fisher import FISHER
from weightarith.operators.fusion import ARCEE_FUSION
from weightarith.operators.linear import LINEAR, TASK_ARITHMETIC
from weightarith.operators.lines import LINES
from weightarith.operators.nuslerp import NUSLERP
from weightarith.operators.operator import REQUIRED, Operator
from weightarith.operators.projection import PROJECT, REJECT
from weightarith.operators.slerp import SLERP
from weightarith.operators.sphere import KARCHER, MULTISLERP
from weightarith.operators.stock import MODEL_STOCK

OPERATORS = (
    LINEAR, TASK_ARITHMETIC, SLERP, NUSLERP, MULTISLERP, KARCHER, MODEL_STOCK, PROJECT, REJECT, EXT_SUB, EXPO,
    LINES, FISHER, ARCEE_FUSION,
)  # fmt: skip
REQUIRED_NUMBERS = {"t": 0.3, "alpha": 0.4, "beta": 0.5}
MEANS = (LINEAR, SLERP, NUSLERP, MULTISLERP, KARCHER, MODEL_STOCK, EXPO, ARCEE_FUSION, EXT_SUB)
SYMMETRIC = (LINEAR, TASK_ARITHMETIC, MULTISLERP, KARCHER, MODEL_STOCK)
named = pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.name)


def cases(operator: Operator) -> list[Mapping[str, Any]]:
    """Return the options as they arrive, once for each word of each choice that concerns one tensor."""
    operands = width(operator) if not operator.beside else 1 + (operator.fewest > 1)
    fixed: dict[str, Any] = {"operands": operands} if operator.beside else {}
    found: list[Mapping[str, Any]] = [fixed]
    for option in operator.options:
        default = REQUIRED_NUMBERS[option.name] if option.default is REQUIRED else option.default
        given = [default] * operands if option.each else default
        words = option.choices if option.kind == "choice" and option.name != "over" else (given,)
        found = [{**one, option.name: word} for one in found for word in words]
    return found


def width(operator: Operator) -> int:
    """Return how many tensors a field of the operator has in these tests."""
    return 4 if operator is FISHER else 2 if operator.beside else operator.most or 3


def test_cases_are_all_there() -> None:
    assert len(cases(NUSLERP)) == 6
    assert cases(PROJECT) == [{"operands": 1, "over": "tensor"}]


@named
def test_what_is_all_zero_makes_zero(machine: Machine, operator: Operator) -> None:
    for shape in SHAPES:
        for options in cases(operator):
            found = machine(operator.run, [np.zeros(shape)] * width(operator), **options)
            assert found.shape == shape
            assert not np.any(found)


@named
@given(seed=st.integers(0, 100), scale=st.sampled_from([1e-6, 3.0, 1e6]))
def test_what_is_scaled_makes_what_is_scaled(operator: Operator, seed: int, scale: float) -> None:
    if operator is ARCEE_FUSION:
        return  # a softmax knows no scale
    operands = [np.abs(one) for one in random(width(operator), (4, 3), seed)]
    for options in cases(operator):
        if options.get("compat"):
            continue
        found = PLAIN(operator.run, [scale * one for one in operands], **options)
        assert close(found, scale * PLAIN(operator.run, operands, **options), 1e-11)


@named
def test_numpy_and_torch_and_every_block_agree(operator: Operator) -> None:
    for shape in SHAPES:
        operands = [np.abs(one) for one in random(width(operator), shape, seed=5)]
        for options in cases(operator):
            expected = PLAIN(operator.run, operands, **options)
            for library in ("numpy", "torch"):
                for block in (1, 7, 1 << 15):
                    found = Machine(library, block)(operator.run, operands, **options)
                    assert close(found, expected, 1e-11)


@named
@pytest.mark.gpu
def test_a_gpu_agrees(operator: Operator) -> None:
    for shape in (*SHAPES, (300, 512)):
        operands = [np.abs(one) for one in random(width(operator), shape, seed=5)]
        for options in cases(operator):
            found = Machine("cuda")(operator.run, operands, **options)
            assert close(found, PLAIN(operator.run, operands, **options), 1e-11)


@pytest.mark.parametrize("operator", MEANS, ids=lambda operator: operator.name)
def test_of_copies_the_result_is_the_copy(machine: Machine, operator: Operator) -> None:
    for shape in SHAPES:
        (one,) = random(1, shape, seed=1)
        for options in cases(operator):
            assert close(machine(operator.run, [one] * width(operator), **options), one, 1e-12)


@pytest.mark.parametrize("operator", SYMMETRIC, ids=lambda operator: operator.name)
def test_the_order_of_operands_does_not_matter(operator: Operator) -> None:
    operands = random(3, (4, 3))
    for options in cases(operator):
        found = PLAIN(operator.run, operands[::-1], **options)
        assert close(found, PLAIN(operator.run, operands, **options), 1e-12)


@named
def test_a_description_says_what_and_whence(operator: Operator) -> None:
    run: Callable[..., Any] = operator.run
    assert run.__name__ == operator.name
    assert operator.summary.endswith((".", ","))
    assert operator.source
    assert all(option.help for option in operator.options)
