"""The `models:`, `slices:` and `modules:` of a mergekit document: which layers of which models are merged.

Whatever is wanted is brought into one form, slices of sources; a list of models is one slice of all layers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from weightarith.errors import quoted
from weightarith.mergekit.methods import Method
from weightarith.mergekit.parameters import Settings, read_settings
from weightarith.mergekit.reference import Reference, read_reference
from weightarith.mergekit.refusals import read_table, unsupported
from weightarith.recipe.caret import listed
from weightarith.recipe.fields import found, listing, mapping
from weightarith.recipe.strictyaml import Entry, Listing, Node, Place, Scalar

KINDS = ("models", "slices", "modules")
MODULE = "default"
"""What mergekit calls the only module of a model that has one."""

Layers = Callable[[str], int]


@dataclass(frozen=True)
class Layered:
    """Layers `first` up to, but not including, `stop`."""

    first: int
    stop: int

    @property
    def count(self) -> int:
        """How many they are."""
        return self.stop - self.first


@dataclass(frozen=True)
class Source:
    """A model, or some of its layers, with the parameters that are its own."""

    model: Reference
    layers: Layered | None
    settings: Settings
    place: Place


@dataclass(frozen=True)
class Slice:
    """Sources that become the same layers of the result; `base` where it is another than the document's."""

    sources: tuple[Source, ...]
    base: Reference | None
    settings: Settings
    place: Place


@dataclass(frozen=True)
class Body:
    """All slices in order, and the parameters of the module they are in."""

    slices: tuple[Slice, ...]
    settings: Settings
    of_models: bool


def read_body(entries: dict[str, Entry], method: Method, layers: Layers, place: Place) -> Body:
    """Return what a document, or a module of it, is made of.

    Raises:
        RecipeError: it has not exactly one of models, slices and modules, or one means nothing.
        UnsupportedError: there are several modules, or another than the only one of a plain model.
    """
    said = [kind for kind in KINDS if kind in entries]
    if len(said) != 1:
        has = f"this has {' and '.join(said)}" if said else "this has none"
        where = entries[said[1]].place if said else place
        raise where.error(f"a merge needs exactly one of models, slices and modules; {has}")
    node = entries[said[0]].value
    if said[0] == "modules":
        return _module(node, method, layers)
    if said[0] == "models":
        sources = tuple(_source(item, method, whole=True) for item in listing(node, "models"))
        return Body((Slice(sources, None, {}, node.place),), {}, of_models=True)
    slices = tuple(_slice(item, method) for item in listing(node, "slices"))
    return Body(tuple(_filled(each, len(slices) > 1, layers) for each in slices), {}, of_models=False)


def _module(node: Node, method: Method, layers: Layers) -> Body:
    modules = mapping(node, "modules")
    for name, entry in modules.items():
        if name != MODULE:
            raise unsupported(
                entry.place,
                f"module {quoted(name)} of a model of several",
                f"a model of one module has {MODULE}; or write models: or slices: without modules:",
            )
    if not modules:
        raise node.place.error("no modules", hint=f"modules: {{{MODULE}: {{models: …}}}}")
    entry = modules[MODULE]
    known = (*KINDS[:2], "parameters")
    entries = read_table(entry.value, f"module {MODULE}", known)
    body = read_body(entries, method, layers, entry.value.place)
    settings = read_settings(entries.get("parameters"), method, of_model=False)
    return Body(body.slices, settings, body.of_models)


def _slice(node: Node, method: Method) -> Slice:
    entries = read_table(node, "a slice", ("sources", "base_model", "parameters"), ("sources",))
    sources = tuple(
        _source(item, method, whole=False) for item in listing(entries["sources"].value, "sources")
    )
    base = entries.get("base_model")
    settings = read_settings(entries.get("parameters"), method, of_model=False)
    return Slice(sources, read_reference(base.value, "a model") if base else None, settings, node.place)


def _source(node: Node, method: Method, *, whole: bool) -> Source:
    keys = ("model", "parameters") if whole else ("model", "layer_range", "parameters")
    entries = read_table(node, "a model" if whole else "a source", keys, ("model",))
    model = read_reference(entries["model"].value, "a model")
    settings = read_settings(entries.get("parameters"), method, of_model=True)
    layers = _range(entries["layer_range"].value) if "layer_range" in entries else None
    return Source(model, layers, settings, node.place)


def _range(node: Node) -> Layered:
    items = node.items if isinstance(node, Listing) else ()
    ends = [item.text for item in items if isinstance(item, Scalar)]
    if len(items) != 2 or len(ends) != 2 or not all(re.fullmatch("[0-9]{1,6}", end) for end in ends):
        shown = listed([found(item) for item in items]) if items else found(node)
        raise node.place.error(
            f"expected two layers, the first and the one behind the last, found {shown}",
            hint="layer_range: [0, 16]",
        )
    first, stop = map(int, ends)
    if first >= stop:
        raise node.place.error(f"layers {first} up to, not including, {stop} are none")
    return Layered(first, stop)


def _filled(one: Slice, several: bool, layers: Layers) -> Slice:
    """Return a slice in which every source says its layers, unless the whole models are meant."""
    if not several and not any(source.layers for source in one.sources):
        return one
    sources = tuple(
        source if source.layers else Source(
            source.model, Layered(0, layers(str(source.model.model))), source.settings, source.place
        )
        for source in one.sources
    )  # fmt: skip
    for source in sources[1:]:
        theirs, first = source.layers, sources[0].layers
        if theirs and first and theirs.count != first.count:
            raise source.place.error(
                f"{theirs.count} layers, and the first source of the slice has {first.count}"
            )
    return Slice(sources, one.base, one.settings, one.place)
