"""What the files of a tokenizer say of its tokens: which id each has, and which pairs are joined first.

Ids are the rows of embeddings, so models may share rows only where their tokens have the same ids. The files
are data: they are read and compared, and no tokenizer is ever built from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from weightarith.errors import InvalidFileError, StorageError, quoted
from weightarith.tensorfile.jsonfile import read_object, read_text
from weightarith.tensorfile.sniff import shown

TOKENIZER_LIMIT = 300_000_000  # bytes: the largest known have 35 MB
WHOLE = "tokenizer.json"
KINDS = (WHOLE, "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
"""Files that say the tokens, the one that is believed first."""

READ = (WHOLE, "vocab.json", "vocab.txt")
"""Those that are read; of the others only the bytes are compared."""

CONFIG, ADDED, MERGES = "tokenizer_config.json", "added_tokens.json", "merges.txt"
_PIECE = 1 << 20


@dataclass(frozen=True)
class Tokenizer:
    """The folder of a model, and what errors call that model."""

    label: str
    folder: Path

    @property
    def kinds(self) -> tuple[str, ...]:
        """Its files that say the tokens."""
        known = [name for name in KINDS if (self.folder / name).is_file()]
        return (*known, *sorted(path.name for path in self.folder.glob("*.tiktoken") if path.is_file()))


@dataclass(frozen=True)
class Tokens:
    """Ids by token, and the pairs that are joined to tokens, the first of them first."""

    ids: Mapping[str, int]
    merges: tuple[str, ...] = ()


def difference(first: Tokenizer, second: Tokenizer, rows: int) -> str:
    """Return how two tokenizers differ in the tokens of the first `rows` rows; empty where they are the same.

    Both must have files that say their tokens.

    Raises:
        InvalidFileError: a file is not what its name says.
    """
    shared = next((name for name in first.kinds if name in second.kinds), "")
    if not shared:
        one, other = first.kinds[0], second.kinds[0]
        return f"{first.label} has {one} and {second.label} {other}, and these are not compared"
    names = (shared, MERGES) if shared == "vocab.json" else (shared,)
    same = all(_same(first.folder / name, second.folder / name) for name in names)
    if same and _added(first) == _added(second):
        return ""
    if not same and shared not in READ:
        return f"the {shared} of {first.label} and that of {second.label} are different files"
    ours, theirs = tokens_of(first, shared), tokens_of(second, shared)
    return _in_ids(first.label, ours.ids, second.label, theirs.ids, rows) or _in_merges(
        first.label, ours.merges, second.label, theirs.merges
    )


def tokens_of(tokenizer: Tokenizer, kind: str) -> Tokens:
    """Return what the file `kind` and those beside it say; of a file that is not read, only what was added.

    Raises:
        InvalidFileError: a file is not what its name says.
    """
    path, merges = tokenizer.folder / kind, tuple[str, ...]()
    ids: dict[str, int] = {}
    if kind == WHOLE:
        ids, merges = _whole(path)
    elif kind == "vocab.json":
        ids = _ids(read_object(path, TOKENIZER_LIMIT), path)
        beside = tokenizer.folder / MERGES
        lines = _lines(beside) if beside.is_file() else []
        merges = tuple(line for line in lines if line and not line.startswith("#version"))
    elif kind == "vocab.txt":
        ids = {token: number for number, token in enumerate(_lines(path))}
    return Tokens(ids | _added(tokenizer), merges)


def _whole(path: Path) -> tuple[dict[str, int], tuple[str, ...]]:
    content = read_object(path, TOKENIZER_LIMIT)
    model, added = content.get("model"), content.get("added_tokens") or []
    if not isinstance(model, dict) or not isinstance(added, list):
        raise InvalidFileError(f"{shown(path)} has no model with a vocabulary")
    ids = dict(_ids(model.get("vocab"), path))
    for token in added:
        ids |= _one(token, token.get("id") if isinstance(token, dict) else None, path)
    return ids, _merges(model.get("merges") or [], path)


def _added(tokenizer: Tokenizer) -> dict[str, int]:
    """Return the tokens that were added to a vocabulary, as far as files beside it say."""
    found: dict[str, int] = {}
    path = tokenizer.folder / ADDED
    if path.is_file():
        found |= _ids(read_object(path, TOKENIZER_LIMIT), path)
    path = tokenizer.folder / CONFIG
    listed = read_object(path, TOKENIZER_LIMIT).get("added_tokens_decoder") if path.is_file() else None
    for number, token in listed.items() if isinstance(listed, dict) else ():
        if not number.isdecimal():
            raise InvalidFileError(
                f"{shown(path)}: added_tokens_decoder has {quoted(number)}, expected an id"
            )
        found |= _one(token, int(number), path)
    return found


def _one(token: Any, number: Any, path: Path) -> dict[str, int]:
    """Return the id of one token that was added: `{"content": "<pad>", …}`."""
    content = token.get("content") if isinstance(token, dict) else None
    return _ids({content: number} if isinstance(content, str) else None, path)


def _ids(vocabulary: Any, path: Path) -> dict[str, int]:
    """Return ids by token: of a mapping, or of a list of `[token, score]`."""
    if isinstance(vocabulary, list):
        pieces = [one[0] if isinstance(one, list) and one else None for one in vocabulary]
        vocabulary = {piece: number for number, piece in enumerate(pieces)} if _texts(pieces) else None
    if not isinstance(vocabulary, dict) or not _texts(vocabulary):
        raise InvalidFileError(f"{shown(path)}: its vocabulary is none, expected an id for each token")
    if not all(type(number) is int for number in vocabulary.values()):
        raise InvalidFileError(f"{shown(path)}: a token has no whole number as its id")
    return vocabulary


def _texts(values: Any) -> bool:
    return all(isinstance(value, str) for value in values)


def _merges(listed: Any, path: Path) -> tuple[str, ...]:
    """Return pairs, written `a b` by older files and `["a", "b"]` by newer ones."""
    try:
        if isinstance(listed, list):
            return tuple([pair if type(pair) is str else " ".join(pair) for pair in listed])
    except TypeError:  # what stands there is no pair of texts
        pass
    raise InvalidFileError(f"{shown(path)}: its merges are none, expected pairs of tokens")


def _in_ids(first: str, ours: Mapping[str, int], second: str, theirs: Mapping[str, int], rows: int) -> str:
    """Return the first token, by id, that has another id in the other tokenizer."""
    if ours == theirs:
        return ""
    different = [
        (min(one for one in (ours.get(token), theirs.get(token)) if one is not None), token)
        for token in ours.keys() | theirs.keys()
        if _row(ours.get(token), rows) != _row(theirs.get(token), rows)
    ]
    if not different:
        return ""
    token = min(different)[1]
    here, there = _row(ours.get(token), rows), _row(theirs.get(token), rows)
    return f"token {quoted(token)} is {_told(here)} in {first} and {_told(there)} in {second}"


def _row(number: int | None, rows: int) -> int | None:
    return number if number is not None and 0 <= number < rows else None


def _told(number: int | None) -> str:
    return "none" if number is None else str(number)


def _in_merges(first: str, ours: tuple[str, ...], second: str, theirs: tuple[str, ...]) -> str:
    if ours == theirs:
        return ""
    for number, (one, other) in enumerate(zip_longest(ours, theirs)):
        if one != other:
            here, there = (quoted(pair) if pair is not None else "none" for pair in (one, other))
            return f"merge {number} is {here} in {first} and {there} in {second}"
    return ""


def _lines(path: Path) -> list[str]:
    try:
        return read_text(path, TOKENIZER_LIMIT).removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise InvalidFileError(f"{shown(path)} is not UTF-8: {error.reason}") from None


def _same(one: Path, other: Path) -> bool:
    """Return whether two files hold the same bytes, or both are not there."""
    if not one.is_file() or not other.is_file():
        return one.is_file() == other.is_file()
    try:
        with one.open("rb") as left, other.open("rb") as right:
            while piece := left.read(_PIECE):
                if piece != right.read(_PIECE):
                    return False
            return not right.read(1)
    except OSError as error:
        raise StorageError(f"cannot compare {shown(one)} with {shown(other)}: {error.strerror}") from error
