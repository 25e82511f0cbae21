"""Every measurement of a sweep, in order, and what is made of them: the document.

Every number comes from the journal, so a run that was killed ends in the same bytes as one that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

from weightarith.errors import InvalidFileError
from weightarith.evaluate import Evaluation, Suite
from weightarith.sweep.arm import Arm
from weightarith.sweep.lineup import LineUp
from weightarith.sweep.matched import SIGNS, Direction, Row, Sought, row_of, said, seek
from weightarith.sweep.point import LeftOut, Point, point_of
from weightarith.sweep.reach import LOOKS, asked, next_look
from weightarith.sweep.runs import over_runs
from weightarith.sweep.settings import Settings
from weightarith.sweep.verdict import verdict
from weightarith.sweep.walk import Walk

FORMAT = 1


@dataclass(frozen=True)
class Step:
    """How far a sweep is: measurements done of those foreseen, and what is measured now."""

    done: int
    total: int
    what: str


Told = Callable[[Step], None]


def compare(
    walk: Walk, lineup: LineUp, settings: Settings, told: Told = lambda _step: None
) -> dict[str, Any]:
    """Measure everything that is asked for, and return the document `sweep.json` holds.

    Raises:
        InvalidFileError: the unsteered model lacks a number, or a point lacks one the suite names.
    """
    runner = _Comparison(walk, lineup, settings, told)
    return runner.document()


@dataclass
class _Comparison:
    """One comparison under way; what it keeps is which points there are, in the order they were asked for."""

    walk: Walk
    lineup: LineUp
    settings: Settings
    told: Told
    points: dict[tuple[str, float], Point] = field(default_factory=dict)
    left_out: dict[tuple[str, float], LeftOut] = field(default_factory=dict)
    done: int = 0

    @property
    def suite(self) -> Suite:
        return self.walk.prepared.suite

    @property
    def chosen(self) -> Arm:
        return self.lineup.arms[0]

    def document(self) -> dict[str, Any]:
        self._tell("the model itself")
        base = self._point(None, 0.0)
        if isinstance(base, LeftOut):
            raise InvalidFileError(f"the model itself: {base.why}", hint="see what the suite measures")
        for arm in self.lineup.arms:
            for strength in self.settings.strengths_of(arm):
                self._keep(arm, strength)
        self._reach(base)
        rows = list(self._rows())
        own = [base, *(point for point in self.points.values() if point.method == self.chosen.name)]
        lost = [one for one in self.left_out.values() if one.method == self.chosen.name]
        told = verdict(own, self._unsteered, self.suite, self.settings.allowed, self.settings.reach, lost)
        runs = [*self._over_runs(rows)]
        return {
            "weightarith_sweep": FORMAT,
            "base": self.walk.base.label,
            "suite": self.suite.label,
            "seed": self.walk.common["seed"],
            "measured": dict(self.walk.common),
            "run": self.lineup.run,
            "methods": [arm.name for arm in self.lineup.arms],
            "chosen": self.chosen.name,
            "missing": {**self.lineup.missing, **self._one_sided()},
            **_described(self.suite),
            "outcomes": {
                name: {"kind": outcome.kind, "unit": outcome.unit}
                for name, outcome in self._unsteered.outcomes.items()
            },
            "allowed": asdict(self.settings.allowed),
            "points": [point.to_json() for point in (base, *self._in_order())],
            "left_out": [asdict(found) for found in self.left_out.values()],
            "reach": self.settings.reach,
            **told.to_json(),
            "targets": list(self.settings.targets),
            "activation_layers": [asdict(one) for one in self.lineup.layers],
            "matched": [row.to_json() for row in rows],
            "over_runs": runs,
        }

    @cached_property
    def _unsteered(self) -> Evaluation:
        return self.walk.whole(None, 0.0).evaluation

    def _one_sided(self) -> dict[str, str]:
        """Return the methods that have no strength of a sign that is asked for."""
        return {
            f"{arm.name}, {direction}": "it has no strength of that sign"
            for arm in self.lineup.arms
            for direction in self.settings.directions
            if not any(k * SIGNS[direction] > 0 for k in self.settings.strengths_of(arm))
        }

    def _in_order(self) -> list[Point]:
        order = {arm.name: place for place, arm in enumerate(self.lineup.arms)}
        return sorted(self.points.values(), key=lambda point: (order[point.method], point.strength))

    def _tell(self, what: str) -> None:
        arms, settings = self.lineup.arms, self.settings
        total = 1 + sum(len(settings.strengths_of(arm)) for arm in arms)
        seeking = len(settings.targets) * len(settings.directions) * sum(arm.dial for arm in arms)
        replicas = sum(len(self.lineup.others(arm)) for arm in arms)
        each = len(settings.targets) * len(settings.directions) or len(settings.strengths)
        self.told(Step(self.done, max(self.done + 1, total + seeking + replicas * each), what))

    def _point(self, arm: Arm | None, strength: float) -> Point | LeftOut:
        found = self.walk.whole(arm, strength)
        self.done += 1
        file = self.walk.journal.path(self.walk.of(arm, strength)).name
        name = arm.name if arm else "base"
        return point_of(name, strength, found, self._unsteered, self.suite.named, file)

    def _keep(self, arm: Arm, strength: float) -> Point | None:
        """Return a point, measured and put among the others; None where it lacks a number."""
        key = (arm.name, strength)
        if key not in self.points and key not in self.left_out:
            self._tell(f"{arm.name}, strength {strength:g}")
            found = self._point(arm, strength)
            if isinstance(found, LeftOut):
                self.left_out[key] = found
            else:
                self.points[key] = found
        return self.points.get(key)

    def _reach(self, base: Point) -> None:
        """Measure between strengths until the smallest that reaches the level asked for is known."""
        level, behaviour = self.settings.reach, self.suite.behaviour
        if level is None or not self.chosen.dial:
            return
        for sign in (SIGNS[name] for name in self.settings.directions):
            looks = LOOKS if asked(base.estimates[behaviour].value, level, sign) else 0
            for _ in range(looks):
                own = (point for point in self.points.values() if point.method == self.chosen.name)
                strength = next_look(
                    {point.strength: point.estimates[behaviour].value for point in own}, level, sign
                )
                if strength is None or self._keep(self.chosen, strength) is None:
                    break

    def _rows(self) -> Iterable[Row]:
        for target, direction in product(self.settings.targets, self.settings.directions):
            reference: Sought | None = None
            for arm in self.lineup.arms:
                for found in self._sought(arm, target, direction, self.settings.strengths_of(arm)):
                    reference = reference or (found if arm is self.chosen else None)
                    point = self._keep(arm, found.strength) if found.measured else None
                    yield row_of(self.walk, found, point, reference, self.suite.named)

    def _sought(
        self, arm: Arm, target: float, direction: Direction, strengths: Sequence[float], first: float = 1.0
    ) -> list[Sought]:
        def tried(arm: Arm, strength: float) -> None:
            self._tell(f"{arm.name}, cost at {strength:g}")

        return seek(self.walk, arm, target, direction, strengths, first=first, tried=tried)

    def _over_runs(self, rows: Sequence[Row]) -> Iterable[dict[str, Any]]:
        if rows:
            for row in rows:
                if row.point is not None and row.sought.arm.dial:
                    yield from self._replicated(row.sought.arm, row.point, row)
            return
        for point in self._in_order():
            arm = next(arm for arm in self.lineup.arms if arm.name == point.method)
            yield from self._replicated(arm, point, None)

    def _replicated(self, arm: Arm, point: Point, row: Row | None) -> Iterable[dict[str, Any]]:
        """Yield a number over runs for each outcome, at the same target or else at the same strength."""
        found = {self.lineup.run: point}
        left_out: dict[str, str] = {}
        for run, other in self.lineup.others(arm).items():
            theirs = self._of_run(run, other, point.strength, row)
            if isinstance(theirs, LeftOut):
                left_out[run] = theirs.why
            else:
                found[run] = theirs
        if len(found) + len(left_out) == 1:
            return
        kinds = {name: one.kind for name, one in self._unsteered.outcomes.items()}
        estimates = {
            name: over_runs(
                [one.estimates[name].value for one in found.values()], share=kinds[name] == "share"
            ).to_json()
            for name in self.suite.named
        }
        yield {
            "method": arm.name,
            "target": row.sought.target if row else None,
            "direction": "positive" if point.strength > 0 else "negative",
            "strengths": {run: one.strength for run, one in found.items()},
            "left_out": left_out,
            "estimates": estimates,
        }

    def _of_run(self, run: str, arm: Arm, strength: float, row: Row | None) -> Point | LeftOut:
        if row is not None:
            (sought,) = self._sought(arm, row.sought.target, row.sought.direction, (), abs(strength))
            if not sought.measured:
                return LeftOut(arm.name, sought.strength, said(sought))
            strength = sought.strength
        self._tell(f"{arm.name} of {run}, strength {strength:g}")
        return self._point(arm, strength)


def _described(suite: Suite) -> dict[str, Any]:
    return {
        "behaviour": suite.behaviour,
        "cost": suite.cost,
        "capability": list(suite.capability),
        "panel": list(suite.panel),
    }
