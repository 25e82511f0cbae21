"""A merge published as it is made: every file is sent as soon as it is there, and then removed from here.

Whether it may be published is settled before a weight is read, by a receipt that lacks checksums only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from weightarith.card import Parent, render
from weightarith.errors import UnsupportedError, quoted
from weightarith.hub.upload import Upload
from weightarith.provenance import plain_name
from weightarith.publish import leaks
from weightarith.publish.content import META, UNKNOWN, Content, meta_of
from weightarith.publish.parents import parents_of
from weightarith.publish.plan import Plan, Wish, draw_content, items_of
from weightarith.publish.published import published_receipt
from weightarith.publish.push import Pushed, begun, expect_online, finished
from weightarith.publish.subject import ONE_FILE, Subject, header_of
from weightarith.receipt import Asked, Receipt
from weightarith.saving import Run, asked_by, carry_out_apart, receipt_before, sidecars_of
from weightarith.tensorfile.digest import sha256_of

if TYPE_CHECKING:
    from weightarith.engine.plan import Plan as Merge


@dataclass(frozen=True)
class Made:
    """A merge and the plan of publishing it.

    Attributes:
        merge: what is to be made; the place that it names is not written.
        asked: what its receipt says that was asked for.
        push: how it is published; its card and receipt lack what only making it tells.
        subject: what is known of it beforehand.
    """

    merge: Merge
    asked: Asked
    push: Plan
    subject: Subject


@contextmanager
def room() -> Iterator[Path]:
    """Yield the path of an output that is never kept: files are made one at a time in the folder around it.

    That folder is a temporary one; TMPDIR says where such are.
    """
    with TemporaryDirectory(prefix="weightarith-") as folder:
        yield Path(folder) / "result"


def draw_made(merge: Merge, wish: Wish, asked: Asked | None = None) -> Made:
    """Return the plan of publishing what a merge will make; no weight is read, and nothing is sent.

    Args:
        merge: counted, if its tensors are sparse.
        wish: what is asked for.
        asked: what the receipt says that the run was asked for; without it that is read off the sum.

    Raises:
        WeightArithError: it cannot be published so, or the Hub did not answer.
    """
    path = merge.output.path
    if merge.kind == "checkpoint" and path.suffix:
        _refuse_single(path)
    asked = asked or asked_by(merge)
    beside = sidecars_of(merge)
    receipt = receipt_before(merge, asked, beside)
    metadata = _metadata(merge)
    header = header_of(metadata)
    told = header.get("base")
    base = {str(key): str(value) for key, value in told.items() if value} if isinstance(told, dict) else {}
    if base.get("name"):
        base["name"] = plain_name(base["name"])
    config = json.loads(beside["config.json"]) if "config.json" in beside else {}
    subject = Subject(merge.kind, path, path.parent, path.name, receipt, {}, {}, config, header, base)
    leaks.check(merge.files[0].name, json.dumps(metadata, ensure_ascii=False).encode(), leaks.places())
    content = _content(merge, subject, beside, tuple(parents_of(subject)))
    return Made(merge, asked, draw_content(content, wish), subject)


def carry_out_made(
    made: Made, run: Run | None = None, told: Callable[[str, int], None] = lambda _name, _size: None
) -> tuple[Pushed, Receipt]:
    """Make a merge file by file, send each, make all visible in one commit; return that and the receipt.

    Where it is interrupted, the branch is as it was. The next run makes every file again, which gives the
    same bytes, and sends only those that the Hub has not got.

    Args:
        made: as `draw_made` returns it.
        run: where to compute and on how many threads.
        told: called with the name and the bytes of every file that was sent.

    Raises:
        WeightArithError: the branch is as it was, and nothing is left here.
    """
    expect_online(made.push)
    upload = begun(made.push)
    hashes: dict[str, str] = {}

    def send(name: str, path: Path) -> None:
        _sent(upload, name, path, hashes)
        told(name, path.stat().st_size)

    receipt = carry_out_apart(made.merge, send, run, asked=made.asked)
    subject = replace(made.subject, receipt=receipt)
    content = _content(made.merge, subject, sidecars_of(made.merge), made.push.parents)
    card = render(content.facts(made.push.wish.repo, made.push.decision))
    plan = replace(made.push, content=content, card=card, items=items_of(content, card))
    return finished(plan, upload, hashes), receipt


def _sent(upload: Upload, name: str, path: Path, hashes: dict[str, str]) -> None:
    hashes[name] = sha256_of(path)
    upload.add(name, path, hashes[name])


def _refuse_single(path: Path) -> None:
    raise UnsupportedError(
        f"{quoted(str(path))} is a model in a single file, which no program loads without its config",
        hint="let path: name a folder, or leave it out",
    )


def _content(
    merge: Merge, subject: Subject, beside: Mapping[str, bytes], parents: tuple[Parent, ...]
) -> Content:
    """Return what is published of a merge, its receipt as it is in `subject`."""
    names = {file.name: file.name for file in merge.files}
    if merge.output.path.suffix:  # a vector in one file
        names = {ONE_FILE: merge.files[0].name}
    sizes = {file.name: file.size for file in merge.files}
    small = {name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in beside.items()}

    def receipt(hashes: Mapping[str, str]) -> Receipt:
        weights = {name: (own, sizes[own], hashes.get(name, UNKNOWN)) for name, own in names.items()}
        return published_receipt(subject.receipt, weights, small)

    meta = {META: meta_of(subject.base, receipt({}))} if subject.kind == "vector" else {}
    more: dict[str, Any] = {"config": subject.config, "header": subject.header}
    return Content(
        subject.kind, {}, {**beside, **meta}, parents, receipt, folders=leaks.places(), more=more,
        made={name: sizes[own] for name, own in names.items()},
    )  # fmt: skip


def _metadata(merge: Merge) -> dict[str, str]:
    """Return the metadata in the headers of the files of a merge."""
    header: dict[str, Any] = json.loads(merge.files[0].header[8:]) if merge.files else {}
    return {str(key): str(value) for key, value in header.get("__metadata__", {}).items()}
