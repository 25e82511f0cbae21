"""`ext_sub`: against the construction by bisectors, and rows without one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.operators_geometry.fields import PLAIN, SHAPES, Doubles, Machine, along, close, random
from weightarith.operators.extsub import ext_sub


def naive(expert: Doubles, anti: Doubles) -> Doubles:
    """Return the expert's row less 0.8 of what the anti-expert's has beside their bisector."""
    bisector = expert / np.linalg.norm(expert) + anti / np.linalg.norm(anti)
    length = float(np.linalg.norm(bisector))
    bisector = bisector / length if length > 1e-9 else 0 * bisector
    return np.asarray(expert - 0.8 * (anti - (anti @ bisector) * bisector))


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_paper_s_construction_row_by_row(machine: Machine, shape: tuple[int, ...]) -> None:
    operands = random(2, shape)

    assert close(machine(ext_sub, operands, alpha=0.8), along(-1, naive, operands), 1e-12)


def test_what_is_in_common_stays() -> None:
    (v,) = random(1, (6, 5))

    assert close(PLAIN(ext_sub, [v, v], alpha=1.0), v)
    assert close(PLAIN(ext_sub, [v, 3 * v], alpha=1.0), v, 1e-12)


def test_what_is_opposite_is_subtracted_whole(machine: Machine) -> None:
    (v,) = random(1, (6, 5))

    assert close(machine(ext_sub, [v, -2 * v], alpha=1.0), 3 * v, 1e-12)


def test_rows_that_one_side_does_not_have_are_taken_as_they_are(machine: Machine) -> None:
    expert, anti = random(2, (4, 3))
    expert[0], anti[1], expert[2], anti[2] = 0, 0, 0, 0

    found = machine(ext_sub, [expert, anti], alpha=0.5)

    assert close(found[0], -0.5 * anti[0])
    assert close(found[1], expert[1])
    assert not np.any(found[2])


def test_alpha_of_zero_leaves_the_expert() -> None:
    expert, anti = random(2, (4, 3))

    assert close(PLAIN(ext_sub, [expert, anti], alpha=0.0), expert)
