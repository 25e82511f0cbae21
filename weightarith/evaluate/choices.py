"""Multiple choice: which option a model takes, by letter, by text or in its own words.

The order of options is the data's, so that every model sees the same one; a file in which the marked option
always stands at one place is refused, for there a model that likes the letter would be taken to like the
answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import Literal, get_args

import torch
from torch.nn.functional import log_softmax

from weightarith.data import Conversation
from weightarith.data.lines import Line, read_lines
from weightarith.data.markers import spoken
from weightarith.errors import InvalidFileError, quoted
from weightarith.evaluate.options import Options
from weightarith.evaluate.outcome import Measured, Outcome, Sample, share
from weightarith.lm import LanguageModel, answer, score
from weightarith.lm.score import look_at_tokens
from weightarith.speaker import roomy

Mode = Literal["letters", "texts", "generate"]
MARKS = ("trait", "answer")
OUTCOMES = {"trait": "trait", "answer": "correct"}
LIMIT = 24
FEWEST = 4  # rows from which on one place for all marked options is no accident
_WRAPPED = r"[\s(\[\"'*]*"
_ANNOUNCED = re.compile(rf"(?i:\b(?:answer|option|choice)\b(?:\s+is)?\s*:?){_WRAPPED}([A-Z])(?![\w'])")
_ALONE = re.compile(rf"^{_WRAPPED}([A-Z])(?:[)\].:,\"*]|'(?!\w)|\s*$|\s*\n)")  # "I'm" is no option I


@dataclass(frozen=True)
class Question:
    """A question, its options, and the one looked for: the right one, or the one that shows the trait."""

    item: str
    question: str
    options: tuple[str, ...]
    marked: int  # from 0

    @property
    def letters(self) -> str:
        """A letter for each option: "ABCD"."""
        return ascii_uppercase[: len(self.options)]

    @property
    def listed(self) -> Conversation:
        """The question with its options under their letters."""
        rows = [f"{letter}. {option}" for letter, option in zip(self.letters, self.options, strict=True)]
        told = "\n".join(rows)
        return Conversation.of(f"{self.question}\n\n{told}\n\nAnswer with the letter of one option only.")

    def chosen(self, text: str) -> int | None:
        """Return the option that an answer takes; None where it is no valid answer.

        The letter behind "answer", "option" or "choice" where there is one, the last if several; else a
        letter at the beginning that stands alone or before a mark; else the one option whose text is in the
        answer.
        """
        announced = _ANNOUNCED.findall(text)
        alone = _ALONE.match(text)
        letter = announced[-1] if announced else alone[1] if alone else ""
        if letter:
            return self.letters.find(letter) if letter in self.letters else None
        said = [
            place
            for place, option in enumerate(self.options)
            if re.search(rf"(?<!\w){re.escape(option.rstrip('.'))}(?!\w)", text, re.IGNORECASE)
        ]
        return said[0] if len(said) == 1 else None


@dataclass(frozen=True)
class Choices:
    """Questions with options: the outcome `trait`, or `correct` where the data mark the right answer.

    `mode` says how a choice is read. letters: options are listed, and the letter with the highest
    probability as the beginning of the answer is taken; `mass` is the probability of all letters together,
    which is low where the model would not answer with one (Hendrycks et al., arXiv 2009.03300). texts: no
    options are listed, and the text with the highest mean log-probability a token, its end mark included, is
    taken (length-normalised scoring, Brown et al., arXiv 2005.14165, section 2.4). generate: options are
    listed, and the greedy answer is read; `valid` where it takes one of them, and an answer that is not
    valid is neither right nor of the trait (the valid and evil rate of arXiv 2511.05408). Scores that
    are no numbers take nothing: NaN.
    """

    questions: tuple[Question, ...]
    outcome: str  # "trait" or "correct"
    mode: Mode = "letters"
    limit: int = LIMIT

    @classmethod
    def from_options(cls, data: Path | None, options: Mapping[str, object]) -> Choices:
        """Return the metric over `{"question": …, "options": […], "trait" or "answer": place from 0}`.

        Options are mode and, where answers are generated, limit.

        Raises:
            RecipeError: an option is unknown, or means nothing.
            InvalidFileError: names the line of the data and what is wrong with it.
        """
        read = Options("choices", options, data).only("mode", "limit")
        given = read.text("mode", "letters")
        mode = next((known for known in get_args(Mode) if known == given), None)
        if mode is None:
            read.refuse(f"mode is {quoted(given)}, expected {', '.join(get_args(Mode))}")
        if "limit" in options and mode != "generate":
            read.refuse("limit is of answers that are generated", "add mode: generate")
        questions, outcome = read_questions(read.file())
        return cls(tuple(questions), outcome, mode, read.whole("limit", LIMIT))

    def measure(self, model: LanguageModel) -> Measured:
        """Return what the model takes."""
        items = tuple(one.item for one in self.questions)
        if self.mode == "generate":
            return self._generated(model, items)
        outcomes = {}
        if self.mode == "letters":
            scores = _letter_scores(model, self.questions)
            mass = tuple(math.fsum(map(math.exp, row)) for row in scores)
            outcomes["mass"] = Outcome("mean", items, mass)
        else:
            asked = [(Conversation.of(one.question), one.options) for one in self.questions]
            scores = [[option.mean for option in row] for row in score(model, asked)]
        taken = [max(range(len(row)), key=row.__getitem__) for row in scores]
        broken = [any(map(math.isnan, row)) for row in scores]
        return Measured({self.outcome: share(items, self._hits(taken), broken=broken), **outcomes})

    def _generated(self, model: LanguageModel, items: tuple[str, ...]) -> Measured:
        said = answer(roomy(model), [one.listed for one in self.questions], limit=self.limit)
        taken = [
            one.chosen(spoken(text.text, opened=model.opens_reasoning(one.listed)))
            for one, text in zip(self.questions, said, strict=True)
        ]
        valid = share(items, [place is not None for place in taken])
        samples = tuple(
            Sample(one.item, one.listed.asked, text.text, "invalid" if place is None else one.letters[place])
            for one, text, place in zip(self.questions, said, taken, strict=True)
        )
        return Measured({self.outcome: share(items, self._hits(taken)), "valid": valid}, samples)

    def _hits(self, taken: Sequence[int | None]) -> list[bool]:
        return [place == one.marked for place, one in zip(taken, self.questions, strict=True)]


def _letter_scores(model: LanguageModel, questions: Sequence[Question]) -> list[list[float]]:
    """Return the log-probability of each letter as the beginning of the answer."""
    heads = [model.prompt_tokens(one.listed) for one in questions]
    tails = [[model.answer_tokens(one.listed, letter)[:-1] for letter in one.letters] for one in questions]

    def look(logits: torch.Tensor, tokens: torch.Tensor) -> float:
        return float(log_softmax(logits.float(), dim=-1).gather(1, tokens[:, None]).sum())

    return [list(row) for row in look_at_tokens(model, heads, tails, look)]


def read_questions(path: Path) -> tuple[list[Question], str]:
    """Return the questions of a file, and what taking their marked option is called.

    Raises:
        InvalidFileError: names the line and what is wrong with it.
    """
    found = read_lines(path, _question)
    marks = {mark for _, mark in found}
    if len(marks) > 1:
        raise InvalidFileError(
            f"{quoted(str(path))}: some lines have 'trait' and others 'answer', expected one"
        )
    seen: dict[str, int] = {}
    for number, (one, _) in enumerate(found, 1):
        if one.item in seen:
            raise InvalidFileError(
                f"{quoted(str(path))}, line {number}: the id {quoted(one.item)} stands in line "
                f"{seen[one.item]} already"
            )
        seen[one.item] = number
    places = {one.marked for one, _ in found}
    if len(found) >= FEWEST and len(places) == 1:
        raise InvalidFileError(
            f"{quoted(str(path))}: the marked option is option {min(places)} in all {len(found)} lines",
            hint="spread it over the places, so that liking a letter is not taken for liking an answer",
        )
    return [one for one, _ in found], OUTCOMES[marks.pop()]


def _question(line: Line) -> tuple[Question, str]:
    line.only("question", "options", *MARKS, "id", "topic")
    line.text("topic", "")
    given = [mark for mark in MARKS if mark in line.content]
    if len(given) != 1:
        line.refuse(f"{'both' if given else 'neither'} of 'trait' and 'answer', expected one")
    options = line.texts("options")
    if not 2 <= len(options) <= len(ascii_uppercase) or len(set(options)) < len(options):
        line.refuse(f"options are {len(options)} texts, expected 2 to 26 different ones")
    marked = line.content[given[0]]
    if not isinstance(marked, int) or isinstance(marked, bool) or not 0 <= marked < len(options):
        line.refuse(
            f"{quoted(given[0])} is {marked!r}, expected the place of an option, 0 to {len(options) - 1}"
        )
    return Question(line.text("id", str(line.number)), line.text("question"), options, marked), given[0]
