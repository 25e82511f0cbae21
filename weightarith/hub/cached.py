"""The Hub's cache on this machine: nothing here touches the network.

Its layout: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
"""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from weightarith.errors import HubError, InvalidFileError, quoted
from weightarith.hub.address import COMMIT, DEFAULT_REVISION, SHORT_COMMIT, Address, only
from weightarith.hub.wanted import Wanted


@dataclass(frozen=True)
class Cached:
    """A folder of the cache, and whether all that was asked for is known to be in it."""

    folder: Path
    whole: bool


def snapshot(address: Address, wanted: Wanted | None = None) -> Cached:
    """Return the folder of a repository in the cache; `wanted` says which names are needed, else all are.

    A commit may be cut to its first 7 characters or more.

    Raises:
        HubError: the repository, or that revision of it, is not in the cache.
        InvalidFileError: no name of a repository.
    """
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    revision = whole_commit(address)
    try:
        folder = snapshot_download(
            address.repo, revision=revision, local_files_only=True, cache_dir=constants.HF_HUB_CACHE,
            allow_patterns=list(wanted.allow) if wanted else None,
            ignore_patterns=list(wanted.ignore) if wanted else None,
        )  # fmt: skip
    except LocalEntryNotFoundError as error:
        # Files that no one needs may be missing; whether the weights are whole, their index tells.
        partial = getattr(error, "snapshot_path", None)
        if partial is None:
            raise not_cached(address) from error
        return Cached(Path(partial), whole=False)
    except HFValidationError as error:
        raise InvalidFileError(f"{quoted(address.repo)} names no repository of the Hub: {error}") from error
    return Cached(Path(folder), whole=True)


def whole_commit(address: Address) -> str:
    """Return the revision, a shortened commit made whole if the cache holds one such snapshot."""
    repository, revision = address.repo, address.revision
    if not SHORT_COMMIT.fullmatch(revision):
        return revision
    snapshots = repository_folder(repository) / "snapshots"
    if not snapshots.is_dir() or (snapshots.parent / "refs" / revision).is_file():
        return revision
    found = sorted(
        e.name for e in snapshots.iterdir() if e.name.startswith(revision) and COMMIT.fullmatch(e.name)
    )
    return only(found, address) or revision


def repository_folder(repository: str) -> Path:
    """Return where the cache keeps a repository, whether it is there or not."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE, f"models--{repository.replace('/', '--')}")


def origin(path: Path) -> Address | None:
    """Return the repository, commit and file of a path in a snapshot; None for any other path.

    Links are not followed, as a snapshot's files are links; where none of the names of `path` tells, the
    folder that it leads to may.
    """
    for shown in (path.absolute(), path.parent.resolve() / path.name, path.resolve()):
        parts = shown.parts
        if ".." in parts:  # what it leads to is next
            continue
        for at in range(len(parts) - 3, -1, -1):
            repo = re.fullmatch(r"models--([^/]+?)--([^/]+)", parts[at])
            if repo and parts[at + 1] == "snapshots" and COMMIT.fullmatch(parts[at + 2]):
                return Address(f"{repo[1]}/{repo[2]}", parts[at + 2], "/".join(parts[at + 3 :]))
    return None


def remember(address: Address, commit: str) -> None:
    """Note which commit a branch or tag was, so that its name finds the snapshot offline."""
    if address.revision == commit or SHORT_COMMIT.fullmatch(address.revision):
        return
    ref = repository_folder(address.repo) / "refs" / address.revision
    ref.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=ref.parent, prefix=".", suffix=".part")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(commit)
    Path(name).replace(ref)  # whole or not at all, for another process may read it


def not_cached(address: Address) -> HubError:
    """Return the error that says so, with the command that gets it."""
    revision = "" if address.revision == DEFAULT_REVISION else f" --revision {address.revision}"
    return HubError(
        f"{address.repo} at revision {quoted(address.revision)} is not in the Hub's cache on this machine",
        hint=f"hf download {address.repo}{revision}",
    )
