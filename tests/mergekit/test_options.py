"""Operators take the options that documents are turned into, and as many operands."""

from __future__ import annotations

import pytest

from weightarith.mergekit.methods import LAMBDA, METHODS
from weightarith.operators.table import OPERATORS


@pytest.mark.parametrize("name", METHODS)
def test_an_operator_has_every_option_of_its_method(name: str) -> None:
    method = METHODS[name]
    operator = OPERATORS.get(method.operator)
    if operator is None:
        pytest.skip(f"{method.operator} is not in the table")
    options = {option.name: option for option in operator.options}

    for parameter in method.parameters:
        if parameter is LAMBDA or parameter.only or name in ("passthrough", "nuslerp"):
            continue
        option = options[parameter.keyword]
        assert parameter.kind == "number" or option.kind in ("flag", "whole", "choice")
        if option.kind == "choice":
            assert {word.strip('"') for word in parameter.words} <= set(option.choices)
        assert not option.each or parameter.each
        assert option.each or not parameter.each or parameter.alike
    for key, word in method.fixed:
        assert key in options
        assert options[key].kind != "choice" or word.strip('"') in options[key].choices
    operands = method.fewest + method.anchored, method.most + method.anchored * bool(method.most)
    assert operator.fewest <= operands[0]
    assert name == "passthrough" or operator.most in (0, operands[1])
