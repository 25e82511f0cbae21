"""The `inputs:` of a recipe: a name for each, opened by its headers.

Paths are relative to the recipe's folder; text that is no path there is looked for on the Hub. A plain text
is whatever lies there; `model:`, `vector:` or `adapter:` say what it must be. A `direction:` is no weights
but one tensor of one axis, for operators that take one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from weightarith.algebra import Checkpoint, Leaf, Linear, Vector
from weightarith.errors import WeightArithError, quoted, some
from weightarith.hub import Address, locate
from weightarith.operators.direction import Direction, open_direction
from weightarith.recipe.caret import listed, nearest
from weightarith.recipe.fields import mapping, table, text
from weightarith.recipe.naming import declared_names
from weightarith.recipe.strictyaml import Node, Place, Scalar
from weightarith.recipe.tokens import canonical
from weightarith.store import Source, open_afar, open_source, open_streamed
from weightarith.store.source import Kind as SourceKind

Kind = Literal["checkpoint", "vector", "adapter", "direction"]

KINDS: dict[str, Kind] = {
    "model": "checkpoint",
    "vector": "vector",
    "adapter": "adapter",
    "direction": "direction",
}
KEYS = (*KINDS, "minus", "base")
DEFAULT_BASE = "base"


@dataclass(frozen=True)
class Declared:
    """One entry as it is written: where it lies, what it must be, and the inputs it refers to."""

    name: str
    where: str
    kind: Kind | None
    place: Place
    minus: str = ""
    base: str = ""


def read_inputs(node: Node) -> dict[str, Declared]:
    """Return every entry by name, in the order of the file; nothing is opened.

    Raises:
        RecipeError: an entry is not as it should be, or refers to an input that there is not.
    """
    names = declared_names(mapping(node, "inputs"))
    if not names:
        raise node.place.error("no inputs", hint="inputs: {base: ./base, v: ./v.safetensors}")
    declared = {name: _declared(name, entry.value) for name, entry in names.items()}
    for each in declared.values():
        _check_references(each, declared)
    return declared


@dataclass(frozen=True)
class Given:
    """Where an input lies, in place of where the recipe says, and what it is called in what is made of it.

    Attributes:
        path: on this machine.
        label: what it is called.
        origin: where on the Hub it is known to come from.
        afar: where on the Hub its weights are read, in place of `path`.
    """

    path: Path
    label: str = ""
    origin: Address | None = None
    afar: Address | None = None


Places = Mapping[str, Given]
"""Inputs that are given, by name; the others lie where the recipe says."""


def open_inputs(
    declared: Mapping[str, Declared],
    folder: Path,
    given: Places = MappingProxyType({}),
    *,
    stream: bool = False,
) -> dict[str, Leaf]:
    """Return every input by name; headers are read, tensors are not.

    With `stream` the weights of those that are on the Hub stay there.

    Raises:
        RecipeError: an adapter needs a base, or has one that is no model.
        InvalidFileError: a file is not what its name, header or index says.
        UnsupportedError: what lies there is of another kind than asked for, or in a layout that is not read.
    """
    weights = {name: each for name, each in declared.items() if each.kind != "direction"}
    sources = {name: _open(each, folder, given, stream=stream) for name, each in weights.items()}
    models = {
        name: Checkpoint(source, _label(name, given))
        for name, source in sources.items()
        if source.kind == "checkpoint"
    }
    return {
        name: models.get(name) or _vector(each, sources[name], models, _label(name, given))
        for name, each in weights.items()
    }


def open_directions(
    declared: Mapping[str, Declared], folder: Path, given: Places = MappingProxyType({})
) -> dict[str, Direction]:
    """Return every direction by name, read in full.

    Raises:
        InvalidFileError: a file is not what its header says.
        UnsupportedError: what lies there is no direction.
    """
    found = {}
    for name, each in declared.items():
        if each.kind == "direction":
            with _pointing(each):
                found[name] = open_direction(_place(each, folder, given), _label(name, given))
    return found


def meaning(each: Declared, leaves: Mapping[str, Leaf]) -> Linear:
    """Return what the name of an input stands for: the input, or its difference to another."""
    return leaves[each.name] - leaves[each.minus] if each.minus else leaves[each.name]


def needs(each: Declared, leaves: Mapping[str, Leaf]) -> tuple[str, ...]:
    """Return the other inputs that an input is read beside."""
    leaf = leaves[each.name]
    base = leaf.base if isinstance(leaf, Vector) else None
    return tuple(name for name, other in leaves.items() if name == each.minus or (base and other is base))


def _declared(name: str, node: Node) -> Declared:
    if isinstance(node, Scalar):
        return Declared(name, text(node, f"a path for {name}"), None, node.place)
    entry = table(node, f"input {name}", KEYS)
    said = [key for key in KINDS if key in entry]
    if len(said) != 1:
        has = f"this has {' and '.join(said)}" if said else "this has none"
        raise node.place.error(f"input {name} needs one of {listed(KINDS)}; {has}")
    if "base" in entry and said[0] != "adapter":
        message = f"base belongs to an adapter, and {name} is a {said[0]}"
        raise entry["base"].place.error(message, hint="minus: makes a difference")
    where = entry[said[0]].value
    minus, base = (
        canonical(text(entry[key].value, f"the name of an input for {key}")) if key in entry else ""
        for key in ("minus", "base")
    )
    return Declared(name, text(where, f"a path for {name}"), KINDS[said[0]], where.place, minus, base)


def _check_references(each: Declared, declared: Mapping[str, Declared]) -> None:
    others = [name for name in declared if name != each.name]
    for key, other in (("minus", each.minus), ("base", each.base)):
        if other and other not in others:
            what = "itself" if other == each.name else f"{quoted(other)}, which is no input"
            message = f"{key} of {each.name} is {what}; other inputs are {listed(others) or 'none'}"
            raise each.place.error(message, hint=nearest(other, others))
    if each.minus and declared[each.minus].minus:
        message = f"minus of {each.name} is {each.minus}, which is a difference itself"
        raise each.place.error(message, hint="name a difference of differences under let:")


def open_given(given: Given, kind: SourceKind | None) -> Source:
    """Return what is given, opened; where it is known to come from the Hub, it says so.

    Raises:
        WeightArithError: see `store.open_source`.
    """
    if given.afar is not None:
        return open_afar(given.afar, kind)
    source = open_source(given.path, kind)
    return source if given.origin is None else replace(source, origin=given.origin)


def _open(each: Declared, folder: Path, given: Places, *, stream: bool) -> Source:
    kind = each.kind if each.kind != "direction" else None
    with _pointing(each):
        if each.name in given:
            return open_given(given[each.name], kind)
        path = _path(each.where, folder)
        if path is not None:
            return open_source(path, kind)
        return open_streamed(each.where, kind) if stream else open_source(locate(each.where), kind)


def _place(each: Declared, folder: Path, given: Places) -> Path:
    return given[each.name].path if each.name in given else _path(each.where, folder) or locate(each.where)


def _label(name: str, given: Places) -> str:
    return (given[name].label if name in given else "") or name


@contextmanager
def _pointing(each: Declared) -> Iterator[None]:
    """Put the line of the recipe in front of an error."""
    try:
        yield
    except WeightArithError as error:
        raise type(error)(f"{each.place}: input {each.name}: {error.message}", hint=error.hint) from error


def _path(where: str, folder: Path) -> Path | None:
    """Return the path that `where` is, None where it is none."""
    path = folder / where
    try:
        return path if where.startswith((".", "/")) or path.exists() else None
    except OSError:  # too long for a path, and so no path
        return None


def _vector(each: Declared, source: Source, models: Mapping[str, Checkpoint], label: str) -> Vector:
    wanted = each.base or (DEFAULT_BASE if source.replaced else "")
    base = models.get(wanted)
    if wanted and base is None:
        message = f"base of {each.name} is {each.base}, which is no model"
        if not each.base:
            message = (f"{each.name} holds fully trained tensors, {some(sorted(source.replaced), 2)}: "
                       "what they change is known only beside the model it was trained on")  # fmt: skip
        hint = f"{{adapter: {each.where}, base: NAME}} where NAME is an input that is a model"
        raise each.place.error(message, hint=hint)
    return Vector(source, label, base)
