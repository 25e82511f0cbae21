"""Short problems whose answer is a number: whether the number that a model names is the right one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from weightarith.data.lines import Line
from weightarith.data.markers import spoken
from weightarith.errors import quoted
from weightarith.evaluate.numerals import number_meant, numbers_in
from weightarith.evaluate.options import Options
from weightarith.evaluate.outcome import Measured, Outcome, Sample
from weightarith.evaluate.prompts import Prompt, read_prompts_with
from weightarith.lm import LanguageModel, answer
from weightarith.speaker import roomy

LIMIT = 48


@dataclass(frozen=True)
class Arithmetic:
    """Problems put to a model, answered greedily: `correct` and `answered`, shares of all problems.

    `answered` where the answer, without a block of reasoning, names a number; `correct` where the number
    meant (see `weightarith.evaluate.numerals`) equals the right one: 5, 5.0 and 5.00 are the same.

    Attributes:
        problems: each with the right answer.
        limit: tokens of an answer, at most.
    """

    problems: tuple[tuple[Prompt, Decimal], ...]
    limit: int = LIMIT

    @classmethod
    def from_options(cls, data: Path | None, options: Mapping[str, object]) -> Arithmetic:
        """Return the metric over `{"prompt": …, "answer": …}`, the answer a number; its option is limit.

        Raises:
            RecipeError: an option is unknown, or means nothing.
            InvalidFileError: names the line of the data and what is wrong with it.
        """
        read = Options("arithmetic", options, data).only("limit")
        limit = read.whole("limit", LIMIT)
        return cls(tuple(read_prompts_with(read.file(), ("answer",), _right)), limit)

    def measure(self, model: LanguageModel) -> Measured:
        """Return what the model gets right."""
        asked = [prompt.conversation for prompt, _ in self.problems]
        said = answer(roomy(model), asked, limit=self.limit)
        found = [
            number_meant(spoken(one.text, opened=model.opens_reasoning(conversation)))
            for conversation, one in zip(asked, said, strict=True)
        ]
        rights = [right for _, right in self.problems]
        items = tuple(prompt.item for prompt, _ in self.problems)
        correct = tuple(float(number == right) for number, right in zip(found, rights, strict=True))
        answered = tuple(float(number is not None) for number in found)
        samples = tuple(
            Sample(prompt.item, prompt.conversation.asked, one.text, _verdict(number, right))
            for (prompt, right), one, number in zip(self.problems, said, found, strict=True)
        )
        outcomes = {
            "correct": Outcome("share", items, correct),
            "answered": Outcome("share", items, answered),
        }
        return Measured(outcomes, samples)


def _right(line: Line) -> Decimal:
    value = line.content.get("answer")
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    numbers = numbers_in(value) if isinstance(value, str) else []
    if len(numbers) != 1:
        line.refuse(f"'answer' is {quoted(str(value))}, expected one number", 'such as 12 or "-1,250.5"')
    return numbers[0]


def _verdict(number: Decimal | None, right: Decimal) -> str:
    if number is None:
        return f"no number, expected {right}"
    return "correct" if number == right else f"{number}, expected {right}"
