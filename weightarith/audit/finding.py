"""What an audit says: findings, which stand out of the rest, and notes, which are true of all alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = (
    "code", "nonfinite", "swapped", "low-rank", "scaled-tensor", "scaled-rows", "scaled-columns", "rounded",
    "size", "alone", "unchanged", "tokens", "known", "missing", "added", "shape", "buffer", "dtype", "head",
    "tokenizer", "chat-template", "config",
)  # fmt: skip
"""Kinds of findings, what matters most first."""

PLANTED = frozenset(KINDS[KINDS.index("swapped") : KINDS.index("tokens")])
"""Kinds that one tensor has and its peers have not: what somebody may have planted."""


@dataclass(frozen=True)
class Finding:
    """One thing that stands out.

    Attributes:
        kind: one of `KINDS`.
        where: the tensor, the layer or the file.
        what: what it is and how much.
        why: why it stands out.
        tensors: every tensor it is about, by name.
        chance: how often it is found by chance in two models without any such thing, a bound on it corrected
            for all that was looked at; None where chance plays no part.
        numbers: the numbers behind the words.
    """

    kind: str
    where: str
    what: str
    why: str
    tensors: tuple[str, ...] = ()
    chance: float | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)

    @property
    def weight(self) -> tuple[int, float, str]:
        """What findings are ordered by, the smallest first: kind, then how large it is."""
        return KINDS.index(self.kind), -float(self.numbers.get("relative") or 0.0), self.where

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON has it."""
        return {
            "kind": self.kind, "where": self.where, "what": self.what, "why": self.why,
            "tensors": list(self.tensors), "chance": self.chance,
            "numbers": {key: plain(value) for key, value in self.numbers.items()},
        }  # fmt: skip


def plain(value: Any) -> Any:
    """Return a value as JSON has it: what is not finite is null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    return value


def percent(share: float) -> str:
    """Return a share in words: `0.16 %`."""
    return f"{100 * share:.3g} %" if math.isfinite(share) else "of nothing"


def listed(words: list[str], limit: int = 6) -> str:
    """Return up to `limit` words, and how many more there are."""
    told = ", ".join(words[:limit])
    return told if len(words) <= limit else f"{told} and {len(words) - limit} more"
