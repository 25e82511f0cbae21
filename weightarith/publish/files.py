"""Which files of a folder are published: those on a list. All others stay here, each with its reason."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from weightarith.engine.sidecars import OF_MODEL, OF_TOKENIZER
from weightarith.errors import InvalidFileError, quoted
from weightarith.store.folder import INDEX_SUFFIX

LICENCES = ("LICENSE*", "LICENCE*", "NOTICE*")
REPORT = "training.json"
TEXTS = {
    "checkpoint": (*OF_MODEL, *OF_TOKENIZER, f"*{INDEX_SUFFIX}", REPORT, *LICENCES),
    "adapter": ("adapter_config.json", *OF_TOKENIZER, REPORT, *LICENCES),
    "vector": (f"*{INDEX_SUFFIX}", REPORT, *LICENCES),
}
"""Names of small files that are published with each kind."""

_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib")
_STATE = ("optimizer*", "scheduler*", "rng_state*", "scaler*", "trainer_state*", "training_args*")
_FOLDERS = {
    "data": "training data",
    "checkpoints": "weights along the way",
    "positive": "one side of the contrast: --part positive",
    "negative": "one side of the contrast: --part negative",
}
_KNOWN = {
    "vector.safetensors": "another part of the run: --part vector",
    "README.md": "the card is rendered anew",
    "run.json": "says where the base lies on this machine",
}


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that is not published."""

    name: str
    why: str


def texts_in(folder: Path, kind: str) -> dict[str, Path]:
    """Return the small files of a folder that are published, by name; links are never followed."""
    return {
        path.name: path
        for path in sorted(folder.iterdir())
        if _is_plain_file(path) and any(fnmatch(path.name, pattern) for pattern in TEXTS[kind])
    }


def left_out(folder: Path, published: Collection[str]) -> Iterator[LeftOut]:
    """Yield what of a folder is not published."""
    for path in sorted(folder.iterdir()):
        if path.name not in published:
            yield LeftOut(path.name + "/" * path.is_dir(), _why(path))


def _why(path: Path) -> str:
    name = path.name
    if name.startswith("."):
        return "hidden"
    if path.is_symlink():
        return "a link"
    if path.is_dir():
        return _FOLDERS.get(name, "a folder")
    if any(fnmatch(name, pattern) for pattern in _STATE):
        return "the state of a training"
    if name.endswith(_PICKLES):
        return "a pickle, which runs code when it is opened"
    if name.endswith(".py"):
        return "a program"
    if name.endswith(".lock"):
        return "a lock"
    return _KNOWN.get(name, "not on the list of what is published")


def expect_plain(path: Path) -> Path:
    """Return a file of weights, which must be no link.

    Raises:
        InvalidFileError: it is one.
    """
    if not _is_plain_file(path):
        raise InvalidFileError(
            f"{quoted(str(path))} is a link or no regular file, and only files are published",
            hint="publish the output itself, not a cache or a folder of links",
        )
    return path


def _is_plain_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
