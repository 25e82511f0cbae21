"""The files beside the weights of two models: config, tokenizer, chat template, and code.

JSON is compared by its keys, all else by its bytes; nothing in them is ever run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from weightarith.audit.finding import Finding, listed
from weightarith.audit.pairs import Laid
from weightarith.errors import StorageError
from weightarith.tensorfile.jsonfile import CONFIG_LIMIT, read_object
from weightarith.tensorfile.sniff import shown

JSON = ("config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json")  # fmt: skip
TOKENIZER = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt", "merges.txt")
TEMPLATE = ("chat_template.jinja", "chat_template.json")
SAID_BY_TOOLS = frozenset({
    "transformers_version", "_name_or_path", "name_or_path", "torch_dtype", "dtype", "use_cache",
    "_commit_hash",
})  # fmt: skip
"""Keys that programs rewrite when they save a model: notes, no findings."""

_TEMPLATE = "chat_template"
_SHOWN = 60


def files(laid: Laid) -> tuple[list[Finding], list[str]]:
    """Return findings on files beside the weights that differ, and notes on what tools rewrite.

    Raises:
        InvalidFileError: a JSON file is none.
        StorageError: one of them cannot be read.
    """
    before, after = laid.base.source.folder, laid.other.source.folder
    if not laid.models:
        return [], []
    if before is None or after is None:
        return [], ["one of the two is no model's folder: config, tokenizer and template were not compared"]
    findings, notes = [], []
    for name in JSON:
        found, told = _json(name, before, after)
        findings += found
        notes += told
    for kind, names in (("tokenizer", TOKENIZER), ("chat-template", TEMPLATE)):
        for name in names:
            findings += _bytes(kind, name, before, after)
    return [*findings, *_code(before, after)], notes


def _json(name: str, before: Path, after: Path) -> tuple[list[Finding], list[str]]:
    gone = _presence("config", name, before, after)
    if gone is not None or not (before / name).is_file():
        return gone or [], []
    one, other = (read_object(folder / name, CONFIG_LIMIT) for folder in (before, after))
    keys = sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))
    findings: list[Finding] = []
    if _TEMPLATE in keys:
        findings.append(
            Finding("chat-template", name, "the chat template in it differs", "its text is another")
        )
    plain = [key for key in keys if key not in SAID_BY_TOOLS and key != _TEMPLATE]
    if plain:
        kind = "tokenizer" if "token" in name else "config"
        told = listed([_change(key, one, other) for key in plain], 6)
        findings.append(
            Finding(kind, name, told, f"{len(plain)} of its keys differ", numbers={"keys": plain})
        )
    said = [_change(key, one, other) for key in keys if key in SAID_BY_TOOLS]
    return findings, [f"{name}: {listed(said)}"] if said else []


def _change(key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    said = [_short(each[key]) if key in each else "nothing" for each in (before, after)]
    return f"{key}: {said[0]} → {said[1]}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _presence(kind: str, name: str, before: Path, after: Path) -> list[Finding] | None:
    """Return a finding where only one folder has a file, None where both or neither have it."""
    has = (before / name).is_file(), (after / name).is_file()
    if has[0] == has[1]:
        return None
    what = "is gone" if has[0] else "is new"
    return [Finding(kind, name, f"the file {what}", "only one of the two folders has it")]


def _bytes(kind: str, name: str, before: Path, after: Path) -> Iterator[Finding]:
    gone = _presence(kind, name, before, after)
    if gone is not None:
        yield from gone
    elif (before / name).is_file() and not _same(before / name, after / name):
        yield Finding(kind, name, "the file differs", "its bytes are others")


def _code(before: Path, after: Path) -> Iterator[Finding]:
    for path in sorted(after.glob("*.py")):
        own = before / path.name
        if not own.is_file() or not _same(own, path):
            what = "differs" if own.is_file() else "is new"
            yield Finding(
                "code", path.name, f"a file of code {what}", "loaders that trust a model's code run it"
            )


def _same(one: Path, other: Path) -> bool:
    try:
        if one.stat().st_size != other.stat().st_size:
            return False
        with one.open("rb") as left, other.open("rb") as right:
            while block := left.read(1 << 20):
                if block != right.read(1 << 20):
                    return False
    except OSError as error:
        raise StorageError(f"{shown(one)}: cannot be compared: {error.strerror}") from error
    return True
