"""Operators called on models lazily, and on plain arrays at once; engines that work on a few elements."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine_operators.world import DEPTH, SHAPES, Model, Values, World, answered, mask_key, settings
from weightarith.algebra import Linear
from weightarith.operators.field import Tensors
from weightarith.operators.table import OPERATORS

DEVICES = pytest.mark.parametrize("device", ["cpu", "torch", pytest.param("cuda", marks=pytest.mark.gpu)])


def op(name: str, *operands: Any, **options: Any) -> Linear:
    """Return a call of an operator on sums."""
    return OPERATORS[name](*operands, **options)


def plain(name: str, operands: list[Values], texts: list[str] | None = None, **options: Any) -> Values:
    """Return what an operator makes of arrays, tensor by tensor; `texts` are what its operands say."""
    operator = OPERATORS[name]
    count = len(operands) - (1 if operator.beside else 0)
    given = settings(operator, count, options)
    fields = {
        tensor: Tensors(
            [each[tensor] for each in operands], name=tensor, depth=DEPTH,
            keys=[mask_key(text, tensor) for text in texts or ["?"] * len(operands)],
        )
        for tensor in SHAPES
    }  # fmt: skip
    if operator.prepare is not None:
        moved = [fields[tensor] for tensor in sorted(fields) if any(each[tensor].any() for each in operands)]
        given["state"] = operator.prepare(Model(moved), **given) if given["over"] == "model" else None
    return {tensor: answered(operator, field, given) for tensor, field in fields.items()}


def delta(world: World, first: str, second: str = "base") -> Values:
    return {name: world.numbers(f"{first} − {second}", name) for name in SHAPES}


def whole(world: World, label: str) -> Values:
    return {name: world.numbers(label, name) for name in SHAPES}


def small_pieces(patch: pytest.MonkeyPatch, tile: int) -> None:
    """Have the engines work on a few elements at a time, and write a few more at a time."""
    patch.setattr("weightarith.engine.bench.TILE", tile)
    patch.setattr("weightarith.engine.bench.Bench.tile", tile)
    patch.setattr("weightarith.engine.torch_bench.TILES", {"cpu": tile, "cuda": tile})
    patch.setattr("weightarith.engine.blocks.BLOCK_BYTES", 8 * tile)
