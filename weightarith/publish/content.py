"""What is published of something: weights, small files, pictures, the receipt, and facts for the card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weightarith.card import Facts, Parent
from weightarith.card.facts import Kind
from weightarith.card.licence import Decision
from weightarith.errors import UnsupportedError, VerificationError, WeightArithError, quoted
from weightarith.loaders import LOADERS, check, verdicts
from weightarith.proof.account import account_of
from weightarith.provenance import plain_name
from weightarith.publish import leaks
from weightarith.publish.files import LeftOut
from weightarith.publish.gguf import Whole
from weightarith.publish.parents import names_of, parents_of
from weightarith.publish.published import published_receipt
from weightarith.publish.results import no_results, results_of
from weightarith.publish.subject import Subject, open_subject
from weightarith.receipt import Receipt

META = "meta.yaml"
"""A file that the Hub counts downloads by, which it does not by the file of a vector.

https://huggingface.co/docs/hub/models-download-stats
"""
UNKNOWN = "0" * 64
"""In place of a hash that is not taken yet: it is as long."""


@dataclass(frozen=True)
class Content:
    """What is published, and what is known of it.

    Attributes:
        kind: what it is.
        weights: files by the name that each gets.
        texts: small files by name.
        parents: base first.
        receipt: returns the published receipt, given SHA-256 of files of weights by name.
        pictures: of results, by name.
        left_out: what stays here.
        warnings: what is to be known first.
        expected: SHA-256 of files by name, as the receipt here has them.
        folders: whose paths must not be published.
        more: further facts for the card.
        made: bytes of files of weights by name that are not there yet, and sent as they are made.
    """

    kind: Kind
    weights: Mapping[str, Path]
    texts: Mapping[str, bytes]
    parents: tuple[Parent, ...]
    receipt: Callable[[Mapping[str, str]], Receipt]
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()
    expected: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[Path, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    made: Mapping[str, int] = field(default_factory=dict)

    def facts(self, repo: str, decision: Decision) -> Facts:
        """Return what the card states."""
        receipt = self.receipt({})
        names = names_of(self.parents, receipt)
        if set(names) >= {"positive", "negative"}:  # what the two sides are about, the repository's name says
            names["positive"] = (*names["positive"], repo.partition("/")[2])
        return Facts(
            repo, self.kind, receipt, self.parents, decision, base_of(self.parents), names=names,
            pictures=tuple(self.pictures), files=(*self.weights, *self.made, *self.texts), **self.more,
        )  # fmt: skip


def content_of(path: Path, *, part: str = "", results: Path | None = None) -> Content:
    """Return what is published of a vector, an adapter, a model or a run.

    Raises:
        WeightArithError: it cannot be opened, or must not be published.
    """
    subject = open_subject(path, part)
    found = results_of(subject.folder, results) if results or path.is_dir() else no_results()
    folders = leaks.places(subject.path if subject.path.is_dir() else subject.path.parent, subject.folder)
    texts = {name: path.read_bytes() for name, path in subject.texts.items()}
    for file in subject.weights.values():
        head = file.head if isinstance(file, Whole) else json.dumps(dict(file.metadata), ensure_ascii=False)
        leaks.check(file.path.name, head if isinstance(head, bytes) else head.encode(), folders)
    expected = _expected(subject)
    _check_texts(texts, expected)
    receipt = _receipt_of(subject, texts)
    made = {META: meta_of(subject.base, receipt({}))} if subject.kind == "vector" else {}
    residual = subject.receipt.get("residual")
    return Content(
        subject.kind, {name: file.path for name, file in subject.weights.items()}, texts | made,
        tuple(parents_of(subject)), receipt, found.pictures, subject.left_out, tuple(_warnings(residual)),
        expected, folders,
        {
            "config": subject.config, "header": subject.header, "training": subject.training,
            "loaders": _loaders(subject), "measured": found.measured, "notes": tuple(_notes(residual)),
        },
    )  # fmt: skip


def _receipt_of(subject: Subject, texts: Mapping[str, bytes]) -> Callable[[Mapping[str, str]], Receipt]:
    small = {name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in texts.items()}

    def receipt(hashes: Mapping[str, str]) -> Receipt:
        weights = {
            name: (file.path.name, file.stamp.size, hashes.get(name, UNKNOWN))
            for name, file in subject.weights.items()
        }
        return published_receipt(subject.receipt, weights, small)

    return receipt


def _expected(subject: Subject) -> dict[str, str]:
    """Return the SHA-256 that the receipt here has of the files, by their published names."""
    try:
        known = dict(account_of(subject.receipt, "its receipt").sha256)
    except UnsupportedError:
        return {}
    return {
        name: known[file.path.name] for name, file in subject.weights.items() if file.path.name in known
    } | {name: known[name] for name in subject.texts if name in known}


def _check_texts(texts: Mapping[str, bytes], expected: Mapping[str, str]) -> None:
    for name, data in texts.items():
        if expected.get(name, "") not in ("", hashlib.sha256(data).hexdigest()):
            raise VerificationError(
                f"{quoted(name)} is not what its receipt says",
                hint="weightarith verify names all that differs; make the output again",
            )


def base_of(parents: tuple[Parent, ...]) -> str:
    """Return how a command names the model: the first parent that is one."""
    return next((one.shown for one in parents if one.kind == "checkpoint"), "")


def meta_of(base_told: Mapping[str, str], receipt: Receipt) -> bytes:
    """Return the file by which the Hub counts downloads of a vector."""
    base = base_told.get("repo") or plain_name(base_told.get("name", ""))
    lines = {
        "library": "weightarith",
        "kind": "vector",
        "base": base,
        "expression": receipt.get("expression"),
    }
    told = (f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in lines.items() if value)
    return "".join(told).encode()


def _loaders(subject: Subject) -> tuple[str, ...]:
    """Return the programs that load an adapter as it is meant."""
    if subject.kind != "adapter" or subject.path.suffix:
        return ()
    try:
        found = verdicts(check(subject.path, LOADERS))
    except WeightArithError:  # whoever loads it says what is wrong
        return ()
    return tuple(loader for loader, verdict in found.items() if verdict == "loads")


def _notes(residual: object) -> list[str]:
    if not isinstance(residual, Mapping):
        return []
    return [
        "what no LoRA carries (norms, biases, embeddings, the head) is in a vector of its own that is not in "
        f"this repository; it holds {residual.get('share')} of the squared norm of the change"
    ]


def _warnings(residual: object) -> list[str]:
    if not isinstance(residual, Mapping):
        return []
    name = quoted(str(residual.get("file")))
    return [f"{name} is no part of what is pushed: it is a vector, and takes a repository of its own"]
