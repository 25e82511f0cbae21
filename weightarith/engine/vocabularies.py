"""The models whose rows by token a result combines, and whether a row is the same token's in all of them.

No embedding is permuted here: rows are combined by their number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from weightarith.algebra import Checkpoint, Leaf
from weightarith.engine.plan import Job
from weightarith.engine.tokenizers import Tokenizer, difference, tokens_of
from weightarith.errors import InvalidFileError, UnsupportedError
from weightarith.names import role_of

_NO_TOKENS = re.compile("pos|wpe|token_type|score|classifier")


def folders_of(leaves: Iterable[Leaf]) -> dict[Path, str]:
    """Return the folders of checkpoints and what errors call each, the first leaf's first.

    A checkpoint of stacked layers comes from several; single files have none.
    """
    found: dict[Path, str] = {}
    for leaf in leaves:
        if not isinstance(leaf, Checkpoint) or leaf.source.folder is None:
            continue
        whole = not leaf.source.edit
        folders = [leaf.source.folder] if whole else [file.path.parent for file in leaf.source.files]
        for folder in folders:
            if whole or folder not in found:
                found[folder] = leaf.label if len(set(folders)) == 1 else folder.name
    return found


def check_tokens(
    jobs: Iterable[Job], models: Mapping[Path, str], tokenizer: Tokenizer, *, asked: bool
) -> Iterator[str]:
    """Yield warnings where models whose rows are combined have other tokens than the result gets.

    Args:
        jobs: of the result.
        models: folders of checkpoints, and what errors call them.
        tokenizer: what the result gets.
        asked: whether it was asked for; then nothing may differ.

    Raises:
        UnsupportedError: it was asked for, and a token has another row in a model.
        InvalidFileError: it was asked for, and a file is not what its name says.
    """
    total, combined = _combined(jobs, models)
    others = [(Tokenizer(models[folder], folder), rows) for folder, rows in combined.items()]
    for other, rows in others:
        if other.folder == tokenizer.folder:
            continue
        if not other.kinds or not tokenizer.kinds:
            if asked:
                without = tokenizer if not tokenizer.kinds else other
                yield f"{without.label} has no tokenizer: nothing shows that {_same(other, tokenizer)}"
            continue
        yield from _compared(tokenizer, other, rows, asked=asked)
    if asked and tokenizer.kinds:
        yield from _beyond(tokenizer, total)


def _compared(tokenizer: Tokenizer, other: Tokenizer, rows: int, *, asked: bool) -> Iterator[str]:
    try:
        found = difference(tokenizer, other, rows)
    except InvalidFileError as error:
        if asked:
            raise
        yield f"nothing shows that {_same(other, tokenizer)}: {error.message}"
        return
    if found and asked:
        raise UnsupportedError(
            f"the tokens of {other.label} are not those of {tokenizer.label}: {found}",
            hint="embeddings are combined row by row: merge models of one tokenizer",
        )
    if found:
        yield (
            f"the tokens of {other.label} are not those of {tokenizer.label}: {found}; "
            "rows are combined by their number"
        )


def _same(other: Tokenizer, tokenizer: Tokenizer) -> str:
    return f"the tokens of {other.label} are those of {tokenizer.label}"


def _combined(jobs: Iterable[Job], models: Mapping[Path, str]) -> tuple[int, dict[Path, int]]:
    """Return how many rows by token the result has, and how many of them each model has a part in."""
    total, found = 0, dict[Path, int]()
    for job in jobs:
        if role_of(job.name) not in ("embed", "head") or len(job.shape) != 2 or _NO_TOKENS.search(job.name):
            continue
        total = max(total, job.shape[0])
        for stored in job.stored:
            folder = stored.file.path.parent
            if folder in models:
                rows = min(job.shape[0], stored.info.shape[0])
                found[folder] = max(found.get(folder, 0), rows)
    return total, dict(sorted(found.items(), key=lambda item: (models[item[0]], item[0])))


def _beyond(tokenizer: Tokenizer, rows: int) -> Iterator[str]:
    ids = tokens_of(tokenizer, tokenizer.kinds[0]).ids
    beyond = sorted((number, token) for token, number in ids.items() if number >= rows > 0)
    if beyond:
        number, token = beyond[0]
        yield (
            f"the tokenizer of {tokenizer.label} has tokens without a row: {token!r} is {number}, and the "
            f"result has rows 0-{rows - 1}"
        )
