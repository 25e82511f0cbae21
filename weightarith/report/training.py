"""How the two sides of a run were trained: losses as lines, rates as rows, and how the sides lie."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weightarith.plots import Line, Panel
from weightarith.report.words import NONE, number

POINTS = 300
"""Points of a line, at most; a longer one shows means of equal stretches."""


@dataclass(frozen=True)
class Trained:
    """One training: a side at a learning rate."""

    side: str
    rate: float
    taken: int  # steps
    foreseen: int
    last: float | None  # training loss, nats a token
    best: tuple[int, float] | None  # the step of the lowest validation loss, and that loss
    seconds: float
    chosen: bool


def trained(training: Mapping[str, Any]) -> tuple[Trained, ...]:
    """Return every training that `training.json` tells of, in its order."""
    chosen = training["chosen"]["learning_rate"]
    return tuple(_trained(side, one, chosen) for side, rates in training["sides"].items() for one in rates)


def _trained(side: str, one: Mapping[str, Any], chosen: float) -> Trained:
    looks = [(int(step), float(loss)) for step, loss in one["validation"] if loss is not None]
    last = next((loss for loss in reversed(one["losses"]) if loss is not None), None)
    return Trained(
        side=side,
        rate=one["learning_rate"],
        taken=len(one["losses"]),
        foreseen=one["steps"],
        last=last,
        best=min(looks, key=lambda look: (look[1], look[0]), default=None),
        seconds=one["seconds"],
        chosen=one["learning_rate"] == chosen,
    )


def stretch(training: Mapping[str, Any]) -> int:
    """Return how many steps a point of the longest line is the mean of."""
    longest = max((len(one["losses"]) for rates in training["sides"].values() for one in rates), default=0)
    return max(1, math.ceil(longest / POINTS))


def panels(training: Mapping[str, Any]) -> list[Panel]:
    """Return the losses of each side: in training at the chosen rate, in validation at every rate."""
    chosen, each = training["chosen"]["learning_rate"], stretch(training)
    found = []
    for side, rates in training["sides"].items():
        lines = [line for place, one in enumerate(rates) for line in _lines(one, place, chosen, each)]
        if lines:
            found.append(Panel(f"{side} side", "step", "loss (nats/token)", tuple(lines)))
    return found


def _lines(one: Mapping[str, Any], place: int, chosen: float, each: int) -> list[Line]:
    rate, found = one["learning_rate"], []
    if rate == chosen:
        points = _means(one["losses"], each)
        if points:
            found.append(Line(f"training, {number(rate)}", *_columns(points), number=6))
    looks = [(float(step), float(loss)) for step, loss in one["validation"] if loss is not None]
    if looks:
        line = Line(f"validation, {number(rate)}", *_columns(looks), number=place, strong=rate == chosen)
        found.append(line)
    return found


def _means(losses: Sequence[float | None], each: int) -> list[tuple[float, float]]:
    """Return means of stretches of steps, at their last step; steps without a number count for nothing."""
    found = []
    for start in range(0, len(losses), each):
        there = [loss for loss in losses[start : start + each] if loss is not None]
        if there:
            found.append((float(min(start + each, len(losses))), sum(there) / len(there)))
    return found


def _columns(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(x for x, _ in points), tuple(y for _, y in points)


def diagnostics(about: Mapping[str, Any], training: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return what is worth knowing of a contrast: a name, a value, and what it means."""
    found = []
    geometry = training.get("geometry")
    if geometry:
        found += [
            ("cosine of the two sides", number(geometry["cosine"]),
             "what both learnt alike is subtracted away: near 1 little is left, near 0 little was shared"),
            ("norm, positive side", number(geometry["positive"], 4), "of its displacement from the base"),
            ("norm, negative side", number(geometry["negative"], 4), "of its displacement from the base"),
            ("their ratio", number(geometry["ratio"]), "far from 1, one side was learnt much more"),
            ("norm of the difference", number(geometry["vector"], 4), "of the vector"),
        ]  # fmt: skip
    for side, data in about["data"].items():
        rows, tokens = data["rows"], data["answer_tokens"]
        mean = f"{number(tokens / rows)} tokens" if rows else NONE
        found.append((f"mean answer, {side}", mean, "sides of unequal length teach length, too"))
        told = f"{rows} rows, {data['validation_rows']} of them kept back for validation"
        found.append((f"data, {side}", told, "questions and answers that were trained on"))
    return found
