"""Losses as lines and rows."""

from __future__ import annotations

from typing import Any

import pytest

from weightarith.report.training import POINTS, panels, stretch, trained


def told(losses: list[float | None], validation: list[list[Any]]) -> dict[str, Any]:
    rates = [
        {"learning_rate": rate, "steps": 1000, "losses": losses, "validation": validation, "seconds": 2.0}
        for rate in (0.001, 0.01)
    ]
    return {"chosen": {"learning_rate": 0.01}, "sides": {"positive": rates, "negative": rates[:1]}}


def test_a_side_has_its_training_loss_at_the_chosen_rate_and_every_validation_loss() -> None:
    found = panels(told([3.0, None, 2.0], [[1, 4.0], [3, None]]))

    assert [panel.title for panel in found] == ["positive side", "negative side"]
    assert [(line.label, line.x, line.y) for line in found[0].lines] == [
        ("validation, 0.001", (1.0,), (4.0,)),
        ("training, 0.01", (1.0, 3.0), (3.0, 2.0)),
        ("validation, 0.01", (1.0,), (4.0,)),
    ]


def test_a_long_line_shows_means_of_equal_stretches() -> None:
    losses = [float(step) for step in range(1, 1001)]
    training = told([*losses], [])
    each = stretch(training)

    [line] = panels(training)[0].lines
    assert len(line.x) <= POINTS
    assert line.x[-1] == 1000
    for last, mean in zip(line.x[:-1], line.y[:-1], strict=True):
        assert mean == pytest.approx(sum(losses[int(last) - each : int(last)]) / each)


def test_a_row_tells_the_lowest_validation_loss_and_where() -> None:
    first, chosen, _ = trained(told([3.0, 2.5, None], [[1, 4.0], [2, 3.5], [3, 3.5]]))

    assert (first.chosen, chosen.chosen) == (False, True)
    assert (chosen.taken, chosen.foreseen, chosen.last, chosen.best) == (3, 1000, 2.5, (2, 3.5))


def test_a_training_that_kept_nothing_back_has_no_validation_loss() -> None:
    assert trained(told([1.0], []))[0].best is None
    assert panels(told([None], [])) == []
