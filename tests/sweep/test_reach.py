"""The smallest strength that brings a behaviour to a level, over made-up models."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sweep.test_sweep import CONTRAST, swept
from weightarith.errors import RecipeError
from weightarith.sweep import Settings
from weightarith.sweep.reach import LOOKS, TOLERANCE, asked, next_look, reached


@given(st.floats(0.01, 0.99), st.sampled_from([-1, 1]))
def test_the_search_ends_within_a_tenth_above_where_the_level_is_crossed(crossing: float, sign: int) -> None:
    values = {sign * k: sign * k - sign * crossing for k in (0.0, 0.25, 0.5, 1.0)}
    for _ in range(60):
        strength = next_look(values, 0.0, sign)
        if strength is None:
            break
        values[strength] = strength - sign * crossing

    found = reached(values, 0.0, sign)

    assert found is not None
    assert crossing <= abs(found) <= crossing / (1 - TOLERANCE) + 1e-3


def test_a_level_that_nothing_measured_reaches_is_not_looked_for() -> None:
    assert reached({0.0: 0.5, 1.0: 0.6, 2.0: math.nan}, 0.7, 1) is None
    assert next_look({0.0: 0.5, 1.0: 0.6}, 0.7, 1) is None


def test_a_side_on_which_the_level_is_reached_already_is_not_asked_for() -> None:
    assert asked(0.5, 0.7, 1)
    assert not asked(0.5, 0.7, -1)
    assert asked(0.5, 0.3, -1)


def test_the_smallest_strength_that_reaches_the_level_is_recommended(tmp_path: Path) -> None:
    document, measured = swept(tmp_path, (CONTRAST,), Settings(reach=0.62))

    added = [k for _, k in measured.asked][7:]
    assert added == [0.75, 0.625, 0.5625]  # 0.62 is where 0.5 + 0.2·k, in whole questions, is at 0.6
    assert len(added) <= LOOKS
    assert document["reach"] == 0.62
    assert document["recommended"]["positive"] == 0.625


def test_the_other_side_is_recommended_as_without_a_level(tmp_path: Path) -> None:
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
    with_level, _ = swept(tmp_path / "with", (CONTRAST,), Settings(reach=0.62))
    without, _ = swept(tmp_path / "without", (CONTRAST,), Settings())

    assert with_level["recommended"]["negative"] == without["recommended"]["negative"]


def test_a_level_out_of_the_safe_range_leaves_nothing_to_recommend(tmp_path: Path) -> None:
    document, _ = swept(tmp_path, (CONTRAST,), Settings(reach=0.9))

    assert document["safe"]["high"] < 2
    assert document["recommended"]["positive"] is None


def test_a_level_must_be_a_number() -> None:
    with pytest.raises(RecipeError, match="what the behaviour is to reach must be a finite number"):
        Settings(reach=math.nan)
