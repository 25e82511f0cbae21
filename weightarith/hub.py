"""The Hugging Face Hub, so far its cache on this machine: nothing here touches the network."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path

from weightarith.errors import HubError, InvalidFileError, quoted

SCHEME = "hf://"
DEFAULT_REVISION = "main"
COMMIT_LENGTH = 40

_PART = r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?"
_REPOSITORY = re.compile(rf"(?P<id>{_PART}/{_PART})(?:@(?P<revision>[A-Za-z0-9][\w./-]*))?", re.ASCII)
_SHORT_COMMIT = re.compile(r"[0-9a-f]{7,39}")


def locate(text: str) -> Path:
    """Return the local path that `text` means: one that is there, or a model's snapshot in the Hub's cache.

    `org/name` and `org/name@revision` name repositories; a path of that name wins, unless `hf://` stands
    before it. A revision is a branch, a tag, or a commit, which may be cut to its first 7 characters or more.

    Raises:
        HubError: the repository, or that revision of it, is not in the cache.
        InvalidFileError: no such path, and no name of a repository either.
    """
    if text.startswith(SCHEME):
        found = _parse(text.removeprefix(SCHEME))
        if found is None:
            raise InvalidFileError(
                f"{quoted(text)} names no repository of the Hub, expected {SCHEME}org/name[@revision]"
            )
        return _snapshot(*found)
    path = _expanded(text)
    if text and _is_there(path):
        return path
    found = _parse(text)
    if found is None:
        raise _no_such(text, path)
    try:
        return _snapshot(*found)
    except HubError:
        if _is_there(path.parent):  # then `runs/tpyo` is a slip of the pen and no repository
            raise _no_such(text, path) from None
        raise


def _parse(text: str) -> tuple[str, str] | None:
    found = _REPOSITORY.fullmatch(text)
    if found is None or ".." in text or "--" in found["id"] or found["id"].endswith(".git"):
        return None
    return found["id"], found["revision"] or DEFAULT_REVISION


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # ~somebody, and nobody has that name
        return Path(text)


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except PermissionError:  # whoever opens it gets the error that says so
        return True
    except (OSError, ValueError):
        return False
    return True


def _snapshot(repository: str, revision: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = snapshot_download(
            repository, revision=_whole_commit(repository, revision), local_files_only=True
        )
    except LocalEntryNotFoundError as error:
        # Files that no one needs may be missing; whether the weights are whole, their index tells.
        partial = getattr(error, "snapshot_path", None)
        if partial is None:
            raise _not_cached(repository, revision) from error
        return Path(partial)
    except HFValidationError as error:
        raise InvalidFileError(f"{quoted(repository)} names no repository of the Hub: {error}") from error
    return Path(folder)


def _whole_commit(repository: str, revision: str) -> str:
    if not _SHORT_COMMIT.fullmatch(revision):
        return revision
    from huggingface_hub import constants

    snapshots = Path(constants.HF_HUB_CACHE, f"models--{repository.replace('/', '--')}", "snapshots")
    if not snapshots.is_dir() or (snapshots.parent / "refs" / revision).is_file():
        return revision
    found = sorted(
        e.name for e in snapshots.iterdir() if e.name.startswith(revision) and len(e.name) == COMMIT_LENGTH
    )
    if len(found) > 1:
        raise HubError(
            f"commit {revision} of {repository} may be any of {', '.join(found)}",
            hint="write more characters of it",
        )
    return found[0] if found else revision


def _not_cached(repository: str, revision: str) -> HubError:
    return HubError(
        f"{repository} at revision {quoted(revision)} is not in the Hub's cache on this machine",
        hint=f"hf download {repository}"
        + ("" if revision == DEFAULT_REVISION else f" --revision {revision}"),
    )


def _no_such(text: str, path: Path) -> InvalidFileError:
    parent = path.parent
    try:
        near = get_close_matches(path.name, [entry.name for entry in parent.iterdir()], 1)
        hint = f"did you mean {quoted(str(parent / near[0]))}?" if near else ""
    except (OSError, ValueError):
        hint = f"the folder {quoted(str(parent))} is not there either"
    return InvalidFileError(
        f"no such file or folder: {quoted(text)}",
        hint=hint or f"give a path, or a model of the Hub as {SCHEME}org/name",
    )
