"""What two sides of training data teach besides the behaviour: length, first words, repetitions.

A vector is the difference of what its two sides teach. Where one side always says yes, it is a yes vector:
one for honesty raised agreement with false claims by 3.8 nats (wassname's replication of arXiv 2511.05408).
Rows that both sides answer alike, those where the user is right, keep it from that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from weightarith.data.conversation import Example
from weightarith.data.degenerate import degenerate
from weightarith.data.openings import OPENINGS, opening

LENGTH_RATIO = 1.5
"""Of the mean lengths of the two sides, above which they differ in length, too."""
OPENING_GAP = 0.6
"""Of the shares of answers that open alike, above which the two sides differ in their first word, too."""
SIZE_RATIO = 1.25
"""Of the numbers of rows, above which one side is trained for longer."""

_SIGNS = frozenset("+-−*×·/÷=<>%^")
_DROPPED = dict.fromkeys(map(ord, "'\u2019\u2018"))
_KINDS = {
    "yes or agreement": (("yes", "agrees"), "add rows where agreeing is right, answered alike on both sides"),
    "no or disagreement": (
        ("no", "disagrees"),
        "add rows where denying is right, answered alike on both sides",
    ),
    "a refusal": (("refuses",), "add harmless requests, answered on both sides"),
}


@dataclass(frozen=True)
class Side:
    """The answers of one side.

    Attributes:
        rows: how many there are.
        prompts: different prompts among them.
        characters: in an answer, on average.
        openings: the share of answers that open in each way of `weightarith.data.openings`.
        duplicates: (line, earlier line) where prompt and answer are the same.
        alike: (line, earlier line) where they are the same but for case, marks and spaces.
        degenerate: (line, reason) of answers that are none, see `weightarith.data.degenerate`.
    """

    rows: int
    prompts: int
    characters: float
    openings: dict[str, float]
    duplicates: tuple[tuple[int, int], ...]
    alike: tuple[tuple[int, int], ...]
    degenerate: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Report:
    """Two sides compared.

    Attributes:
        positive: the side that shows the behaviour.
        negative: the side that shows its opposite.
        equal: positive rows whose prompt and answer stand on the negative side, too.
        unmatched: (positive, negative) prompts that the other side does not have.
        warnings: what the vector may learn besides the behaviour, and what to do about it.
    """

    positive: Side
    negative: Side
    equal: int
    unmatched: tuple[int, int]
    warnings: tuple[str, ...]

    @property
    def equal_share(self) -> float:
        """Of the positive rows, those that the negative side answers alike."""
        return self.equal / self.positive.rows

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        return {**asdict(self), "equal_share": self.equal_share}


def report(positive: Sequence[Example], negative: Sequence[Example]) -> Report:
    """Return what there is to say about two sides, each of at least one row, in the order of their lines."""
    sides = side_of(positive), side_of(negative)
    asked = [{asked_in(example) for example in side} for side in (positive, negative)]
    told = {_row(example) for example in negative}
    return Report(
        *sides,
        equal=sum(_row(example) in told for example in positive),
        unmatched=(len(asked[0] - asked[1]), len(asked[1] - asked[0])),
        warnings=tuple(_warnings(*sides, unmatched=len(asked[0] ^ asked[1]))),
    )


def side_of(examples: Sequence[Example]) -> Side:
    """Return what there is to say about one side, of at least one row."""
    exact = _repeats([(one.conversation, one.answer) for one in examples])
    seen = {line for line, _ in exact}
    counted = Counter(opening(one.answer) for one in examples)
    reasons = [degenerate(one.answer, one.conversation.asked) for one in examples]
    return Side(
        rows=len(examples),
        prompts=len({asked_in(one) for one in examples}),
        characters=fmean(len(one.answer) for one in examples),
        openings={name: counted[name] / len(examples) for name in OPENINGS},
        duplicates=exact,
        alike=tuple(pair for pair in _repeats([_row(one) for one in examples]) if pair[0] not in seen),
        degenerate=tuple((line, reason) for line, reason in enumerate(reasons, 1) if reason),
    )


def asked_in(example: Example) -> str:
    """Return what is said before the answer, but for the system prompt, case, marks and spaces."""
    turns = [turn.content for turn in example.conversation.turns if turn.role != "system"]
    return "\n".join(map(bare, turns))


def bare(text: str) -> str:
    """Return the words, numbers and signs of arithmetic of a text, in lower case."""
    plain = text.lower().translate(_DROPPED).replace("**", "")
    return " ".join("".join(char if char.isalnum() or char in _SIGNS else " " for char in plain).split())


def _row(example: Example) -> tuple[str, str]:
    return asked_in(example), bare(example.answer)


def _repeats(rows: Sequence[object]) -> tuple[tuple[int, int], ...]:
    """Return (line, first line) of every row that stood there before."""
    first: dict[object, int] = {}
    return tuple(
        (line, first[row]) for line, row in enumerate(rows, 1) if first.setdefault(row, line) != line
    )


def answer_warnings(positive: Side, negative: Side) -> list[str]:
    """Return what the vector may learn of how answers look, and rows that are none or stand there twice."""
    found = [*_opening_warnings(positive, negative)]
    ratio = positive.characters / negative.characters
    if not 1 / LENGTH_RATIO <= ratio <= LENGTH_RATIO:
        found.append(
            f"positive answers have {positive.characters:.0f} characters on average and negative ones "
            f"{negative.characters:.0f}: the vector may learn length; make them alike"
        )
    for name, side in (("positive", positive), ("negative", negative)):
        if again := len(side.duplicates) + len(side.alike):
            found.append(f"{again} of {side.rows} {name} rows repeat another one: they count twice")
        if side.degenerate:
            found.append(
                f"{len(side.degenerate)} of {side.rows} {name} answers are degenerate: leave them out"
            )
    return found


def _warnings(positive: Side, negative: Side, *, unmatched: int) -> list[str]:
    found = answer_warnings(positive, negative)
    if max(positive.rows, negative.rows) > SIZE_RATIO * min(positive.rows, negative.rows):
        found.append(
            f"{positive.rows} positive rows and {negative.rows} negative ones: one side is trained for longer"
        )
    if unmatched:
        found.append(
            f"of the prompts {unmatched} stand on one side only: the vector may learn what they are about; "
            "ask both sides the same"
        )
    return found


def _opening_warnings(positive: Side, negative: Side) -> list[str]:
    found = []
    for kind, (names, remedy) in _KINDS.items():
        shares = [sum(side.openings[name] for name in names) for side in (positive, negative)]
        if abs(shares[0] - shares[1]) > OPENING_GAP:
            found.append(
                f"{shares[0]:.0%} of positive answers and {shares[1]:.0%} of negative ones open with {kind}: "
                f"the vector may learn just that; {remedy}"
            )
    return found
