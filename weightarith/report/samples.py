"""Answers at several strengths, side by side: those a sweep kept, and new ones.

Which questions are shown is not chosen by what was answered: the first ones, or as many evenly spread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from weightarith.algebra import Linear
from weightarith.data import Conversation, Example
from weightarith.evaluate import Evaluation, Sample
from weightarith.lm import LanguageModel, answer
from weightarith.report.sweeps import Sweep, point_at, recommended, strengths_of
from weightarith.report.words import strength
from weightarith.steer import steered
from weightarith.sweep.folder import POINTS
from weightarith.tensorfile.jsonfile import read_object

SHOWN = 5
"""Questions of a metric that are shown of those a sweep kept."""
MOST = 1 << 30
"""Bytes of a measurement that is read."""

Kept = dict[float, dict[str, Sample]]
"""Of each strength the samples of a metric, by item."""


@dataclass(frozen=True)
class Asked:
    """A question, and of each strength the answer and what a metric said of it ("" where nothing did)."""

    turns: tuple[tuple[str, str], ...]  # who, what
    answers: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Samples:
    """Answers to the same questions at several strengths.

    Attributes:
        title: what they are.
        source: where they are from, in a sentence.
        strengths: in order.
        asked: the questions.
    """

    title: str
    source: str
    strengths: tuple[float, ...]
    asked: tuple[Asked, ...]


def chosen_prompts(examples: Sequence[Example], count: int) -> list[Conversation]:
    """Return so many different questions, evenly spread over the examples; all where there are fewer."""
    found = list(dict.fromkeys(example.conversation for example in examples))
    count = min(count, len(found))
    return [found[place * len(found) // count] for place in range(count)]


def answered(
    model: LanguageModel,
    vector: Linear,
    asked: Sequence[Conversation],
    strengths: Sequence[float],
    *,
    source: str,
    limit: int = 100,
) -> Samples:
    """Return greedy answers of a model at each strength.

    Args:
        model: unsteered; it is left as it was.
        vector: what it is steered by.
        asked: the questions.
        strengths: what the vector is multiplied by; 0 is the model itself.
        source: where the questions are from.
        limit: tokens of an answer, at most.
    """
    rows = []
    ordered = tuple(sorted(set(strengths)))
    with steered(model, vector, 0.0) as dial:
        for k in ordered:
            dial.strength = k
            found = answer(model, asked, limit=limit)
            rows.append([(one.text if one.ended else f"{one.text} […]", "") for one in found])
    questions = tuple(
        Asked(tuple((turn.role, turn.content) for turn in one.turns), tuple(row[place] for row in rows))
        for place, one in enumerate(asked)
    )
    said = f"{source} Greedy answers of at most {limit} tokens; […] marks those that were cut there."
    return Samples("New answers", said, ordered, questions)


def kept_samples(sweep: Sweep) -> list[Samples]:
    """Return what a sweep kept of the chosen method: at 0, at what it recommends and at the ends.

    Raises:
        InvalidFileError: a measurement is damaged.
    """
    every = strengths_of(sweep)
    wanted = tuple(sorted({every[0], 0.0, every[-1], *recommended(sweep).values()}))
    found = {k: evaluation for k in wanted if (evaluation := _evaluation(sweep, k)) is not None}
    metrics = dict.fromkeys(metric for one in found.values() for metric, kept in one.samples.items() if kept)
    return [_of_metric(sweep, metric, found) for metric in metrics]


def _evaluation(sweep: Sweep, k: float) -> Evaluation | None:
    point = point_at(sweep.document, sweep.document["chosen"], k)
    path = sweep.folder / POINTS / point["file"] if point is not None and point.get("file") else None
    if path is None or not path.is_file():
        return None
    return Evaluation.from_json(read_object(path, MOST).get("evaluation"), path.name)


def _of_metric(sweep: Sweep, metric: str, found: dict[float, Evaluation]) -> Samples:
    kept: Kept = {k: {one.item: one for one in of.samples.get(metric, ())} for k, of in found.items()}
    items = list(dict.fromkeys(item for one in kept.values() for item in one))
    shown = tuple(
        Asked((("user", _question(item, kept)),), tuple(_answers(item, kept))) for item in items[:SHOWN]
    )
    count = (
        f"The first {len(shown)} of {len(items)} questions" if len(items) > len(shown) else "All questions"
    )
    at = ", ".join(map(strength, kept))
    source = f"{count} of the metric {metric}, as the sweep {sweep.name} kept them, at k = {at}."
    return Samples(f"Kept by the sweep: {metric}", source, tuple(kept), shown)


def _question(item: str, kept: Kept) -> str:
    return next(one[item].asked for one in kept.values() if item in one)


def _answers(item: str, kept: Kept) -> Iterator[tuple[str, str]]:
    for one in kept.values():
        found = one.get(item)
        if found is None:
            yield "", "not asked at this strength"
        else:
            yield found.answered, found.verdict
