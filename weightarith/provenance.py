"""Where weights come from, in words that may travel: what a vector's header says of its making.

Only labels, shapes and hashes get in: no path of the machine, no time, nothing of how inputs were cut into
files or in which order a sum was written; so equal inputs give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path, PurePath

from weightarith.algebra import Checkpoint, Leaf, Sum, Vector
from weightarith.store import Source
from weightarith.wording import shown_sum

SPEC = "1"
CARD_LIMIT = 1_000_000  # characters of a model card that are looked at
_SHA256 = re.compile(r"[0-9a-f]{64}")
NUMERICS = {"accumulate": "float64", "rounding": "once, to nearest even"}


def plain_label(label: str) -> str:
    """Return a label fit to be published: the last part of a path, anything else as it is."""
    return PurePath(label).name or label


def space_of(source: Source) -> str:
    """Return the fingerprint of a weight space: names and shapes of tensors, however they are stored."""
    shapes = {name: list(stored.info.shape) for name, stored in source.tensors.items()}
    shapes |= {name: list(factored.shape) for name, factored in source.factors.items()}
    shapes |= {name: list(encoded.shape) for name, encoded in source.encoded.items()}
    shapes |= {name: list(stored.info.shape) for name, stored in source.replaced.items()}
    return hashlib.sha256(json.dumps(shapes, sort_keys=True).encode()).hexdigest()


def expression_of(total: Sum) -> str:
    """Return the flattened sum with labels that may be published, what is subtracted last."""
    present = [term for term in total.terms if term.coefficient]
    parts = [(term.coefficient, term.leaf.written(_said) + term.mark) for term in present]
    return shown_sum(sorted(parts, key=lambda part: (part[0] < 0, part[1], part[0])))


def _said(label: str) -> str:
    """Return how an input is called in an expression: a single file by its name without the ending."""
    return plain_label(label).removesuffix(".safetensors")


def vector_metadata(total: Sum, base: Leaf | None) -> dict[str, str]:
    """Return the header metadata of a vector.

    Args:
        total: the sum the vector is.
        base: the checkpoint it was measured from, None where only vectors were combined.
    """
    parents = [_parent(leaf) for leaf in _leaves(total)]
    return {
        "weightarith.spec": SPEC,
        "weightarith.kind": "vector",
        "weightarith.base": json.dumps(_base(total, base), sort_keys=True),
        "weightarith.expression": expression_of(total),
        "weightarith.numerics": json.dumps(NUMERICS, sort_keys=True),
        "weightarith.parents": json.dumps(parents, sort_keys=True),
        "weightarith.tool": f"weightarith {version('weightarith')}",
    }


def sha256_in_cache(path: Path) -> str:
    """Return the SHA-256 of a large file in the Hub's cache, which calls its content so; else nothing.

    The Hub computed it; nothing is hashed here.
    https://huggingface.co/docs/huggingface_hub/guides/manage-cache#blobs
    """
    try:
        blob = path.readlink()
    except (OSError, ValueError):  # no link, and so no file of a cache
        return ""
    return blob.name if blob.parent.name == "blobs" and _SHA256.fullmatch(blob.name) else ""


def recorded_base(source: Source) -> dict[str, str]:
    """Return what a vector or an adapter says of its model: `name`, `revision`, `space`, if it says so."""
    if source.kind == "adapter" and source.config is not None:
        known = {
            "name": source.config.get("base_model_name_or_path"),
            "revision": source.config.get("revision"),
        }
        return {key: plain_name(value) for key, value in known.items() if isinstance(value, str) and value}
    text = source.metadata.get("weightarith.base", "")
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def plain_name(name: str) -> str:
    """Return a model's name as it may be published: `org/name` as it is, of a path its last part."""
    local = name.startswith(("/", ".", "~")) or name.count("/") > 1 or "\\" in name
    return plain_label(name) if local else name


def reversed_sign(minuend: Source, subtrahend: Source) -> str:
    """Return a warning where `A − B` looks like it was meant the other way round, else nothing.

    It does where B says that it was fine-tuned from A: its model card names A as `base_model`.
    """
    card = subtrahend.folder / "README.md" if subtrahend.folder is not None else None
    bases = _card_bases(_text(card)) if card is not None and card.is_file() else set()
    if bases & _names(minuend.path) or minuend.path.name in {plain_label(base) for base in bases}:
        return (
            f"{subtrahend.path.name} is recorded as a fine-tune of {minuend.path.name}, so the sign looks "
            f"reversed: a task vector is fine-tune − base, {subtrahend.path.name} − {minuend.path.name}"
        )
    return ""


def foreign_base(vector: Source, base: Source) -> str:
    """Return a warning where a vector says it was measured from a model of other tensors, else nothing."""
    recorded = recorded_base(vector)
    if recorded.get("space") in (None, space_of(base)):
        return ""
    return (
        f"{vector.path.name} was measured from {recorded.get('name', 'another model')}, whose tensors differ "
        f"from those of {base.path.name} in name or shape"
    )


def _names(path: Path) -> set[str]:
    """Return what a model card may call the model at `path`: its path, or its name on the Hub."""
    cached = (part.split("--") for part in path.parts if part.startswith("models--"))
    return {str(path), *("/".join(parts[1:]) for parts in cached)}


def _text(card: Path) -> str:
    try:
        with card.open(encoding="utf-8", errors="replace") as file:
            return file.read(CARD_LIMIT)
    except OSError:  # a card is only asked for a hint
        return ""


def _card_bases(card: str) -> set[str]:
    """Return the values of `base_model` in the front matter of a model card."""
    if not card.startswith("---"):
        return set()
    front = card.split("\n---", 1)[0].splitlines()
    found, inside = set(), False
    for line in front:
        key, _, value = line.partition(":")
        if key == "base_model":
            inside = True
            found |= {each.strip(" \"'[]") for each in value.split(",")}
        elif inside and line.lstrip().startswith("- "):
            found.add(line.strip(" -\"'"))
        else:
            inside = False
    return found - {""}


def _leaves(total: Sum) -> Iterable[Leaf]:
    present = (term.leaf for term in total.terms if term.coefficient)
    unique = {leaf.key: leaf for atom in present for leaf in atom.leaves}
    return sorted(unique.values(), key=lambda leaf: leaf.label)


def _parent(leaf: Leaf) -> dict[str, object]:
    return {
        "label": plain_label(leaf.label),
        "kind": leaf.source.kind,
        "space": space_of(leaf.source),
        "bytes": sum(info.nbytes for file in leaf.source.files for info in file.tensors.values()),
    }


def _base(total: Sum, base: Leaf | None) -> dict[str, str]:
    if base is not None:
        return _model(base)
    recorded = [recorded_base(leaf.source) for leaf in _leaves(total) if isinstance(leaf, Vector)]
    given = [
        leaf.base for leaf in _leaves(total) if isinstance(leaf, Vector) and isinstance(leaf.base, Checkpoint)
    ]
    if given:
        return _model(given[0])
    return recorded[0] if recorded and all(one == recorded[0] for one in recorded) else {}


def _model(leaf: Leaf) -> dict[str, str]:
    """Return what a header says of a model: its name and shapes, and repository and commit if known."""
    origin = leaf.source.origin
    if origin is None or leaf.source.edit:  # some layers of a repository are no model of that name
        return {"name": plain_label(leaf.label), "space": space_of(leaf.source)}
    known = {"repo": origin.repo, "revision": origin.revision}
    return {"name": plain_label(leaf.label), **known, "space": space_of(leaf.source)}
