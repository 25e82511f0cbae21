"""What is to be published: a vector, an adapter, a model or a part of a run, with its receipt and files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weightarith.card.facts import Kind
from weightarith.errors import (
    InvalidFileError,
    RecipeError,
    UnsupportedError,
    VerificationError,
    quoted,
    some,
)
from weightarith.proof.account import account_of, no_receipt, read_receipt
from weightarith.provenance import plain_name, recorded_base
from weightarith.publish.files import REPORT, LeftOut, expect_plain, left_out, texts_in
from weightarith.publish.gguf import SUFFIX, Whole, open_whole
from weightarith.publish.runs import PARTS, Part, is_run, part_of
from weightarith.receipt import Receipt
from weightarith.store import Source, open_source
from weightarith.store.stage import RECEIPT, receipt_path
from weightarith.tensorfile.jsonfile import INDEX_LIMIT, read_object
from weightarith.tensorfile.model import TensorFile

ONE_FILE = "vector.safetensors"
"""How a vector of one file is called where it is published."""
PREFIX = "weightarith."


@dataclass(frozen=True)
class Subject:
    """Something with a receipt, opened by its headers.

    Attributes:
        kind: what it is.
        path: where it lies.
        folder: the folder that results are looked for in.
        name: what it is called here.
        receipt: as it lies beside it.
        weights: its safetensors files, or the one in GGUF, by the name that each gets.
        texts: its small files, by the name that each gets.
        config: config.json, or adapter_config.json.
        header: the metadata of a vector, without their prefix.
        base: what it says of its model: `name`, `repo`, `revision`.
        training: what is known of the training that made it.
        left_out: what lies beside it and is not published.
    """

    kind: Kind
    path: Path
    folder: Path
    name: str
    receipt: Receipt
    weights: Mapping[str, TensorFile | Whole]
    texts: Mapping[str, Path] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    header: Mapping[str, Any] = field(default_factory=dict)
    base: Mapping[str, str] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()


def open_subject(path: Path, part: str = "") -> Subject:
    """Return what lies at a path, and of a run one part.

    Raises:
        InvalidFileError: nothing is there, it has no receipt, or a file is damaged.
        UnsupportedError: it is nothing that is published.
        VerificationError: its files are not those of its receipt.
        RecipeError: `part` is asked of what is no run, or there is no such part.
    """
    if not path.exists():
        raise InvalidFileError(f"no such file or folder: {quoted(str(path))}")
    if is_run(path):
        return _of_run(path, part)
    if part:
        raise RecipeError(f"{quoted(str(path))} is no run, and only a run has parts ({', '.join(PARTS)})")
    place = receipt_path(path)
    if path.suffix == SUFFIX:
        return _gguf(path)
    source = open_source(path)
    if not place.is_file():
        raise no_receipt(str(path), str(place))
    report = path / REPORT if path.is_dir() else path.with_suffix(f".{REPORT}")
    told = read_object(report, INDEX_LIMIT) if report.is_file() else {}
    return _subject(source, read_receipt(place), path, path if path.is_dir() else path.parent, told)


def _gguf(path: Path) -> Subject:
    place = receipt_path(path)
    if not place.is_file():
        raise no_receipt(str(path), str(place))
    receipt = read_receipt(place)
    whole = open_whole(expect_plain(path), receipt)
    return Subject(
        "adapter", path, path.parent, path.stem, receipt, {path.name: whole}, base=_told_base(receipt, {})
    )


def _of_run(path: Path, part: str) -> Subject:
    found: Part = part_of(path, part)
    opened = _subject(open_source(found.path), found.receipt, found.path, path, found.report)
    texts = {**opened.texts, **({REPORT: path / REPORT} if (path / REPORT).is_file() else {})}
    published = {found.path.name, *texts}
    others = [one for one in left_out(path, published) if not one.name.endswith(RECEIPT)]
    base = {**opened.base, **{key: value for key, value in found.base.items() if value}}
    return Subject(
        opened.kind, found.path, path, path.resolve().name, opened.receipt, opened.weights, texts,
        opened.config, opened.header, base, opened.training, tuple(others),
    )  # fmt: skip


def _subject(
    source: Source, receipt: Receipt, path: Path, folder: Path, report: Mapping[str, Any]
) -> Subject:
    kind: Kind = source.kind
    if kind == "checkpoint" and not path.is_dir():
        raise UnsupportedError(
            f"{quoted(str(path))} is a model in a single file, which no program loads without its config",
            hint="merge into a folder: -o DIR",
        )
    if not path.is_dir() and source.own_names:
        raise UnsupportedError(f"{quoted(str(path))} is an adapter in a single file",
                               hint="weightarith compress FILE --rank R --format peft -o DIR")  # fmt: skip
    files = {expect_plain(file.path).name: file for file in source.files}
    weights = files if path.is_dir() else {ONE_FILE: source.files[0]}
    texts = texts_in(path, kind) if path.is_dir() else _report_beside(path)
    _check(receipt, files, texts, path)
    others = left_out(path, {*files, *texts, RECEIPT}) if path.is_dir() else ()
    header = header_of(source.metadata)
    training = _training(header.get("training"), report)
    return Subject(
        kind, path, folder, path.resolve().name.removesuffix(".safetensors"), receipt, weights, texts,
        source.config or {}, header, _base(source, receipt), training, tuple(others),
    )  # fmt: skip


def _report_beside(path: Path) -> dict[str, Path]:
    report = path.with_suffix(f".{REPORT}")
    return {REPORT: report} if report.is_file() and not report.is_symlink() else {}


def _check(
    receipt: Receipt, weights: Mapping[str, TensorFile], texts: Mapping[str, Path], path: Path
) -> None:
    """Refuse files that are plainly not those of the receipt; hashes are compared when they are sent."""
    try:
        account = account_of(receipt, "its receipt")
    except UnsupportedError:  # what training wrote before receipts had sizes
        return
    sizes = {name: file.stamp.size for name, file in weights.items()}
    sizes |= {name: text.stat().st_size for name, text in texts.items()}
    wrong = [name for name, size in account.sizes.items() if not path.is_file() and sizes.get(name) != size]
    wrong += [
        name for name, file in weights.items()
        if account.headers.get(name, file.header_sha256) != file.header_sha256
        or (account.headers and name not in account.headers)
    ] if path.is_dir() else []  # fmt: skip
    if path.is_file() and [file.stamp.size for file in weights.values()] != list(account.sizes.values()):
        wrong.append(path.name)
    if wrong:
        raise VerificationError(
            f"{quoted(str(path))} is not what its receipt says: {some(sorted(set(wrong)))}",
            hint="weightarith verify names all that differs; make the output again",
        )


def header_of(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return what the metadata of a vector say, without their prefix."""
    found = {}
    for key, text in sorted(metadata.items()):
        if key.startswith(PREFIX):
            try:
                found[key.removeprefix(PREFIX)] = json.loads(text)
            except (ValueError, RecursionError):
                found[key.removeprefix(PREFIX)] = text
    return found


def _base(source: Source, receipt: Receipt) -> dict[str, str]:
    """Return what is said of the model: by the file itself, else by the receipt of a training."""
    return _told_base(receipt, recorded_base(source))


def _told_base(receipt: Receipt, found: dict[str, str]) -> dict[str, str]:
    told = receipt.get("base")
    if not found and isinstance(told, dict):
        found = {str(key): str(value) for key, value in told.items() if value}
    return {**found, "name": plain_name(found["name"])} if found.get("name") else found


def _training(header: Any, report: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a card says of a training: a name and a value each."""
    told = header if isinstance(header, dict) else {}
    settings, chosen = (_table(report.get(key)) for key in ("settings", "chosen"))
    data = told.get("data") or report.get("data")
    found = {
        "kind": told.get("kind") or settings.get("kind"),
        "rank": told.get("rank") or settings.get("rank"),
        "learning rate": told.get("learning_rate") or chosen.get("learning_rate"),
        "steps": told.get("step") or chosen.get("step"),
        "seed": told.get("seed", settings.get("seed")),
    }
    for side, one in sorted(_sides(data).items()):
        found[f"{side} data".strip()] = f"{one.get('rows')} rows, SHA-256 {one.get('sha256')}"
    return {key: value for key, value in found.items() if value is not None} if told or report else {}


def _sides(data: Any) -> dict[str, Mapping[str, Any]]:
    told = _table(data)
    if "sha256" in told:
        return {"": told}
    return {str(side): one for side, one in told.items() if isinstance(one, dict)}


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
