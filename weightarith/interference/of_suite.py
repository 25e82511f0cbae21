"""What one suite finds of the model and of every combination: numbers, effects, and how far those add up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from weightarith.errors import InvalidFileError
from weightarith.evaluate import Evaluation, Suite, compare, estimate
from weightarith.evaluate.table import parts_of
from weightarith.interference.additivity import additivity, felt_cosine
from weightarith.interference.combinations import Combination
from weightarith.sweep.arm import Arm
from weightarith.sweep.walk import Walk

Key = tuple[frozenset[str], float]


@dataclass
class OfSuite:
    """Points of one suite, added one after the other: what a point is compared with must be there before it.

    Attributes:
        walk: what measures.
        points: of each combination and strength every number, in the order they were added.
        felt: of each pair and strength the cosine that the model feels.
        left_out: what came out as no number, and where.
    """

    walk: Walk
    points: list[Mapping[str, Any]] = field(default_factory=list)
    felt: list[Mapping[str, Any]] = field(default_factory=list)
    left_out: list[Mapping[str, Any]] = field(default_factory=list)
    _unsteered: Evaluation | None = None
    _alone: dict[Key, Evaluation] = field(default_factory=dict)
    _sums: dict[Key, Evaluation] = field(default_factory=dict)

    @property
    def suite(self) -> Suite:
        """Which."""
        return self.walk.prepared.suite

    @property
    def label(self) -> str:
        """Its name and version."""
        return self.suite.label

    @property
    def unsteered(self) -> Evaluation:
        """What it finds in the model itself.

        Raises:
            InvalidFileError: nothing is a number there.
        """
        if self._unsteered is None:
            self._unsteered = _counting(self.walk.whole(None, 0.0).evaluation)
            if not self._unsteered.outcomes:
                raise InvalidFileError(
                    f"the suite {self.label} finds no number in the model itself", hint="see what it measures"
                )
        return self._unsteered

    def begin(self) -> None:
        """Measure the model itself."""
        _ = self.unsteered

    def add(self, one: Combination, arm: Arm, strength: float) -> None:
        """Measure a combination at a strength, and put it beside those it is made of."""
        whole = self.walk.whole(arm, strength)
        found, base = _counting(whole.evaluation), self.unsteered.outcomes
        names = [name for name in base if name in found.outcomes]
        for name in [name for name in base if name not in names]:
            why = "NaN or infinite" if name in whole.not_finite else "no item counts"
            self.left_out.append(
                {"combination": one.label, "strength": strength, "outcome": name, "why": why}
            )
        point: dict[str, Any] = {
            "combination": one.label,
            "way": one.way,
            "of": list(one.of),
            "strength": strength,
            "estimates": {name: estimate(found.outcomes[name]).to_json() for name in names},
            "effects": {name: compare(found.outcomes[name], base[name]).to_json() for name in names},
            "file": self.walk.journal.path(self.walk.of(arm, strength)).name,
        }
        key = (frozenset(one.of), strength)
        if one.way == "alone":
            self._alone[key] = found
        elif one.is_joint:
            point["additivity"] = self._additivity(one, found, strength)
            if one.way == "sum":
                self._sums[key] = found
                self._feel(one, found, strength)
            else:
                together = self._sums[key].outcomes
                point["against_sum"] = {
                    name: compare(found.outcomes[name], together[name]).to_json()
                    for name in names
                    if name in together
                }
        self.points.append(point)

    def document(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        return {
            "suite": self.label,
            "behaviour": self.suite.behaviour,
            "cost": self.suite.cost,
            "measured": dict(self.walk.common),
            "outcomes": {
                name: {"kind": one.kind, "unit": one.unit, "parts": list(parts_of(self.suite, name))}
                for name, one in self.unsteered.outcomes.items()
            },
            "base": {name: estimate(one).to_json() for name, one in self.unsteered.outcomes.items()},
            "points": self.points,
            "felt": self.felt,
            "left_out": self.left_out,
        }

    def _parts(self, one: Combination, strength: float) -> list[Evaluation]:
        return [self._alone[frozenset((label,)), strength] for label in one.of]

    def _additivity(self, one: Combination, found: Evaluation, strength: float) -> dict[str, Any]:
        parts = self._parts(one, strength)
        return {
            name: additivity(found.outcomes[name], [each.outcomes[name] for each in parts], base).to_json()
            for name, base in self.unsteered.outcomes.items()
            if all(name in each.outcomes for each in (found, *parts))
        }

    def _feel(self, one: Combination, found: Evaluation, strength: float) -> None:
        """Keep the cosine of a pair as the suite's cost, a divergence, has it."""
        parts, cost = self._parts(one, strength), self.suite.cost
        if len(parts) == 2 and all(cost in each.outcomes for each in (found, *parts)):
            cosine = felt_cosine(found.outcomes[cost], *(each.outcomes[cost] for each in parts))
            if cosine is not None:
                self.felt.append(
                    {"of": list(one.of), "strength": strength, "outcome": cost, **cosine.to_json()}
                )


def _counting(found: Evaluation) -> Evaluation:
    """Return the outcomes that some item counts for, and no samples: those are in the journal."""
    outcomes = {
        name: one for name, one in found.outcomes.items() if any(value is not None for value in one.values)
    }
    return Evaluation(found.suite, found.model, outcomes)
