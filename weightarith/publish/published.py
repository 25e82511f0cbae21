"""The receipt as it is published: hub ids and labels in place of paths, and the SHA-256 of every file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

import yaml

from weightarith.hub.address import Address, parse
from weightarith.provenance import plain_label
from weightarith.receipt import Receipt

_PATH = re.compile(r"(?<![\w./:~-])~?(?:/[\w.@+,-]+)+/?|(?<![\w./:~-])(?:\.{1,2}/)+[\w.@+,/-]*")
_KINDS = ("model", "vector", "adapter", "direction")


def published_receipt(
    receipt: Receipt, weights: Mapping[str, tuple[str, int, str]], texts: Mapping[str, tuple[int, str]]
) -> Receipt:
    """Return a receipt that may be published.

    Args:
        receipt: as it lies beside the output.
        weights: by its published name each file's name here, size and SHA-256.
        texts: by name each small file's size and SHA-256.
    """
    old = {name: new for new, (name, _, _) in weights.items()}
    found = {key: value if key == "recipe" else _without_paths(value) for key, value in receipt.items()}
    if isinstance(receipt.get("recipe"), str):
        found["recipe"] = published_recipe(receipt["recipe"])
    if isinstance(receipt.get("inputs"), list):
        found["inputs"] = [_input(each) for each in receipt["inputs"]]
    if isinstance(receipt.get("headers"), dict):
        found["headers"] = {old.get(name, name): value for name, value in receipt["headers"].items()}
    return found | {
        "files": {name: size for name, (_, size, _) in weights.items()},
        "beside": {name: {"bytes": size, "sha256": sha} for name, (size, sha) in sorted(texts.items())},
        "sha256": {name: sha for name, (_, _, sha) in sorted(weights.items())},
    }


def _input(entry: Mapping[str, Any]) -> dict[str, Any]:
    hub = entry.get("hub")
    label = plain_label(str(entry.get("label", "")))
    if not isinstance(hub, Mapping):
        return {**entry, "path": plain_label(str(entry.get("path") or label))}
    address = Address(str(hub.get("repo")), str(hub.get("commit")), str(hub.get("path") or ""))
    return {**entry, "path": str(address)}


def _without_paths(value: Any) -> Any:
    """Return a value whose texts hold no path of this machine, but the last part of each."""
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, list):
        return [_without_paths(one) for one in value]
    if isinstance(value, dict):
        return {key: _without_paths(one) for key, one in value.items()}
    return value


def plain_text(text: str) -> str:
    """Return a text in which of every path of this machine the last part is left."""
    return _PATH.sub(lambda found: PurePath(found[0]).name or found[0], text)


def published_recipe(text: str) -> str:
    """Return a recipe in which no input and no output is a path of this machine, but for the last part.

    Everything else stays as it was written, to the space.
    """
    changes = sorted(_changes(yaml.compose(text, Loader=yaml.SafeLoader)), reverse=True)
    for start, stop, instead in changes:
        text = text[:start] + instead + text[stop:]
    return text


def _changes(document: yaml.Node | None) -> Iterator[tuple[int, int, str]]:
    parts = _table(document)
    for node in (*_inputs(parts.get("inputs")), *_wanted(_table(parts.get("output")), ("path",))):
        plain = _plain(node.value)
        if plain != node.value:
            yield node.start_mark.index, node.end_mark.index, json.dumps(plain, ensure_ascii=False)


def _inputs(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    for entry in _table(node).values():
        if isinstance(entry, yaml.ScalarNode):
            yield entry
        yield from _wanted(_table(entry), _KINDS)


def _wanted(parts: Mapping[str, yaml.Node], keys: Iterable[str]) -> Iterator[yaml.ScalarNode]:
    for key in keys:
        node = parts.get(key)
        if isinstance(node, yaml.ScalarNode):
            yield node


def _table(node: yaml.Node | None) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def _plain(text: str) -> str:
    local = text.startswith(("/", "~", ".")) or "\\" in text
    if not local and parse(text) is not None:
        return text
    name = PurePath(text.replace("\\", "/")).name
    return text if text.rstrip("/") in (name, f"./{name}") else f"./{name}"
