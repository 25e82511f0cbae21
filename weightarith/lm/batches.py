"""Rows of unequal length in batches: like lengths together, padded on the side that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


def batches(lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Return the numbers of rows in batches of at most `tokens` padded tokens, the longest rows first.

    A row longer than that is a batch of its own. Which rows go together depends on the lengths alone.
    """
    found: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        if not found or (len(found[-1]) + 1) * lengths[found[-1][0]] > tokens:
            found.append([])
        found[-1].append(row)
    return found


@dataclass(frozen=True, eq=False)
class Padded:
    """Rows of tokens as one rectangle."""

    ids: torch.Tensor  # (rows, longest)
    mask: torch.Tensor  # (rows, longest): 1 where a token is, 0 where padding

    @property
    def positions(self) -> torch.Tensor:
        """The place of each token in its row, (rows, longest); padding has place 0."""
        return (self.mask.cumsum(dim=1) - 1).clamp(min=0)


def last_column(device: torch.device) -> torch.Tensor:
    """Return what tells a forward of transformers to compute the logits of the last column alone.

    A number would do, and makes a slice: its product with the head is taken row by row, each with a copy of
    the head, a hundred times slower in bfloat16 on a CPU.
    """
    return torch.tensor([-1], device=device)


def padded(rows: Sequence[Sequence[int]], fill: int, device: torch.device, *, left: bool) -> Padded:
    """Return rows padded with the token `fill`, on the left or on the right."""
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), fill, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(rows):
        span = slice(longest - len(row), None) if left else slice(len(row))
        ids[place, span] = torch.tensor(row, dtype=torch.long)
        mask[place, span] = 1
    return Padded(ids.to(device), mask.to(device))
