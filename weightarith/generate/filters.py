"""Filters: which answers show what they were made to show. Each says why it drops what it drops."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from weightarith.data import Conversation
from weightarith.data.markers import normalised, phrases, refusal_in
from weightarith.generate.candidate import Candidate
from weightarith.generate.trait import SIDES, Rule, Side, Trait
from weightarith.lm import LanguageModel, score

CLEAR, COHERENT = 50, 50  # points of 100


class Filter(Protocol):
    """Says which answers are kept."""

    def reasons(self, candidates: Sequence[Candidate]) -> list[str]:
        """Return why each answer is dropped, "" where it is kept."""
        ...


@dataclass(frozen=True)
class KeepAll:
    """Drops nothing."""

    def reasons(self, candidates: Sequence[Candidate]) -> list[str]:
        """Return an empty reason each."""
        return [""] * len(candidates)


@dataclass(frozen=True)
class RuleFilter:
    """Keeps what the rules of a trait file say; `scored_by` is the model that its margin is measured with."""

    trait: Trait
    scored_by: LanguageModel | None = None

    def reasons(self, candidates: Sequence[Candidate]) -> list[str]:
        """Return the first rule that each answer breaks."""
        checks = {side: _Checked(self.trait.rules.get(side, Rule())) for side in SIDES}
        found = [checks[one.asked.side].broken_by(one.answer) for one in candidates]
        left = [place for place, reason in enumerate(found) if not reason]
        if self.trait.margin is not None and left:
            for place, margin in zip(left, self._margins([candidates[at] for at in left]), strict=True):
                if margin < self.trait.margin:
                    found[place] = "margin"
        return found

    def _margins(self, candidates: Sequence[Candidate]) -> list[float]:
        """Return how much likelier each answer is under its own system prompt, in nats a token."""
        if self.scored_by is None:
            raise ValueError("a margin is measured with a model")
        asked: list[tuple[Conversation, Sequence[str]]] = []
        for one in candidates:
            asked.append((one.asked.conversation, (one.answer,)))
            asked.append((one.asked.bare.under(self._opposite(one)), (one.answer,)))
        means = [scores[0].mean for scores in score(self.scored_by, asked)]
        return [own - other for own, other in zip(means[::2], means[1::2], strict=True)]

    def _opposite(self, one: Candidate) -> str:
        """Return the system prompt of the other side that has the same place in its list."""
        other: Side = "negative" if one.asked.side == "positive" else "positive"
        place = self.trait.systems(one.asked.side).index(one.asked.system)
        return self.trait.systems(other)[place % len(self.trait.systems(other))]


class _Checked:
    """A rule, ready to be used."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.any = phrases(rule.any) if rule.any else None
        self.none = phrases(rule.none) if rule.none else None
        self.pattern = re.compile(rule.pattern, re.IGNORECASE) if rule.pattern else None

    def broken_by(self, answer: str) -> str:
        text = normalised(answer)
        if self.any is not None and not self.any.search(text):
            return "any"
        if self.none is not None and self.none.search(text):
            return "none"
        if self.pattern is not None and not self.pattern.search(text):
            return "pattern"
        if self.rule.refuses is not None and bool(refusal_in(answer)) != self.rule.refuses:
            return "refuses"
        return ""


class Verdict(Protocol):
    """What a judge says: two scores of 0 to 100, None where it was not understood."""

    @property
    def trait(self) -> int | None: ...  # noqa: D102

    @property
    def coherence(self) -> int | None: ...  # noqa: D102


class Judge(Protocol):
    """Scores answers, such as `weightarith.evaluate.judge.Judge`."""

    def verdicts(self, answered: Sequence[tuple[Conversation, str]]) -> Sequence[Verdict]:
        """Return the verdict on each answer."""
        ...


@dataclass(frozen=True)
class JudgeFilter:
    """Keeps coherent answers in which a judge sees the trait clearly, or on the negative side clearly not.

    More than 50 points of 100, or fewer, as in Chen et al., arXiv 2507.21509.
    """

    judge: Judge

    def reasons(self, candidates: Sequence[Candidate]) -> list[str]:
        """Return what the judge has against each answer."""
        verdicts = self.judge.verdicts([(one.asked.bare, one.answer) for one in candidates])
        return [
            _objection(one.asked.side, verdict) for one, verdict in zip(candidates, verdicts, strict=True)
        ]


def _objection(side: Side, verdict: Verdict) -> str:
    if verdict.trait is None or verdict.coherence is None:
        return "no verdict"
    if verdict.coherence < COHERENT:
        return "incoherent"
    if side == "positive":
        return "" if verdict.trait > CLEAR else "does not show the trait"
    return "" if verdict.trait < CLEAR else "shows the trait"
