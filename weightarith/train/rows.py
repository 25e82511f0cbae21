"""Rows of tokens to train on: which of them validate, in which order the others come, and what they hash to.

Both depend on the seed and on the number of rows alone, so that two sides of a contrast share them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from weightarith.data import Example
from weightarith.errors import InvalidFileError, RecipeError, quoted
from weightarith.lm.model import LanguageModel, tokenizer_of
from weightarith.train.settings import Settings


@dataclass(frozen=True)
class Row:
    """An example as tokens."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]  # with the mark that ends it

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self.prompt) + len(self.answer)


@dataclass(frozen=True)
class Split:
    """The rows of each step, by number, and the rows that no step sees."""

    steps: tuple[tuple[int, ...], ...]
    validation: tuple[int, ...]

    @property
    def order(self) -> list[int]:
        """The rows of all steps, one after the other."""
        return [row for step in self.steps for row in step]


def split(count: int, settings: Settings) -> Split:
    """Return how `count` rows are trained on.

    Every pass over the training rows has its own shuffled order; the last step is filled up from the next.

    Raises:
        RecipeError: there are too few rows, or too few steps.
    """
    shuffler = random.Random(settings.seed)
    kept = max(1, round(count * settings.validation)) if settings.validation else 0
    if count - kept < 1:
        raise RecipeError(
            f"{count} row{'s' * (count != 1)} to train on and {kept} of them to validate with leave none",
            hint="give more rows, or a validation share of 0",
        )
    validation = sorted(shuffler.sample(range(count), kept))
    rest = [row for row in range(count) if row not in set(validation)]
    steps = settings.steps_for(len(rest))
    if steps <= settings.warmup:
        raise RecipeError(
            f"training takes {steps} step{'s' * (steps != 1)}, "
            f"and in the first {settings.warmup} the learning rate rises",
            hint="train for more steps or epochs, or warm up for fewer steps",
        )
    order: list[int] = []
    while len(order) < steps * settings.batch:
        order += shuffler.sample(rest, len(rest))
    cut = [tuple(order[step * settings.batch : (step + 1) * settings.batch]) for step in range(steps)]
    return Split(tuple(cut), tuple(validation))


def tokenised(base: Path, label: str, examples: Sequence[Example], settings: Settings) -> list[Row]:
    """Return examples as tokens of a model, whose weights are not read.

    Raises:
        InvalidFileError: an example is too long; nothing is ever cut.
        UnsupportedError: the model has no tokenizer, or no chat template.
    """
    speaker = LanguageModel(SimpleNamespace(generation_config=_generation(base)), tokenizer_of(base), label)
    rows = []
    for number, example in enumerate(examples, 1):
        prompt = speaker.prompt_tokens(example.conversation)
        row = Row(tuple(prompt), tuple(speaker.answer_tokens(example.conversation, example.answer)))
        if len(row) > settings.max_tokens:
            raise InvalidFileError(
                f"row {number} ({quoted(example.conversation.asked)}) has {len(row):,} tokens, "
                f"{settings.max_tokens:,} are allowed",
                hint="shorten it, or raise max_tokens: a row is never cut",
            )
        rows.append(row)
    return rows


def _generation(base: Path) -> Any:
    """Return the generation config of a model folder, as transformers finds it when it loads the model."""
    from transformers import AutoConfig, GenerationConfig

    try:
        if (base / "generation_config.json").is_file():
            return GenerationConfig.from_pretrained(base, local_files_only=True)
        config = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
        return GenerationConfig.from_model_config(config)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidFileError(
            f"transformers cannot read the config of {quoted(str(base))}: {str(error).splitlines()[0]}"
        ) from error


def as_lines(examples: Sequence[Example]) -> str:
    """Return examples as JSON Lines of chats, the same text for the same examples."""
    chats = (
        {"messages": [*example.conversation.messages(), {"role": "assistant", "content": example.answer}]}
        for example in examples
    )
    return "".join(json.dumps(chat, ensure_ascii=False) + "\n" for chat in chats)


def data_hash(examples: Sequence[Example]) -> str:
    """Return the SHA-256 of examples as `as_lines` writes them, in hexadecimal."""
    return sha256(as_lines(examples).encode("utf-8", "surrogatepass")).hexdigest()
