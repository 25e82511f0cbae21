"""One loaded model, measured at strengths of methods; nothing is measured that the journal has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weightarith.evaluate import Evaluation, Prepared, estimate
from weightarith.lm import LanguageModel
from weightarith.sweep.arm import Arm
from weightarith.sweep.journal import Found, Journal

UNSTEERED = "strength 0"


@dataclass(frozen=True)
class Walk:
    """What measures.

    Attributes:
        base: the model that is steered.
        prepared: the suite, which has looked at the base.
        journal: where measurements are kept.
        common: what all measurements have in common: hashes of model and suite, the seed, versions.
    """

    base: LanguageModel
    prepared: Prepared
    journal: Journal
    common: Mapping[str, Any]

    def of(self, arm: Arm | None, strength: float) -> dict[str, Any]:
        """Return what a whole measurement is kept under; at strength 0 all methods are the same."""
        what = UNSTEERED if arm is None or not strength else arm.identity
        return {**self.common, "what": what, "strength": float(strength) if arm else 0.0}

    def whole(self, arm: Arm | None, strength: float) -> Found:
        """Return everything the suite measures, at one strength."""
        of = self.of(arm, strength)
        return self.journal.read(of) or self.journal.write(of, self._measured(arm, strength, None))

    def part(self, arm: Arm, strength: float, metrics: tuple[str, ...]) -> Found:
        """Return what some metrics of the suite find, at one strength."""
        whole = self.journal.read(self.of(arm, strength))
        if whole is not None:
            return whole
        of = {**self.of(arm, strength), "only": sorted(metrics)}
        return self.journal.read(of) or self.journal.write(of, self._measured(arm, strength, metrics))

    def cost(self, arm: Arm, strength: float) -> float:
        """Return the cost at one strength, NaN where it is not finite; its metric alone is asked."""
        return self.value(arm, strength, self.prepared.suite.cost)

    def value(self, arm: Arm, strength: float, outcome: str) -> float:
        """Return one number at one strength, NaN where it is not finite; its metric alone is asked."""
        found = self.part(arm, strength, (outcome.partition(".")[0],))
        if outcome in found.not_finite:
            return math.nan
        return estimate(found.evaluation.outcomes[outcome]).value

    def _measured(self, arm: Arm | None, strength: float, metrics: tuple[str, ...] | None) -> Evaluation:
        if arm is None or not strength:
            return self.prepared.measure(self.base, metrics)
        with arm.method.at(self.base, strength) as steered:
            return self.prepared.measure(steered, metrics)
