"""JSON files from strangers, read as data: regular files of bounded size, no key twice, one object.

`Infinity` and `NaN` pass, for transformers writes them into config.json and nothing here computes with them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from weightarith.errors import InvalidFileError, quoted
from weightarith.tensorfile.reader import open_regular, read_into
from weightarith.tensorfile.sniff import DOWNLOAD_AGAIN, shown

INDEX_LIMIT = 200_000_000  # bytes: a million tensors under long names
CONFIG_LIMIT = 16_000_000


def read_object(path: Path, limit: int) -> dict[str, Any]:
    """Return the JSON object in the file at `path`.

    Raises:
        InvalidFileError: no regular file, over `limit` bytes, not UTF-8 JSON, a key twice, or no object.
        StorageError: the file is there and cannot be read.
    """
    try:
        text = read_text(path, limit)
    except UnicodeDecodeError as error:
        raise InvalidFileError(f"{shown(path)}: not valid JSON: {error}", hint=DOWNLOAD_AGAIN) from error
    return parse_object(text, shown(path), hint=DOWNLOAD_AGAIN)


def parse_object(text: str, where: str, *, hint: str = "") -> dict[str, Any]:
    """Return the JSON object that `text` is; `where` says in messages where it stands.

    Raises:
        InvalidFileError: no JSON, a key twice, or no object.
    """
    try:
        value = json.loads(text, object_pairs_hook=_without_duplicates)
    except RecursionError:
        raise InvalidFileError(f"{where}: its JSON is nested too deep", hint=hint) from None
    except ValueError as error:
        raise InvalidFileError(f"{where}: not valid JSON: {error}", hint=hint) from error
    if not isinstance(value, dict):
        raise InvalidFileError(
            f"{where}: its JSON is a {type(value).__name__}, expected an object", hint=hint
        )
    return value


def read_text(path: Path, limit: int) -> str:
    """Return the text in the file at `path`.

    Raises:
        InvalidFileError: no regular file, or over `limit` bytes.
        UnicodeDecodeError: it is not UTF-8.
        StorageError: the file is there and cannot be read.
    """
    descriptor = open_regular(path)
    try:
        size = os.fstat(descriptor).st_size
        if size > limit:
            raise InvalidFileError(
                f"{shown(path)}: has {size:,} bytes, and at most {limit:,} are read",
                hint="check that the file is what its name says",
            )
        data = bytearray(size)
        read_into(descriptor, path, data, 0)
    finally:
        os.close(descriptor)
    return data.decode()


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{quoted(name)} is there twice, and readers do not agree which one counts")
        found[name] = value
    return found
