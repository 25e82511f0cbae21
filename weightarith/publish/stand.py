"""What stands in a repository before a push: what may be replaced, what is out of date, what is the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from weightarith.errors import InvalidFileError, TargetError
from weightarith.hub.listing import Listing
from weightarith.hub.repository import There, content, look, names, taken
from weightarith.proof.account import Account, account_of
from weightarith.store.stage import RECEIPT
from weightarith.tensorfile.jsonfile import parse_object

_OF_THE_HUB = (".gitattributes",)


class Named(Protocol):
    """A file that is to be in the repository."""

    @property
    def name(self) -> str:
        """What it is called there."""

    @property
    def size(self) -> int:
        """Its bytes."""

    @property
    def content(self) -> bytes | None:
        """What is in it, where that is known."""


@dataclass(frozen=True)
class Stand:
    """A repository before a push.

    Attributes:
        repo: `org/name`.
        there: None where there is no such repository.
        kind: what its receipt says that it is; empty where it has none.
        account: of the files that its receipt names.
    """

    repo: str
    there: There | None
    kind: str = ""
    account: Account | None = None

    @property
    def listed(self) -> Listing | None:
        """What the branch holds."""
        return self.there.listed if self.there is not None else None

    def check(self, kind: str, *, overwrite: bool, as_request: bool) -> None:
        """Refuse to replace what weightarith did not write, or something of another kind.

        Raises:
            TargetError: see above.
        """
        files = [name for name in (self.listed.files if self.listed else ()) if name not in _OF_THE_HUB]
        if not files or overwrite or as_request:
            return
        hint = "choose another repository; or --create-pr to propose it, or --overwrite"
        if not self.kind:
            raise TargetError(f"{self.repo} holds files that weightarith did not write", hint=hint)
        if self.kind != kind:
            raise TargetError(
                f"{self.repo} holds something of kind {self.kind}, and this is of kind {kind}", hint=hint
            )

    def stale(self, items: Iterable[Named]) -> tuple[str, ...]:
        """Return the files that the receipt there names, and that are no longer published."""
        if self.listed is None or self.account is None:
            return ()
        kept = {item.name for item in items}
        return tuple(name for name in self.account.sizes if name not in kept and name in self.listed.files)

    def changes(self, items: Iterable[Named]) -> dict[str, str]:
        """Return of each file whether it is `new`, `changed`, `same`, or of the `same size`."""
        return dict(self._changes(items))

    def _changes(self, items: Iterable[Named]) -> Iterator[tuple[str, str]]:
        files = self.listed.files if self.listed is not None else {}
        for item in items:
            entry = files.get(item.name)
            if entry is None:
                yield item.name, "new"
            elif entry.size != item.size:
                yield item.name, "changed"
            elif item.content is None:
                yield item.name, "same size"
            else:
                git = hashlib.sha1(b"blob %d\0" % item.size + item.content, usedforsecurity=False)
                found = git if entry.sha256 is None else hashlib.sha256(item.content)
                same = found.hexdigest() == (entry.sha256 or entry.git_oid)
                yield item.name, "same" if same else "changed"


def stand(repo: str, revision: str, tag: str = "") -> Stand:
    """Return what stands at a branch of a repository.

    Raises:
        HubError: the Hub did not answer.
        TargetError: the tag is there already.
    """
    there = look(repo, revision)
    if there is None:
        return Stand(repo, None)
    if tag and there.listed is not None:
        taken_by = names(repo).get(f"refs/tags/{tag}")
        if taken_by not in (None, there.listed.commit):
            raise taken(repo, tag, str(taken_by))
    if there.listed is None or RECEIPT not in there.listed.files:
        return Stand(repo, there)
    where = f"the receipt in {repo}"
    try:
        receipt = parse_object(content(there.listed, RECEIPT).decode(errors="replace"), where)
        return Stand(repo, there, str(receipt.get("kind", "")), account_of(receipt, where))
    except InvalidFileError:  # somebody else's file of that name
        return Stand(repo, there)
