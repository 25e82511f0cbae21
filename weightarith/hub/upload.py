"""An upload: files sent one at a time, and one commit at the end that makes all of them visible at once.

Until that commit nothing of it is to be seen, and what was sent is not sent again: the Hub keeps large files
by their content. So the same calls after an interruption go on where it stopped.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from weightarith.errors import HubError, InvalidFileError, VerificationError, WeightArithError, quoted, some
from weightarith.hub.address import DEFAULT_REVISION, Address, unsafe
from weightarith.hub.failures import harmless
from weightarith.hub.listing import Entry, Listing, listing
from weightarith.hub.repository import There, create, names
from weightarith.hub.sending import passing_on, sending
from weightarith.hub.session import ATTEMPTS, FIRST_PAUSE, LONGEST_PAUSE, api, patiently

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete

IN_GIT = 10 << 20
"""Bytes up to which the Hub may keep a file in git, where it is known by its git object."""
REQUESTS_LOOKED_AT = 3
"""Of the newest pull requests, so that one whose answer was lost is not opened twice."""


@dataclass(frozen=True)
class Added:
    """A file as it is to be in the repository, and what the client has of it; None where nothing changes."""

    size: int
    sha256: str
    git_oid: str  # "" where the Hub never keeps it in git
    operation: CommitOperationAdd | None

    def is_at(self, entry: Entry | None) -> bool:
        """Return whether a listed file has this content."""
        if entry is None or entry.size != self.size:
            return False
        return entry.git_oid == self.git_oid if entry.sha256 is None else entry.sha256 == self.sha256


@dataclass(frozen=True)
class Committed:
    """What became of an upload.

    Attributes:
        commit: 40 hexadecimal digits; the one that was there already where nothing changed.
        reference: the branch, or the pull request, `refs/pr/1`.
        url: a page for people; empty where nothing changed.
        changed: names of files that the commit put or removed, none where all was there already.
        notes: what the Hub remarked.
    """

    commit: str
    reference: str
    url: str
    changed: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass
class Upload:
    """Files on their way to a branch of a repository.

    Attributes:
        before: what the branch held when the upload began; the commit is refused if it moves meanwhile.
        as_request: whether the commit becomes a pull request instead of moving the branch.
        added: files by name, sent or to be sent with the commit.
        removed: names of files that the commit removes.
    """

    before: Listing
    as_request: bool = False
    added: dict[str, Added] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)

    @property
    def repo(self) -> str:
        """`org/name`."""
        return self.before.address.repo

    @property
    def revision(self) -> str:
        """The branch."""
        return self.before.address.revision

    def add(self, name: str, file: Path | bytes, sha256: str = "") -> None:
        """Send a file that is to be called `name`; afterwards it may be deleted.

        Bytes are kept, and sent with the commit. What the branch holds already is not sent.

        Args:
            name: in the repository, with forward slashes.
            file: a path, or small content.
            sha256: of the file, where it is known and the file has not changed since.

        Raises:
            HubError: the Hub did not take it; call again.
            InvalidFileError: the file changed meanwhile, or the name is none for a file.
            StorageError: it cannot be read.
        """
        from huggingface_hub import CommitOperationAdd

        if why := unsafe(name):
            raise InvalidFileError(f"{quoted(name)} {why}, and is no name of a file in a repository")
        found = _measured(file, sha256)
        if not found.is_at(self.before.files.get(name)):
            operation = CommitOperationAdd(name, file if isinstance(file, bytes) else str(file))
            operation.upload_info.sha256 = bytes.fromhex(found.sha256)
            if isinstance(file, Path):
                operation = self._sent(operation, name, file)
            found = Added(found.size, found.sha256, found.git_oid, operation)
        self.added[name] = found
        self.removed.discard(name)

    def _sent(self, operation: CommitOperationAdd, name: str, file: Path) -> CommitOperationAdd:
        """Send one file now; what the Hub wants within the commit is kept in memory instead."""
        from huggingface_hub import CommitOperationAdd

        before = _stamp(file)
        with sending(f"sending {name} to {self.repo}"):
            patiently(
                lambda: api().preupload_lfs_files(
                    self.repo, [operation], revision=self.revision, create_pr=self.as_request
                )
            )
        if _stamp(file) != before:
            raise InvalidFileError(f"{quoted(str(file))} changed while it was sent", hint="run it again")
        if operation.path_or_fileobj == b"":
            return operation
        return CommitOperationAdd(name, file.read_bytes())

    def remove(self, name: str) -> None:
        """Let the commit remove a file, if the branch has it."""
        if name in self.before.files:
            self.removed.add(name)

    def commit(self, title: str, description: str = "") -> Committed:
        """Make all files visible in one commit, and compare what the Hub lists then with what was sent.

        Where the answer gets lost, the branch is looked at before anything is sent again.

        Raises:
            HubError: the Hub did not take it, or the branch has moved since the upload began.
            VerificationError: the Hub holds other bytes than were sent.
        """
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            done = self._done_before() or self._committed(title, description)
        self._check(done)
        notes = tuple(dict.fromkeys(harmless(str(one.message))[1:-1] for one in said))
        return Committed(done.commit, done.reference, done.url, done.changed, notes)

    @property
    def _changed(self) -> tuple[str, ...]:
        return tuple(sorted({name for name, one in self.added.items() if one.operation} | self.removed))

    def _done_before(self) -> Committed | None:
        """Return what holds all of it already: the branch, or for a pull request one of the newest."""
        if not self._changed:
            return Committed(self.before.commit, self.revision, "", ())
        return self._request_that_holds_it() if self.as_request else None

    def _request_that_holds_it(self) -> Committed | None:
        found = [ref for ref in names(self.repo) if ref.startswith("refs/pr/")]
        found.sort(key=lambda ref: -int(ref.rpartition("/")[2]))
        for ref in found[:REQUESTS_LOOKED_AT]:
            listed = listing(Address(self.repo, ref))
            if self._holds(listed):
                return Committed(listed.commit, ref, "", ())
        return None

    def _holds(self, listed: Listing) -> bool:
        return self.removed.isdisjoint(listed.files) and not self._unlike(listed)

    def _unlike(self, listed: Listing) -> list[str]:
        return sorted(name for name, one in self.added.items() if not one.is_at(listed.files.get(name)))

    def _committed(self, title: str, description: str) -> Committed:
        pause = FIRST_PAUSE
        for left in reversed(range(ATTEMPTS)):
            try:
                with sending(f"committing to {self.repo}"), passing_on() as failure:
                    info = self._create_commit(title, description)
            except WeightArithError:
                found = self._after_all()
                if found is not None:
                    return found
                if not left or failure.pause is None or self._moved():
                    raise
                wait(min(max(failure.pause, pause), LONGEST_PAUSE))
                pause *= 2
            else:
                reference = f"refs/pr/{info.pr_num}" if self.as_request else self.revision
                return Committed(info.oid, reference, info.pr_url or info.commit_url, self._changed)
        raise HubError(f"committing to {self.repo} failed", hint="run it again")  # pragma: no cover

    def _create_commit(self, title: str, description: str) -> CommitInfo:
        from huggingface_hub import CommitOperationDelete

        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            one.operation for one in self.added.values() if one.operation
        ]
        operations += [CommitOperationDelete(name, is_folder=False) for name in sorted(self.removed)]
        return api().create_commit(
            self.repo, operations, commit_message=title, commit_description=description,
            revision=self.revision, parent_commit=self.before.commit, create_pr=self.as_request,
        )  # fmt: skip

    def _after_all(self) -> Committed | None:
        """Return the commit that was made although its answer got lost, if it was."""
        try:
            if self.as_request:
                found = self._request_that_holds_it()
                return found and Committed(found.commit, found.reference, "", self._changed)
            now = listing(Address(self.repo, self.revision))
        except WeightArithError:  # then the error that led here says more
            return None
        if now.commit == self.before.commit or not self._holds(now):
            return None
        return Committed(now.commit, self.revision, "", self._changed)

    def _moved(self) -> bool:
        try:
            return listing(Address(self.repo, self.revision)).commit != self.before.commit
        except WeightArithError:
            return False

    def _check(self, done: Committed) -> None:
        """Compare what the Hub lists at a commit with what was sent."""
        same = done.commit == self.before.commit
        wrong = self._unlike(self.before if same else listing(Address(self.repo, done.commit)))
        if wrong:
            raise VerificationError(
                f"{self.repo} at commit {done.commit[:12]} holds other bytes than were sent: {some(wrong)}",
                hint="push again; if it stays, tell the Hub's support",
            )


wait = time.sleep
"""How the pause before another attempt is made."""


def begin(
    repo: str, *, revision: str = DEFAULT_REVISION, private: bool = False, as_request: bool = False,
    there: There | None = None,
) -> Upload:  # fmt: skip
    """Return an empty upload to a branch; repository and branch are made where they are missing.

    Args:
        repo: `org/name`.
        revision: the branch.
        private: whether a repository that is made is; one that is there stays what it is.
        as_request: open a pull request instead of moving the branch.
        there: what `look` found.

    Raises:
        HubError: the Hub did not answer, or the account has no right to.
    """
    return Upload(create(repo, revision, there, private=private), as_request)


def _measured(file: Path | bytes, sha256: str) -> Added:
    if isinstance(file, bytes):
        return Added(len(file), sha256 or hashlib.sha256(file).hexdigest(), _git_oid(file), None)
    size = file.stat().st_size
    if not sha256:
        with file.open("rb") as opened:
            sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    return Added(size, sha256, _git_oid(file.read_bytes()) if size <= IN_GIT else "", None)


def _git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _stamp(file: Path) -> tuple[int, int, int]:
    found = file.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino
