"""How far a model has moved from its base: the divergence of their predictions, token by token.

What strengths and methods are matched on. The base's predictions are kept in float16 on the CPU, two bytes
for every word of the vocabulary at every token of its answers: 150 MB for 48 prompts of 32 tokens and 49,152
words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.functional import log_softmax

from weightarith.errors import IncompatibleError, quoted
from weightarith.evaluate.options import Options
from weightarith.evaluate.outcome import Measured, Outcome
from weightarith.evaluate.pooled import pooled
from weightarith.evaluate.prompts import Prompt, read_prompts
from weightarith.lm import LanguageModel
from weightarith.lm.batches import batches, padded
from weightarith.lm.score import look_at_tokens
from weightarith.speaker import roomy

LIMIT = 32
MOST_BYTES = 16 << 30
"""Of the base's predictions."""


@dataclass(frozen=True)
class Divergence:
    """The divergence from a base over prompts: outcomes `first`, `response`, `p95` and `p99`.

    KL(base ‖ model) = Σ p ln(p/q) over the vocabulary, in nats, where p is what the base predicts and q what
    the model does, both behind the same tokens: the base's own greedy answer of at most `limit` tokens, its
    end mark included. `first` is that of the answer's first token, `response` an item's mean over the
    tokens, `p95` and `p99` percentiles over the tokens of all items. A system prompt of the model's own
    stands before its prompts and not before the base's.

    Kullback and Leibler (1951), https://doi.org/10.1214/aoms/1177729694. That the first token alone
    underestimates damage: https://github.com/p-e-w/heretic/issues/209

    Attributes:
        prompts: what is asked.
        limit: tokens of an answer, at most.
    """

    prompts: tuple[Prompt, ...]
    limit: int = LIMIT

    @classmethod
    def from_options(cls, data: Path | None, options: Mapping[str, object]) -> Divergence:
        """Return the metric over the prompts of a file; its option is limit.

        Raises:
            RecipeError: an option is unknown, or means nothing.
            InvalidFileError: names the line of the data and what is wrong with it.
        """
        read = Options("divergence", options, data).only("limit")
        return cls(tuple(read_prompts(read.file())), read.whole("limit", LIMIT))

    def against(self, base: LanguageModel) -> DivergenceFrom:
        """Return the divergence from what `base` predicts now; it may change afterwards.

        Raises:
            IncompatibleError: its predictions do not fit into the memory that is spent on them.
        """
        heads = [base.prompt_tokens(prompt.conversation) for prompt in self.prompts]
        needed = 2 * len(heads) * self.limit * int(base.network.config.get_text_config().vocab_size)
        if needed > MOST_BYTES:
            raise IncompatibleError(
                f"the predictions of {quoted(base.label)} take up to {needed / 2**30:.1f} GiB of memory, "
                f"expected at most {MOST_BYTES >> 30}",
                hint="ask fewer prompts, or lower limit",
            )
        said = greedy(base, heads, self.limit)
        kept: list[Kept] = [Kept(torch.empty(0), torch.empty(0))] * len(heads)
        for rows, logits in _predicted(base, heads, said):
            for row, one in zip(rows, logits, strict=True):
                kept[row] = Kept.of(one)
        return DivergenceFrom(self.prompts, tuple(said), tuple(kept), base.label)


@dataclass(frozen=True, eq=False)
class Kept:
    """A prediction at each token of an answer."""

    logs: torch.Tensor  # (tokens, vocabulary), float16, on the CPU
    totals: torch.Tensor  # (tokens, 1): ln Σ exp of what rounding made of them, nearly 0

    @classmethod
    def of(cls, logits: torch.Tensor) -> Kept:
        """Return the prediction that logits, (tokens, vocabulary), are."""
        logs = log_softmax(logits.float(), dim=-1).half()
        return cls(logs.cpu(), logs.float().logsumexp(dim=-1, keepdim=True).cpu())

    def to(self, logits: torch.Tensor) -> list[float]:
        """Return KL(this ‖ other) at each token, in nats; the other is given by its logits."""
        base = self.logs.to(logits.device).float() - self.totals.to(logits.device)
        other = log_softmax(logits.float(), dim=-1)
        # Where float16 has rounded to −∞ the base's probability is 0, and so is the word's share.
        each = base.exp() * torch.where(base.isinf(), 0.0, base - other)
        found: list[float] = each.sum(dim=-1).clamp(min=0).tolist()
        return found


@dataclass(frozen=True, eq=False)
class DivergenceFrom:
    """The divergence from one base.

    Attributes:
        prompts: what is asked.
        said: the base's answers, in tokens.
        kept: what it predicts at each of them.
        label: what the base is called.
    """

    prompts: tuple[Prompt, ...]
    said: tuple[list[int], ...]
    kept: tuple[Kept, ...]
    label: str

    def measure(self, model: LanguageModel) -> Measured:
        """Return how far the model has moved.

        Raises:
            IncompatibleError: it has another vocabulary than the base.
        """
        heads = [model.prompt_tokens(prompt.conversation) for prompt in self.prompts]
        found: list[list[float]] = [[]] * len(heads)
        for rows, logits in _predicted(model, heads, self.said):
            for row, one in zip(rows, logits, strict=True):
                self._check_words(model, one.shape[1])
                found[row] = self.kept[row].to(one)
        items = tuple(prompt.item for prompt in self.prompts)
        means = tuple(sum(one) / len(one) for one in found)
        return Measured(
            {
                "first": Outcome("mean", items, tuple(one[0] for one in found), "nats"),
                "response": Outcome("mean", items, means, "nats/token"),
                "p95": pooled("p95", items, found, "nats"),
                "p99": pooled("p99", items, found, "nats"),
            }
        )

    def _check_words(self, model: LanguageModel, words: int) -> None:
        before = self.kept[0].logs.shape[1]
        if words != before:
            raise IncompatibleError(
                f"{quoted(model.label)} predicts {words} words and {quoted(self.label)} {before}, "
                "expected the same vocabulary",
                hint="a divergence is that of a model from the one it was made of",
            )


@torch.inference_mode()
def greedy(model: LanguageModel, heads: Sequence[list[int]], limit: int) -> list[list[int]]:
    """Return the greedy answer to each prompt, both as tokens, the end mark included where there is one."""
    fill, ends = model.tokenizer.pad_token_id, model.ends
    found: list[list[int]] = [[]] * len(heads)
    for rows in batches([len(head) + limit for head in heads], roomy(model).batch_tokens):
        prompts = padded([heads[row] for row in rows], fill, model.device, left=True)
        tokens = model.network.generate(
            input_ids=prompts.ids, attention_mask=prompts.mask, max_new_tokens=limit, do_sample=False,
            temperature=None, top_p=None, top_k=None, pad_token_id=fill, eos_token_id=sorted(ends),
        )[:, prompts.ids.shape[1] :].tolist()  # fmt: skip
        for row, said in zip(rows, tokens, strict=True):
            end = next((place for place, token in enumerate(said) if token in ends), limit)
            found[row] = said[: end + 1]
    return found


def _predicted(
    model: LanguageModel, heads: Sequence[list[int]], tails: Sequence[list[int]]
) -> Iterator[tuple[list[int], list[torch.Tensor]]]:
    """Yield the logits at the answers' tokens, (tokens, vocabulary) each, a batch of rows at a time.

    A batch at a time, because logits are kept whole.
    """
    lengths = [len(head) + len(tail) for head, tail in zip(heads, tails, strict=True)]
    for rows in batches(lengths, model.batch_tokens):
        found = look_at_tokens(
            model, [heads[row] for row in rows], [[tails[row]] for row in rows], lambda logits, _: logits
        )
        yield rows, [one for (one,) in found]
