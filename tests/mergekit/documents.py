"""Conversion of mergekit documents as tests ask for it: no input is there to be looked at."""

from __future__ import annotations

import pytest

from weightarith.errors import WeightArithError
from weightarith.mergekit import recipe_text

NAME = "mergekit.yaml"


def converted(document: str) -> str:
    """Return the recipe of a document that says all there is to know."""
    return recipe_text(document, NAME, _unasked)


def refused(document: str, kind: type[WeightArithError] = WeightArithError) -> str:
    """Return the error that a document is refused with, from the line it names to its hint."""
    with pytest.raises(kind) as caught:
        converted(document)
    assert type(caught.value) is kind or kind is WeightArithError
    assert caught.value.message.startswith(f"{NAME}:")
    return str(caught.value).removeprefix(f"{NAME}:")


def expression(document: str) -> str:
    """Return the expression of a recipe that has a short one."""
    lines = [line for line in converted(document).split("\n") if line.startswith("expression: ")]
    return lines[0].removeprefix("expression: ")


def _unasked(model: str) -> int:
    raise AssertionError(f"the layers of {model} were asked for")
