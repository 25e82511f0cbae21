"""`expo` and `lines`: coefficients that depend on options and on names alone."""

from __future__ import annotations

import numpy as np
import pytest

from tests.operators_geometry.fields import PLAIN, SHAPES, Machine, close, random
from weightarith.operators.expo import EXPO, expo
from weightarith.operators.lines import LINES, lines


@pytest.mark.parametrize("shape", SHAPES)
def test_expo_goes_on_beyond_the_aligned_model(machine: Machine, shape: tuple[int, ...]) -> None:
    aligned, sft = random(2, shape)

    assert close(machine(expo, [aligned, sft], alpha=0.3), aligned + 0.3 * (aligned - sft))
    assert sum(expo(PLAIN.field([aligned, sft]), alpha=0.3).coefficients) == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize(
    ("name", "depth", "factor"),
    [
        ("model.layers.0.mlp.up_proj.weight", 5, 0.2),
        ("model.layers.1.mlp.up_proj.weight", 5, 0.4),
        ("model.layers.4.self_attn.q_proj.weight", 5, 1.0),
        ("transformer.h.2.mlp.c_fc.weight", 5, 0.6),
        ("model.layers.0.mlp.up_proj.weight", 1, 0.2),
        ("model.embed_tokens.weight", 5, 0.2),
        ("model.norm.weight", 5, 0.2),
        ("lm_head.weight", 5, 0.2),
    ],
)
def test_lines_scales_by_depth(name: str, depth: int, factor: float) -> None:
    field = PLAIN.field([np.ones(3)], name=name, depth=depth)

    assert lines(field, alpha=0.2, beta=0.8).coefficients == pytest.approx((factor,))


def test_both_ask_for_their_numbers() -> None:
    assert not EXPO.defaults
    assert not LINES.defaults
    assert EXPO.takes == "checkpoint"
    assert LINES.takes == "vector"
