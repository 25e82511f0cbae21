"""How well a model predicts plain text: what steering costs where nothing is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.functional import log_softmax

from weightarith.data.lines import Line, read_lines
from weightarith.errors import IncompatibleError, quoted
from weightarith.evaluate.options import Options
from weightarith.evaluate.outcome import Measured, Outcome
from weightarith.evaluate.pooled import pooled
from weightarith.lm import LanguageModel
from weightarith.lm.score import look_at_tokens


@dataclass(frozen=True)
class Perplexity:
    """Texts read by the model, without a chat template: outcomes `nats` and `perplexity`.

    `nats` is a text's mean negative log-probability a token; `perplexity` is exp of the mean over the tokens
    of all texts. A mark of the beginning stands before a text where the tokenizer puts one there, and not
    where it merely knows one, such as that of a chat; without it the first token cannot be predicted, and
    does not count. No system prompt is read. Jelinek et al. (1977), https://doi.org/10.1121/1.2016299

    Attributes:
        texts: what to call each, and what it says.
    """

    texts: tuple[tuple[str, str], ...]

    @classmethod
    def from_options(cls, data: Path | None, options: Mapping[str, object]) -> Perplexity:
        """Return the metric over the texts of a file, `{"text": …}` a line; it has no options.

        Raises:
            RecipeError: an option is given.
            InvalidFileError: names the line of the data and what is wrong with it.
        """
        return cls(tuple(read_texts(Options("perplexity", options, data).only().file())))

    def measure(self, model: LanguageModel) -> Measured:
        """Return how the model fares.

        Raises:
            IncompatibleError: a text has too few tokens to predict one, or more than the model can read.
        """
        split = [self._split(model, item, text) for item, text in self.texts]
        heads, tails = [head for head, _ in split], [[tail] for _, tail in split]
        found = [one for (one,) in look_at_tokens(model, heads, tails, _nats)]
        items = [item for item, _ in self.texts]
        values = tuple(sum(one) / len(one) for one in found)
        return Measured(
            {
                "nats": Outcome("mean", tuple(items), values, "nats/token"),
                "perplexity": pooled("exp mean", items, found, ""),
            }
        )

    def _split(self, model: LanguageModel, item: str, text: str) -> tuple[list[int], list[int]]:
        """Return the token that a text is read behind, and its other tokens."""
        tokens = list(model.tokenizer(text, add_special_tokens=False)["input_ids"])
        start, first = model.tokenizer.bos_token_id, model.tokenizer(text)["input_ids"][:1]
        whole = [start, *tokens] if first == [start] != tokens[:1] else tokens
        most = getattr(model.network.config, "max_position_embeddings", None)
        if len(whole) < 2:
            raise IncompatibleError(f"text {quoted(item)} is a single token, so none can be predicted")
        if most is not None and len(whole) > most:
            raise IncompatibleError(
                f"text {quoted(item)} has {len(whole)} tokens, expected at most the {most} that "
                f"{quoted(model.label)} can read",
                hint="cut it into several lines",
            )
        return whole[:1], whole[1:]


def read_texts(path: Path) -> list[tuple[str, str]]:
    """Return the texts of a file, each under an identifier that no other has.

    Raises:
        InvalidFileError: names the line and what is wrong with it.
    """
    seen: dict[str, int] = {}

    def row(line: Line) -> tuple[str, str]:
        line.only("text", "id", "topic")
        line.text("topic", "")
        item = line.text("id", str(line.number))
        if item in seen:
            line.refuse(f"the id {quoted(item)} stands in line {seen[item]} already")
        seen[item] = line.number
        return item, line.text("text")

    return read_lines(path, row)


def _nats(logits: torch.Tensor, tokens: torch.Tensor) -> list[float]:
    found: list[float] = (-log_softmax(logits.float(), dim=-1).gather(1, tokens[:, None])[:, 0]).tolist()
    return found
