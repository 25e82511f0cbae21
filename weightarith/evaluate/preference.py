"""Which of two answers a model finds likelier, scored and not generated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from weightarith.data import Pair, read_pairs
from weightarith.errors import InvalidFileError, quoted
from weightarith.evaluate.options import Options
from weightarith.evaluate.outcome import Measured, Outcome, share
from weightarith.lm import LanguageModel, score

SIDES = ("positive", "negative")


@dataclass(frozen=True)
class Preference:
    """The preference for the positive of two answers: outcomes `trait`, `margin` and `log_odds`.

    `trait` where the positive answer has the higher mean log-probability a token, its end mark included;
    `margin` how much higher, in nats a token; `log_odds` is ln p(positive) − ln p(negative) of the whole
    answers, which depends on how much longer one is. With `correct`, the side that is right, there is the
    outcome of that name, too: `trait`, or 1 − `trait`. Shares are NaN of a pair whose
    log-probabilities are no numbers.

    Perez et al., arXiv 2212.09251 (the matching answer's probability against the other's); Xu et al.,
    arXiv 2602.02343 (preference as log-odds of polarity pairs).

    Attributes:
        pairs: prompts, each with its two answers.
        correct: the side that is right; empty where right and wrong have no meaning.
    """

    pairs: tuple[Pair, ...]
    correct: str = ""

    @classmethod
    def from_options(cls, data: Path | None, options: Mapping[str, object]) -> Preference:
        """Return the metric over the pairs of a file; its option is correct, the side that is right.

        Raises:
            RecipeError: an option is unknown, or means nothing.
            InvalidFileError: names the line of the data and what is wrong with it.
        """
        read = Options("preference", options, data).only("correct")
        correct = read.text("correct") if "correct" in options else ""
        if correct and correct not in SIDES:
            read.refuse(f"correct is {quoted(correct)}, expected positive or negative")
        return cls(tuple(read_distinct(read.file())), correct)

    def measure(self, model: LanguageModel) -> Measured:
        """Return what the model prefers."""
        found = score(model, [(pair.conversation, (pair.positive, pair.negative)) for pair in self.pairs])
        items = items_of([pair.id for pair in self.pairs])
        margin = tuple(positive.mean - negative.mean for positive, negative in found)
        broken, prefers = [math.isnan(gap) for gap in margin], [gap > 0 for gap in margin]
        log_odds = tuple(positive.total - negative.total for positive, negative in found)
        outcomes = {
            "trait": share(items, prefers, broken=broken),
            "margin": Outcome("mean", items, margin, "nats/token"),
            "log_odds": Outcome("mean", items, log_odds, "nats"),
        }
        if self.correct:
            right = [gap == (self.correct == "positive") for gap in prefers]
            outcomes["correct"] = share(items, right, broken=broken)
        return Measured(outcomes)


def read_distinct(path: Path) -> list[Pair]:
    """Return the pairs of a file, which has no identifier twice and no pair whose answers agree.

    Raises:
        InvalidFileError: names the line and what is wrong with it.
    """
    found = read_pairs(path)
    seen: dict[str, int] = {}
    for number, (item, pair) in enumerate(zip(items_of([one.id for one in found]), found, strict=True), 1):
        where = f"{quoted(str(path))}, line {number}"
        if pair.positive == pair.negative:
            raise InvalidFileError(f"{where}: both answers are the same, so neither can be preferred")
        if item in seen:
            raise InvalidFileError(f"{where}: the id {quoted(item)} stands in line {seen[item]} already")
        seen[item] = number
    return found


def items_of(ids: Sequence[str]) -> tuple[str, ...]:
    """Return what to call each row of a file: its identifier, else the number of its line."""
    return tuple(given or str(number) for number, given in enumerate(ids, 1))
