"""What a repository holds at one commit: names, sizes and hashes, without downloading anything.

A branch moves; so it is resolved once, and every later request names the commit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from weightarith.errors import HubError, InvalidFileError, quoted
from weightarith.hub.address import COMMIT, SHORT_COMMIT, Address, only, unsafe
from weightarith.hub.session import api, patiently, talking

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

IMPATIENT = 3  # attempts of the first request of all: where there is no network, say so soon


@dataclass(frozen=True)
class Entry:
    """One file of a repository."""

    path: str  # with forward slashes
    size: int  # bytes
    sha256: str | None  # of the content; only large files have one there
    git_oid: str  # of the content, or of the pointer in place of a large file


@dataclass(frozen=True)
class Listing:
    """The files of a repository at a commit, and what its card says in front."""

    address: Address  # as it was asked for
    commit: str  # 40 hexadecimal digits
    files: Mapping[str, Entry]
    private: bool
    gated: bool
    card: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pinned(self) -> Address:
        """The address with the commit in place of its revision."""
        return replace(self.address, revision=self.commit)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files.values())


def listing(address: Address) -> Listing:
    """Return what `address` holds at the commit that its revision is now; two requests, more for long lists.

    Raises:
        HubError: the Hub did not deliver, or knows no such repository or revision.
        InvalidFileError: a name in it could lead out of a folder.
    """
    with talking(f"listing {address.repo} at {quoted(address.revision)}"):
        info = patiently(lambda: _info(address), attempts=IMPATIENT)
        commit = info.sha or ""
        if not COMMIT.fullmatch(commit):
            raise HubError(f"listing {address.repo}: the Hub names no commit for {quoted(address.revision)}")
        files = patiently(lambda: _files(address.repo, commit))
    card = info.card_data.to_dict() if info.card_data else {}  # type: ignore[no-untyped-call]
    return Listing(address, commit, files, bool(info.private), bool(info.gated), card)


def _info(address: Address) -> ModelInfo:
    from huggingface_hub.errors import RevisionNotFoundError

    try:
        return api().model_info(address.repo, revision=address.revision)
    except RevisionNotFoundError:  # the Hub takes whole commits only
        if not SHORT_COMMIT.fullmatch(address.revision):
            raise
        commits = [one.commit_id for one in api().list_repo_commits(address.repo)]
        commit = only([one for one in commits if one.startswith(address.revision)], address)
        if not commit:
            raise
        return api().model_info(address.repo, revision=commit)


def _files(repo: str, commit: str) -> dict[str, Entry]:
    from huggingface_hub.hf_api import RepoFile

    found = {}
    for one in api().list_repo_tree(repo, recursive=True, revision=commit):
        if not isinstance(one, RepoFile):
            continue
        if why := unsafe(one.path):
            raise InvalidFileError(
                f"{repo} holds {quoted(one.path)}, which {why}", hint="do not use this repository"
            )
        found[one.path] = Entry(one.path, one.size, one.lfs.sha256 if one.lfs else None, one.blob_id)
    return found
