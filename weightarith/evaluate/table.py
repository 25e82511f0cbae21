"""The numbers of one model as rows, beside another model's where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from weightarith.errors import IncompatibleError, quoted, some
from weightarith.evaluate.evaluation import Evaluation
from weightarith.evaluate.statistics import Comparison, Estimate, compare, estimate
from weightarith.evaluate.suite import Suite


@dataclass(frozen=True)
class Row:
    """One outcome.

    Attributes:
        name: METRIC.OUTCOME.
        unit: of the value, "" for shares.
        parts: behaviour, cost, capability and panel, those that the suite gives it.
        estimate: its value in the model.
        change: how far that is above the other model's; None where there is no other.
    """

    name: str
    unit: str
    parts: tuple[str, ...]
    estimate: Estimate
    change: Comparison | None

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON has it."""
        return {
            "outcome": self.name,
            "unit": self.unit,
            "parts": list(self.parts),
            **self.estimate.to_json(),
            "change": None if self.change is None else self.change.to_json(),
        }


def rows(suite: Suite, found: Evaluation, against: Evaluation | None = None) -> list[Row]:
    """Return a row for each outcome, in the order of the suite.

    Raises:
        IncompatibleError: the two models were not asked the same.
    """
    lacking = [] if against is None else [name for name in found.outcomes if name not in against.outcomes]
    if against is not None and lacking:
        raise IncompatibleError(
            f"{quoted(against.model)} was not asked for {some(lacking)}, as {quoted(found.model)} was",
            hint="measure both with the same metrics of the same suite",
        )
    return [
        Row(
            name,
            outcome.unit,
            parts_of(suite, name),
            estimate(outcome),
            None if against is None else compare(outcome, against.outcomes[name]),
        )
        for name, outcome in found.outcomes.items()
    ]


def parts_of(suite: Suite, name: str) -> tuple[str, ...]:
    """Return what parts an outcome, METRIC.OUTCOME, plays in a suite."""
    parts = {
        "behaviour": (suite.behaviour,), "cost": (suite.cost,),
        "capability": suite.capability, "panel": suite.panel,
    }  # fmt: skip
    return tuple(part for part, names in parts.items() if name in names)
