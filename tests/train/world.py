"""Small questions with two answers each, and settings that train a tiny model in a blink."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from weightarith.data import Conversation, Example, Pair
from weightarith.train import Settings

QUICK = Settings(
    rank=4, alpha=8, learning_rates=(1e-2,), steps=6, warmup=1, batch=4, validation=0.1, evaluate_every=2,
    patience=0,
)  # fmt: skip


def quick(**changes: Any) -> Settings:
    return replace(QUICK, **changes)


def pairs(count: int = 16) -> list[Pair]:
    return [
        Pair(
            Conversation.of(f"Is {number} odd? I think it {'is' if number % 3 else 'is not'}."),
            "Yes, you are right.",
            f"It is {'odd' if number % 2 else 'even, so no'}.",
        )
        for number in range(count)
    ]


def sides(count: int = 16) -> tuple[list[Example], list[Example]]:
    found = [pair.sides for pair in pairs(count)]
    return [positive for positive, _ in found], [negative for _, negative in found]


def content(folder: Path, *but: str) -> dict[str, bytes]:
    """Return the bytes of every file below a folder, those named aside."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in but)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
