"""Tokens whose rows moved, by name where the model's folder says how its tokens are called."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

from weightarith.audit.finding import Finding, listed, percent
from weightarith.audit.lines import Moved
from weightarith.audit.pairs import VOCABULARY, Laid
from weightarith.audit.reading import Reading
from weightarith.engine.tokenizers import READ, Tokenizer, tokens_of
from weightarith.errors import quoted
from weightarith.names import role_of

_FEW, _SHARE = 16, 0.005
"""Rows, and share of the rows, up to which those that moved are named one by one."""

Namer = Callable[[str, int], str]
"""The token of a row of a tensor in words; empty where it has none."""


def namer(laid: Laid) -> Namer:
    """Return what names the tokens of two models, by the tokenizer of the second, else of the first.

    Raises:
        InvalidFileError: a tokenizer's file is not what its name says.
    """
    folders = [leaf.source.folder for leaf in (laid.other, laid.base) if leaf.point]

    @lru_cache(maxsize=1)
    def tokens() -> dict[int, str]:
        for folder in folders:
            if folder is not None and (found := _tokens(folder)):
                return found
        return {}

    def name(tensor: str, row: int) -> str:
        if role_of(tensor) not in VOCABULARY:
            return ""
        token = tokens().get(row)
        return f"token {quoted(token)}" if token is not None else "a token without a name"

    return name


def _tokens(folder: Path) -> dict[int, str]:
    tokenizer = Tokenizer(folder.name, folder)
    kind = next((name for name in tokenizer.kinds if name in READ), None)
    return {} if kind is None else {number: token for token, number in tokens_of(tokenizer, kind).ids.items()}


def moved_tokens(reading: Reading, skip: frozenset[str], token: Namer) -> tuple[list[Finding], list[str]]:
    """Return a finding for each vocabulary a few rows of which moved, and notes on the others that changed.

    Args:
        reading: all tensors.
        skip: names of tensors that are explained.
        token: names the rows.
    """
    findings, notes = [], []
    for one in reading.changed:
        if one.moved is None or one.name in skip:
            continue
        told = listed(list(_rows(one.name, one.moved, token)), 8)
        if one.moved.count <= max(_FEW, _SHARE * one.moved.lines):
            findings.append(
                Finding(
                    "tokens", one.name, f"{one.moved.count} of {one.moved.lines:,} rows moved: {told}",
                    "all other rows are what they were", (one.name,), None,
                    {
                        "rows": [row for row, _ in one.moved.listed], "count": one.moved.count,
                        "relative": one.relative,
                    },
                )
            )  # fmt: skip
        else:
            notes.append(
                f"{one.name}: {one.moved.count:,} of {one.moved.lines:,} rows moved, most of all {told}"
            )
    return findings, notes


def _rows(name: str, moved: Moved, token: Namer) -> Iterator[str]:
    for row, relative in moved.listed:
        yield f"{row} ({token(name, row)}) by {percent(relative)}"
