"""The file that pins the inputs of a recipe: what it holds, and its one spelling.

It is JSON with sorted keys and no time in it, so equal inputs give equal bytes; docs/reproduce.md has it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightarith.errors import InvalidFileError, TargetError, UnsupportedError, quoted
from weightarith.store.stage import disk_error, write_small
from weightarith.tensorfile.jsonfile import INDEX_LIMIT, read_object

FORMAT = 1
KEY = "weightarith_lock"
_KEYS = {"where", "repo", "revision", "commit", "path", "files"}
_LENGTHS = {"sha256": 64, "git": 40}
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Pin:
    """One file: its bytes, and its SHA-256, or the name git has for it where the Hub lists only that."""

    size: int
    sha256: str = ""
    git: str = ""

    def __str__(self) -> str:
        known = f"SHA-256 {self.sha256}" if self.sha256 else f"git object {self.git}"
        return f"{self.size:,} bytes, {known}"


@dataclass(frozen=True)
class Pinned:
    """One input.

    Attributes:
        where: what the recipe says.
        files: by name.
        repo: on the Hub; empty for one on the disk, as are the next three.
        revision: branch, tag or commit, as the recipe says.
        commit: what that was, 40 hexadecimal digits.
        path: of the file or folder inside the repository.
    """

    where: str
    files: Mapping[str, Pin]
    repo: str = ""
    revision: str = ""
    commit: str = ""
    path: str = ""


@dataclass(frozen=True)
class Lock:
    """Every input of a recipe by its name."""

    inputs: Mapping[str, Pinned]


def to_bytes(lock: Lock) -> bytes:
    """Return a lock as the text of its file."""
    inputs = {name: _told(each) for name, each in lock.inputs.items()}
    return (json.dumps({KEY: FORMAT, "inputs": inputs}, indent=1, sort_keys=True) + "\n").encode()


def write_lock(path: Path, lock: Lock, *, overwrite: bool) -> None:
    """Write a lock at once or not at all.

    Raises:
        TargetError: a file that is no lock stands there, or one that is, without `overwrite`.
        StorageError: it cannot be written.
    """
    shown = quoted(str(path))
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise TargetError(f"{shown} is no regular file", hint="remove it yourself, or choose another -o")
    if path.exists() and not overwrite:
        raise TargetError(f"{shown} exists, and says something else", hint="to replace it: --overwrite")
    beside = path.with_name(f".{path.name}.partial")
    try:
        beside.unlink(missing_ok=True)
        write_small(beside, to_bytes(lock))
        beside.replace(path)
    except OSError as error:
        raise disk_error(error, path) from error


def _told(each: Pinned) -> dict[str, Any]:
    files = {name: {"bytes": pin.size, **_hash(pin)} for name, pin in each.files.items()}
    origin = {key: getattr(each, key) for key in ("repo", "revision", "commit", "path")}
    return {"where": each.where, **{key: value for key, value in origin.items() if value}, "files": files}


def _hash(pin: Pin) -> dict[str, str]:
    return {"sha256": pin.sha256} if pin.sha256 else {"git": pin.git}


def read_lock(path: Path) -> Lock:
    """Return the lock in a file.

    Raises:
        InvalidFileError: there is none, or an entry is not what a lock has.
        UnsupportedError: it is of a later format.
    """
    shown = quoted(str(path))
    if not path.exists():
        raise InvalidFileError(f"no lock at {shown}", hint="write it: weightarith lock RECIPE")
    found = read_object(path, INDEX_LIMIT)
    number, inputs = found.get(KEY), found.get("inputs")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1 or not isinstance(inputs, dict):
        raise InvalidFileError(f"{shown} is no lock of weightarith")
    if number > FORMAT:
        raise UnsupportedError(
            f"{shown} is a lock of format {number}, and only {FORMAT} is read", hint="upgrade weightarith"
        )
    if set(found) != {KEY, "inputs"}:
        raise InvalidFileError(f"{shown}: unknown key {quoted(min(set(found) - {KEY, 'inputs'}))}")
    return Lock({name: _pinned(each, f"{shown}: input {quoted(name)}") for name, each in inputs.items()})


def _pinned(entry: object, where: str) -> Pinned:
    told = entry if isinstance(entry, dict) else {}
    files = told.get("files")
    if set(told) - _KEYS or not isinstance(files, dict) or not isinstance(told.get("where"), str):
        raise InvalidFileError(f"{where} is not what a lock has")
    texts = {key: told[key] for key in _KEYS - {"files"} if key in told}
    if not all(isinstance(text, str) for text in texts.values()):
        raise InvalidFileError(f"{where} is not what a lock has")
    if bool(texts.get("repo")) != bool(_COMMIT.fullmatch(texts.get("commit", ""))):
        raise InvalidFileError(f"{where}: a repository needs a commit of 40 digits")
    return Pinned(
        files={name: _pin(each, f"{where}: {quoted(name)}") for name, each in files.items()}, **texts
    )


def _pin(entry: object, where: str) -> Pin:
    told = entry if isinstance(entry, dict) else {}
    size, (kind, *others) = told.get("bytes"), [key for key in told if key != "bytes"] or [""]
    value = told.get(kind)
    if not isinstance(size, int) or isinstance(size, bool) or size < 0 or others or kind not in _LENGTHS:
        raise InvalidFileError(f"{where}: a file has its bytes, and sha256 or git")
    if not isinstance(value, str) or not re.fullmatch(f"[0-9a-f]{{{_LENGTHS[kind]}}}", value):
        raise InvalidFileError(f"{where}: {kind} is {_LENGTHS[kind]} hexadecimal digits")
    return Pin(size, value, "") if kind == "sha256" else Pin(size, "", value)
