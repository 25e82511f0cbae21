"""The files of an input that a lock pins: those that can change what a recipe makes."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatch
from pathlib import Path

from weightarith.engine.sidecars import OF_MODEL, OF_TOKENIZER
from weightarith.errors import InvalidFileError, quoted
from weightarith.hub.wanted import MISTRAL, WEIGHTS

WHOLE_MODEL = "model.safetensors"
"""The one single file that is read together with the config beside it."""
_SMALL = ("*.json", *OF_MODEL, *OF_TOKENIZER)
_OURS = ("weightarith.json", "*.weightarith.json", "training.json")
"""Receipts and reports: they say how an input came to be, and change nothing."""


def pinned(names: Collection[str], only: str = "") -> list[str]:
    """Return which files of a folder are pinned, sorted; `only` names the one that an input is."""
    small = [name for name in names if any(fnmatch(name, pattern) for pattern in _SMALL)]
    small = [name for name in small if not any(fnmatch(name, pattern) for pattern in _OURS)]
    if not only:
        weights = (name for name in names if fnmatch(name, WEIGHTS) and not fnmatch(name, MISTRAL))
        return sorted({*small, *weights})
    return sorted({only, *(small if only == WHOLE_MODEL else ())})


def files_at(path: Path) -> dict[str, Path]:
    """Return the files on the disk that are pinned of an input, by name.

    Raises:
        InvalidFileError: nothing is there.
    """
    if path.is_dir():
        folder, only = path, ""
    elif path.is_file():
        folder, only = path.parent, path.name
    else:
        raise InvalidFileError(f"no such file or folder: {quoted(str(path))}")
    names = [entry.name for entry in folder.iterdir() if entry.is_file()]
    return {name: folder / name for name in pinned(names, only)}
