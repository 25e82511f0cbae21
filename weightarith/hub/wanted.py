"""Which files of a repository are downloaded: safetensors files and small texts of one folder.

Never a pickle, a program or another framework's weights; and of folders inside the folder nothing, for there
lie optimizer states, exports and earlier checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import escape
from pathlib import PurePosixPath

from weightarith.errors import HubError, UnsupportedError, quoted, some
from weightarith.hub.listing import Listing

WEIGHTS = "*.safetensors"
MISTRAL = "consolidated*.safetensors"  # the same weights once more, under other names
TEXTS = (
    "*.json", "*.jsonl", "*.jinja", "*.md", "*.model", "*.tiktoken", "*.txt", "*.yaml", "*.yml",
    "LICENSE*", "LICENCE*", "NOTICE*",
)  # fmt: skip
_UNREAD = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".gguf", ".h5", ".msgpack", ".onnx", ".npz", WEIGHTS[1:])


@dataclass(frozen=True)
class Wanted:
    """Patterns for names, as huggingface_hub takes them: what is downloaded, and what of that is not."""

    allow: tuple[str, ...]
    ignore: tuple[str, ...]


def wanted(path: str, *, weights: bool = True) -> Wanted:
    """Return the patterns for a file or folder of a repository: a file brings the small ones beside it."""
    is_file = bool(PurePosixPath(path).suffix)
    folder = PurePosixPath(path).parent.as_posix() if is_file else path or "."
    start = "" if folder == "." else f"{escape(folder)}/"
    named = (escape(path),) if is_file else (start + WEIGHTS,) if weights else ()
    ignore = (f"{start}*/*",) if is_file else (f"{start}*/*", start + MISTRAL)
    return Wanted((*named, *(start + text for text in TEXTS)), ignore)


def chosen(held: Listing, *, weights: bool = True) -> list[str]:
    """Return the names of the files of a repository that are to be downloaded, sorted.

    Raises:
        HubError: it holds none, or not the one that is asked for.
        UnsupportedError: its weights are there in layouts only that are never read.
    """
    path = held.address.path
    found = _matching(held, wanted(path, weights=weights))
    inside = [name for name in held.files if name == path or name.startswith(path and f"{path}/")]
    if path and not inside:
        raise HubError(
            f"{held.address.repo} holds no {quoted(path)} at commit {held.commit[:12]}",
            hint=f"it holds {some(sorted(held.files), 5)}",
        )
    if weights and not any(name.endswith(WEIGHTS[1:]) for name in found):
        _refuse_unread(held, [name for name in inside if "/" not in name.removeprefix(path).strip("/")])
    if not found:
        raise HubError(f"{held.address} holds no file that is read here", hint="check the name")
    return found


def texts(held: Listing, folder: str) -> list[str]:
    """Return the names of the small files of one folder of a repository, sorted."""
    return _matching(held, wanted(folder, weights=False))


def _matching(held: Listing, patterns: Wanted) -> list[str]:
    return sorted(
        name
        for name in held.files
        if any(fnmatchcase(name, one) for one in patterns.allow)
        and not any(fnmatchcase(name, one) for one in patterns.ignore)
    )


def _refuse_unread(held: Listing, names: Iterable[str]) -> None:
    unread = sorted(name for name in names if name.endswith(_UNREAD) and "training_args" not in name)
    if unread:
        raise UnsupportedError(
            f"{held.address.repo} has its weights in {some(unread, 3)} only, expected safetensors",
            hint="https://huggingface.co/spaces/safetensors/convert makes a version that can be read",
        )
