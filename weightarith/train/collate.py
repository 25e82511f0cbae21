"""Rows of tokens as one batch whose loss is taken on the answers alone.

Rows are padded on the left, so that all answers end in the last column, and the head of the vocabulary runs
on the columns of answers only, where the model's forward takes `logits_to_keep`.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from weightarith.lm.batches import padded
from weightarith.train.rows import Row

IGNORED = -100
"""The label that transformers leaves out of a loss."""


@dataclass(frozen=True)
class Collator:
    """Makes batches.

    Attributes:
        fill: the token of padding.
        short: whether the logits of answers alone are computed.
        places: whether the model is told the place of each token.
    """

    fill: int
    short: bool
    places: bool

    def __call__(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """Return the arguments of the model's forward.

        Labels are those of the columns whose logits are computed, and transformers shifts them by one: the
        first of these columns is no answer's, for it has no logits before it.
        """
        tokens = padded(
            [(*row.prompt, *row.answer) for row in rows], self.fill, torch.device("cpu"), left=True
        )
        width = tokens.ids.shape[1]
        kept = max(len(row.answer) for row in rows) + 1 if self.short else width
        labels = torch.full((len(rows), kept), IGNORED)  # (rows, kept)
        for place, row in enumerate(rows):
            labels[place, kept - len(row.answer) :] = torch.tensor(row.answer)
        batch = {"input_ids": tokens.ids, "attention_mask": tokens.mask, "labels": labels}
        if self.places:
            batch["position_ids"] = tokens.positions
        if self.short:
            # Named one by one the columns are copied together; a slice of them makes a product a row, each
            # with its own copy of the head: a hundred times slower in bfloat16 on a CPU.
            batch["logits_to_keep"] = torch.arange(width - kept, width)
        return batch


def collator_for(network: Any, fill: int) -> Collator:
    """Return the collator for a causal language model of transformers."""
    taken = inspect.signature(network.forward).parameters
    return Collator(fill, "logits_to_keep" in taken, "position_ids" in taken)
