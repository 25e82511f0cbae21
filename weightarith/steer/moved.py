"""Weights put aside for moved ones while a network is steered; the very objects are put back.

A moved weight is W + Σ k·Δ over every vector that moves it, computed in float32 and rounded once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import torch
from torch import nn

from weightarith.steer.fitted import Delta

CHUNK = 1 << 20
"""Elements that are computed at a time: float32 copies of them fit a cache."""

_MARK = "weightarith_moved"


@dataclass
class Share:
    """What one vector adds to a weight, at a strength that changes."""

    delta: Delta
    strength: float


@dataclass(eq=False)
class Moved:
    """A weight that is put aside for `fresh`, in every module that holds it."""

    original: torch.Tensor
    fresh: torch.Tensor
    holders: list[tuple[nn.Module, str]]
    shares: list[Share] = field(default_factory=list)

    def settle(self) -> None:
        """Compute the moved weight anew; a strength of 0 adds nothing, not even a zero."""
        shares = [share for share in self.shares if share.strength]
        with torch.inference_mode(False), torch.no_grad():
            if not shares:
                self.fresh.copy_(self.original)
                return
            base, fresh = _in_rows(self.original), _in_rows(self.fresh)
            step = max(1, CHUNK // max(prod(base.shape[1:]), 1))
            for start in range(0, len(base), step):
                span = slice(start, start + step)
                total = base[span].to(torch.float32, copy=True)
                for share in shares:
                    total.add_(share.delta.rows(span).reshape(total.shape), alpha=share.strength)
                fresh[span] = total

    def put(self, tensor: torch.Tensor) -> None:
        """Let every module that holds the weight hold `tensor` in its place."""
        for module, part in self.holders:
            if isinstance(tensor, nn.Parameter):
                module._parameters[part] = tensor
            else:
                module._buffers[part] = tensor


def join(tensor: torch.Tensor, holders: list[tuple[nn.Module, str]], share: Share) -> Moved:
    """Return the moved weight in place of `tensor`, or that it is already, with one share more."""
    known = getattr(tensor, _MARK, None)
    if isinstance(known, Moved):
        known.shares.append(share)
        try:
            known.settle()
        except BaseException:
            leave(known, share)
            raise
        return known
    with torch.inference_mode(False):
        fresh = torch.empty_like(tensor, requires_grad=False)
        made = Moved(
            tensor, nn.Parameter(fresh, False) if isinstance(tensor, nn.Parameter) else fresh, holders
        )
    setattr(made.fresh, _MARK, made)
    made.shares.append(share)
    made.settle()
    made.put(made.fresh)
    return made


def leave(moved: Moved, share: Share) -> None:
    """Take a share away; with the last one the original weight is put back."""
    moved.shares[:] = [each for each in moved.shares if each is not share]
    if moved.shares:
        moved.settle()
    else:
        moved.put(moved.original)


def _in_rows(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach() if tensor.dim() else tensor.detach()[None]
