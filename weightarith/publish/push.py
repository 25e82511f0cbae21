"""A push carried out: files hashed once, sent one by one, one commit, and what the Hub has then compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from weightarith.errors import HubError, InvalidFileError, VerificationError, quoted
from weightarith.hub.about import check_card_there
from weightarith.hub.address import DEFAULT_REVISION
from weightarith.hub.repository import tag
from weightarith.hub.session import online
from weightarith.hub.upload import Upload, begin
from weightarith.publish.plan import Item, Plan, Wish, draw
from weightarith.receipt import to_bytes
from weightarith.store.stage import RECEIPT
from weightarith.tensorfile.digest import sha256_of
from weightarith.tensorfile.reader import open_regular, stamp_of

__all__ = ["Pushed", "carry_out", "push"]

Moved = Callable[[int], None]


@dataclass(frozen=True)
class Pushed:
    """What a push left on the Hub.

    Attributes:
        repo: `org/name`.
        commit: 40 hexadecimal digits.
        reference: the branch, or the pull request.
        url: a page for people; empty where nothing changed.
        changed: names of files that were put or removed; none where all was there already.
        tag: the commit's name, if it was given one.
        notes: what the Hub remarked.
    """

    repo: str
    commit: str
    reference: str
    url: str
    changed: tuple[str, ...]
    tag: str = ""
    notes: tuple[str, ...] = ()


def push(
    path: str | Path, repo: str, *,
    licence: str = "", private: bool | None = None, revision: str = DEFAULT_REVISION, tag: str = "",
    create_pr: bool = False, results: str | Path | None = None, part: str = "", overwrite: bool = False,
) -> Pushed:  # fmt: skip
    """Publish a vector, an adapter, a model, a run or a recipe, and return what is on the Hub then.

    Args:
        path: the output, with its receipt.
        repo: `org/name`, made where it is missing.
        licence: an identifier, in place of what the parents say.
        private: whether a new repository is; None lets the parents decide.
        revision: the branch, made where it is missing.
        tag: a name for the commit.
        create_pr: open a pull request; the branch stays as it is.
        results: a sweep's folder, or the file that `evaluate -o` writes, for the card.
        part: of the run of a contrast: `vector`, `positive` or `negative`.
        overwrite: replace what weightarith did not write, or something of another kind.

    Raises:
        WeightArithError: see `weightarith.errors`; the branch is as it was, and the next call goes on.
    """
    shown = Path(results) if results is not None else None
    return carry_out(
        draw(Path(path), Wish(repo, private, create_pr, revision, tag, licence, shown, part, overwrite))
    )


def carry_out(plan: Plan, bar: Callable[[int], AbstractContextManager[Moved]] | None = None) -> Pushed:
    """Send what a plan holds, make it visible in one commit, and compare what the Hub lists with it.

    Args:
        plan: as `draw` returns it.
        bar: shows how far the hashing is: given bytes, yields what to call with those done so far.

    Raises:
        HubError: the Hub did not take it; the branch is as it was, and the same call goes on.
        VerificationError: a file is not that of its receipt, or the Hub holds other bytes than were sent.
    """
    expect_online(plan)
    stamps = {item.name: _stamp(item) for item in plan.items if item.file is not None}
    hashes = _hashed(plan, bar)
    upload = begun(plan)
    for item in plan.items:
        if item.file is not None:
            if _stamp(item) != stamps[item.name]:
                raise InvalidFileError(f"{quoted(str(item.file))} changed meanwhile", hint="run it again")
            upload.add(item.name, item.file, hashes[item.name])
    return finished(plan, upload, hashes)


def expect_online(plan: Plan) -> None:
    """Refuse to push where the Hub may not be asked.

    Raises:
        HubError: HF_HUB_OFFLINE says so, or did when the plan was drawn.
    """
    if plan.stand is None or not online():
        raise HubError(
            "pushing: HF_HUB_OFFLINE is set, and the Hub is not asked", hint="unset HF_HUB_OFFLINE"
        )


def begun(plan: Plan) -> Upload:
    """Return the upload that a plan needs, its card checked by the Hub and its repository there.

    Raises:
        HubError: the Hub did not answer, or the account has no right to.
        InvalidFileError: the Hub does not take the card.
    """
    check_card_there(plan.card)
    return begin(
        plan.wish.repo, revision=plan.wish.revision, private=plan.private, as_request=plan.wish.as_request,
        there=plan.stand.there if plan.stand is not None else None,
    )  # fmt: skip


def finished(plan: Plan, upload: Upload, hashes: Mapping[str, str]) -> Pushed:
    """Add the small files of a plan to an upload, receipt and card last, and make all of it visible.

    Raises:
        HubError: the Hub did not take it; the branch is as it was.
        VerificationError: the Hub holds other bytes than were sent.
    """
    receipt = to_bytes(plan.content.receipt(hashes))
    for item in plan.items:
        if item.content is not None:
            upload.add(item.name, receipt if item.name == RECEIPT else item.content)
    for name in plan.stand.stale(plan.items) if plan.stand is not None else ():
        upload.remove(name)
    done = upload.commit(_title(plan))
    if plan.wish.tag:
        tag(plan.wish.repo, plan.wish.tag, done.commit)
    return Pushed(
        plan.wish.repo, done.commit, done.reference, done.url, done.changed, plan.wish.tag, done.notes
    )


def _title(plan: Plan) -> str:
    return f"{plan.kind.capitalize()} pushed by weightarith"


def _stamp(item: Item) -> object:
    import os

    if item.file is None:
        return None
    descriptor = open_regular(item.file)
    try:
        return stamp_of(descriptor)
    finally:
        os.close(descriptor)


def _hashed(plan: Plan, bar: Callable[[int], AbstractContextManager[Moved]] | None) -> dict[str, str]:
    """Return the SHA-256 of every file that lies on the disk, compared with what the receipt says of it."""
    if bar is None:
        found = _hash_all(plan, lambda _moved: None)
    else:
        with bar(plan.hashed_bytes) as moved:
            found = _hash_all(plan, moved)
    wrong = [name for name, sha256 in found.items() if plan.content.expected.get(name, sha256) != sha256]
    if wrong:
        raise VerificationError(
            f"{quoted(wrong[0])} is not what its receipt says",
            hint="weightarith verify names all that differs; make the output again",
        )
    return found


def _hash_all(plan: Plan, moved: Moved) -> dict[str, str]:
    done, found = 0, {}

    def piece(count: int) -> None:
        nonlocal done
        done += count
        moved(done)

    for item in plan.items:
        if item.file is not None:
            found[item.name] = sha256_of(item.file, piece)
    return found
