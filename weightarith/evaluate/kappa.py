"""How far a judge agrees with people: Cohen's kappa over answers that were labelled by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from weightarith.data import Conversation
from weightarith.data.lines import Line
from weightarith.evaluate.judge import Judge
from weightarith.evaluate.prompts import read_prompts_with


@dataclass(frozen=True)
class Label:
    """An answer, and whether a person sees the trait in it."""

    conversation: Conversation
    answer: str
    shows: bool


@dataclass(frozen=True)
class Agreement:
    """How a judge and a person agree.

    Attributes:
        kappa: Cohen's, 1 where they always agree, 0 where they do as often as chance would; None where both
            say the same of everything, for chance explains all of that.
        agreed: the share of answers they agree on.
        n: answers that both have a verdict on.
        unparsed: answers whose verdict was not understood, which are left out.
    """

    kappa: float | None
    agreed: float | None
    n: int
    unparsed: int


def read_labels(path: Path) -> list[Label]:
    """Return the labels of a file of `{"prompt": …, "answer": …, "shows": true}`.

    Raises:
        InvalidFileError: names the line and what is wrong with it.
    """

    def label(line: Line) -> tuple[str, bool]:
        shows = line.content.get("shows")
        if not isinstance(shows, bool):
            line.refuse("'shows' is not true or false")
        return line.text("answer"), shows

    return [
        Label(prompt.conversation, answer, shows)
        for prompt, (answer, shows) in read_prompts_with(path, ("answer", "shows"), label)
    ]


def agreement(judge: Judge, labels: Sequence[Label]) -> Agreement:
    """Return how far a judge agrees with labels."""
    verdicts = judge.verdicts([(label.conversation, label.answer) for label in labels])
    both = [
        (verdict.shows, label.shows)
        for verdict, label in zip(verdicts, labels, strict=True)
        if verdict.shows is not None
    ]
    judged, told = [one for one, _ in both], [other for _, other in both]
    agreed = sum(one == other for one, other in both) / len(both) if both else None
    return Agreement(kappa(judged, told), agreed, len(both), len(labels) - len(both))


def kappa(judged: Sequence[bool], labels: Sequence[bool]) -> float | None:
    """Return Cohen's kappa of two raters who say yes or no; None where it is not defined.

    (p_o - p_e) / (1 - p_e), where p_o is the share on which they agree and p_e the share on which they would
    if each said yes as often as he does, but at random. Cohen 1960, https://doi.org/10.1177/001316446002000104
    """
    if not judged:
        return None
    n = len(judged)
    seen = sum(one == other for one, other in zip(judged, labels, strict=True)) / n
    yes, told = sum(judged) / n, sum(labels) / n
    by_chance = yes * told + (1 - yes) * (1 - told)
    return None if by_chance == 1 else (seen - by_chance) / (1 - by_chance)
