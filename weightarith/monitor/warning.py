"""What limits what an alarm means, and what silence means: said with every result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from weightarith.algebra import Checkpoint
from weightarith.errors import quoted
from weightarith.measure import norms, total
from weightarith.monitor.checkpoints import Saved
from weightarith.monitor.known import Known
from weightarith.monitor.score import FEWEST_CONTROLS, INNOCENT
from weightarith.monitor.start import Start
from weightarith.store import open_source

if TYPE_CHECKING:
    from weightarith.monitor.watching import Look

RELATED = 0.1
"""What is tested of a control, from which it is no stranger to a vector."""

FAR = 0.5
"""The share of the base's norm from which what a run has moved makes one doubt that base."""


def warnings_of(known: Known, looks: Sequence[Look], starts: Mapping[str, Start | None]) -> tuple[str, ...]:
    """Return what is to be known of a result, as sentences.

    Args:
        known: the vectors.
        looks: at the checkpoints.
        starts: how the start of the run lies to that of each vector.
    """
    return (
        *about_vectors(known),
        *about_starts(known, starts),
        *_about_silence(looks),
    )


def about_vectors(known: Known) -> Iterator[str]:
    """Yield what an alarm means less for want of controls or of an opposite."""
    if len(known.controls) < FEWEST_CONTROLS:
        given = "one control does not say how far controls spread" if known.controls else "no controls"
        yield (
            f"{given}: innocent trainings on one base have something in common, and the rate of false "
            "positives holds against random copies alone; give unrelated trainings from the run's random "
            f"start (--control), two at least, better five; {INNOCENT:g} must be exceeded in their place"
        )
    yield from _about_controls(known)
    alone = [one.label for one in known.watched if one.sides is None]
    if alone:
        yield (
            f"{', '.join(map(quoted, alone))} {'has' if len(alone) == 1 else 'have'} no opposite: the cosine "
            "holds what all trainings on such texts share, and the gap to an opposite does not: --opposite "
            "NAME=OTHER, or a folder written by `contrast`"
        )


def about_starts(known: Known, starts: Mapping[str, Start | None]) -> Iterator[str]:
    """Yield which vectors did not begin at the run's random numbers, and what that means."""
    watched = {known.labels[one.place] for one in known.watched}
    controls = {known.labels[place] for place in known.controls}
    pinned = any(one is not None and one.shared for label, one in starts.items() if label in watched)
    for label, start in starts.items():
        if start is None or start.shared or label not in watched | controls:
            continue
        begun = f"{quoted(label)} and the run began at different random numbers (overlap {start.overlap:.2f})"
        if label in watched:
            seed = "" if start.seed is None else f"; the vector says seed {start.seed}"
            yield (
                f"{begun}: cosines are many times smaller than from one start (0.07 instead of 1 for the "
                f"same data), so silence says little; train both from one seed and rank{seed}"
            )
        elif pinned:  # a run of the vector's start lies nearer to it by that alone
            yield f"{begun}, and a vector at the run's: as a control it lets the threshold be too low"


def about_base(base: Checkpoint, saved: Sequence[Saved], moved: Sequence[float]) -> Iterator[str]:
    """Yield why the base may not be what the run began from.

    Args:
        base: the model.
        saved: the checkpoints.
        moved: the norm of what each has moved.
    """
    sources = [open_source(one.path) for one in saved]
    own = base.source.origin.repo if base.source.origin is not None else base.source.path.resolve().name
    said = {str((source.config or {}).get("base_model_name_or_path") or "") for source in sources
            if source.kind == "adapter"} - {""}  # fmt: skip
    for name in sorted(said):
        if PurePath(name).name != PurePath(own).name:
            yield f"the run's adapter says it was trained on {quoted(name)}, and the base is {quoted(own)}"
    whole = [norm for source, norm in zip(sources, moved, strict=True) if source.kind == "checkpoint"]
    if whole:
        share = max(whole) / (total(norms(base.source).values()) or 1)
        if share > FAR:
            yield (
                f"the run has moved by {100 * share:.0f} % of the norm of {quoted(own)}: it may have begun "
                "from another model"
            )


def _about_controls(known: Known) -> Iterator[str]:
    for one in known.watched:
        for label, tested in known.of_controls(one).items():
            if abs(tested) >= RELATED:
                yield (
                    f"the control {quoted(label)} is no stranger to {quoted(one.label)} ({tested:+.2f}): it "
                    "lifts the threshold, and may hide an alarm"
                )


def _about_silence(looks: Sequence[Look]) -> Iterator[str]:
    scores = [each for look in looks for each in look.scores if each.threshold is not None]
    deaf = sorted({each.vector for each in scores if (each.threshold or 0) >= (1 if each.gap is None else 2)})
    if deaf:
        yield (
            f"nothing can sound an alarm for {', '.join(map(quoted, deaf))} at every checkpoint: the "
            "controls are too few, or too far apart; give more of them, or a higher rate: --false-positives"
        )
    if any(not look.norm for look in looks):
        yield "checkpoints that have moved nothing have no cosine"
