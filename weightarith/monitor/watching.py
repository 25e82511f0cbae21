"""A training held against known vectors, checkpoint by checkpoint, from what it saved on the disk."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightarith.algebra import Checkpoint, Linear
from weightarith.engine.together import plan_of_all, visit_all
from weightarith.errors import RecipeError
from weightarith.hub import locate
from weightarith.monitor.checkpoints import Saved, Training, bytes_of, change_of
from weightarith.monitor.copies import Moments, Piece, moments, piece_of
from weightarith.monitor.known import Given, Known, known_from
from weightarith.monitor.overlap import field_overlap
from weightarith.monitor.score import Score, score
from weightarith.monitor.start import Start, starts
from weightarith.monitor.warning import about_base, warnings_of

COPIES, RATE = 1000, 0.01


@dataclass(frozen=True)
class Look:
    """One checkpoint held against all vectors.

    Attributes:
        saved: which.
        norm: of what it has moved.
        scores: of each watched vector.
    """

    saved: Saved
    norm: float
    scores: tuple[Score, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {
            "step": self.saved.step,
            **({"series": self.saved.series} if self.saved.series else {}),
            "norm": self.norm,
            "vectors": [each.to_json() for each in self.scores],
        }


@dataclass(frozen=True, eq=False)
class Monitored:
    """A training held against known vectors.

    Attributes:
        known: the vectors.
        looks: at each checkpoint, in order.
        rate: of false positives for all looks together.
        copies: how many were drawn of each kind.
        seed: of their signs.
        origins: of each training in the folder, by name, what its moves are counted from: its own step 0
            where that was kept, else the base.
        starts: how the random start of the run lies to that of each vector.
        warnings: what limits what an alarm, or none, means.
    """

    known: Known
    looks: tuple[Look, ...]
    rate: float
    copies: int
    seed: int
    origins: dict[str, str]
    starts: dict[str, Start | None]
    warnings: tuple[str, ...]

    @property
    def alarms(self) -> list[tuple[Saved, Score]]:
        """The alarms, in order."""
        return [(look.saved, each) for look in self.looks for each in look.scores if each.alarm]

    @property
    def allowed(self) -> float:
        """How often a single test may sound an alarm by chance."""
        return allowed(self.rate, len(self.looks), len(self.known.watched))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {
            "false_positives": self.rate,
            "tests": len(self.looks) * len(self.known.watched),
            "per_test": self.allowed,
            "copies": self.copies,
            "seed": self.seed,
            "counted_from": self.origins,
            "watched": {one.label: one.opposite or None for one in self.known.watched},
            "controls": {one.label: self.known.of_controls(one) for one in self.known.watched},
            "starts": {
                label: None
                if one is None
                else {"overlap": one.overlap, "shared": one.shared, "seed": one.seed}
                for label, one in self.starts.items()
            },
            "warnings": list(self.warnings),
            "alarms": [
                {"step": saved.step, "series": saved.series, "vector": each.vector}
                for saved, each in self.alarms
            ],
            "looks": [look.to_json() for look in self.looks],
        }


def monitor(
    base: Checkpoint | str | Path,
    run: str | Path,
    against: Sequence[Given],
    *,
    opposites: Mapping[str, str] | None = None,
    controls: Sequence[Given] = (),
    false_positives: float = RATE,
    copies: int = COPIES,
    seed: int = 0,
    threads: int = 0,
    progress: Callable[[int], None] = lambda _read: None,
) -> Monitored:
    """Return how each saved checkpoint of a training lies to known vectors.

    Args:
        base: what the training began from.
        run: its folder: `checkpoint-N` of transformers, `step-N` of ours, or a folder written by `contrast`.
            What they moved is counted from step 0 where that was kept, else from the base.
        against: what is watched: vectors, adapters, folders written by `contrast`.
        opposites: of a watched vector, by label, the label of the one it is set against. A folder written by
            `contrast` holds its own.
        controls: unrelated trainings from the run's random start: adapters, or folders written by `contrast`,
            which are two each; two at least, better five or more.
        false_positives: how often chance may sound an alarm in a run, over all checkpoints and vectors.
        copies: random copies of each kind.
        seed: of their signs.
        threads: how many; 0 takes one a core. They do not change a digit of cosines.
        progress: called with the bytes of the checkpoints done so far.

    Raises:
        RecipeError: nothing is watched, or a number means nothing.
        InvalidFileError: there are no checkpoints, or a file is damaged.
        IncompatibleError: checkpoints, base and vectors are not of one model.
    """
    check_rate(false_positives)
    start = base if isinstance(base, Checkpoint) else Checkpoint.open(locate(str(base)), label="base")
    training = Training.of(Path(run), start)
    held = known_from(against, controls, opposites, start, threads=threads)
    limit, looks, read = allowed(false_positives, len(training.saved), len(held.watched)), [], 0
    for one in training.saved:
        found = measured(training.moved(one), held, copies=copies, seed=seed, threads=threads)
        looks.append(look_of(one, found, held, limit))
        progress(read := read + bytes_of(one))
    begun = starts(change_of(_earliest(training, looks), start), held, threads=threads)
    about = about_base(start, training.saved, [look.norm for look in looks])
    said = (*about, *warnings_of(held, looks, begun))
    return Monitored(held, tuple(looks), false_positives, copies, seed, training.origins, begun, said)


def allowed(rate: float, looks: int, watched: int) -> float:
    """Return how often a single test may sound an alarm by chance, for a rate that holds for all of them."""
    return rate / max(looks * watched, 1)


def check_rate(rate: float) -> None:
    """Refuse a rate of false positives that means nothing.

    Raises:
        RecipeError: it is not between 0 and 1.
    """
    if not 0 < rate < 1:
        raise RecipeError(f"a rate of false positives of {rate:g} means nothing, expected 0 to 1")


def measured(change: Linear, held: Known, *, copies: int = 0, seed: int = 0, threads: int = 0) -> Moments:
    """Return what a change has in common with the vectors, and with random copies of them."""
    plan = plan_of_all([change, *held.vectors])
    pieces: dict[str, Piece] = visit_all(
        plan, lambda field: piece_of(field.name, field_overlap(field), copies, seed), threads=threads
    )
    return moments(pieces, held.products.tensors, seed)


def look_of(saved: Saved, found: Moments, held: Known, limit: float) -> Look:
    """Return a checkpoint held against all vectors, of what it has in common with them."""
    scores = tuple(score(found, held, one, limit) for one in held.watched)
    return Look(saved, math.sqrt(found.own), scores)


def _earliest(training: Training, looks: Sequence[Look]) -> Saved:
    """Return what is nearest to the random start: step 0, or the first checkpoint that has moved."""
    if training.zero:
        return next(iter(training.zero.values()))
    moved = [look.saved for look in looks if look.norm]
    return min(moved or training.saved, key=lambda one: one.step)
