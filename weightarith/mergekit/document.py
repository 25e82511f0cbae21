"""A mergekit document, read: every key known, every value what is wanted where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from weightarith.errors import quoted
from weightarith.mergekit.chat import read_template
from weightarith.mergekit.methods import METHODS, Method
from weightarith.mergekit.parameters import Settings, read_settings
from weightarith.mergekit.reference import Reference, read_reference
from weightarith.mergekit.refusals import read_table, refuse_other_documents, unsupported
from weightarith.mergekit.slices import KINDS, Body, Layers, read_body
from weightarith.recipe.caret import nearest
from weightarith.recipe.fields import choice, text
from weightarith.recipe.strictyaml import Entry, Node, Place, Scalar, Table

KEYS = (
    "merge_method", *KINDS, "base_model", "parameters", "dtype", "out_dtype",
    "tokenizer_source", "tokenizer", "chat_template",
)  # fmt: skip
OURS = "weightarith"

Dtype = Literal["float32", "bfloat16", "float16", "float64"]
DTYPES: tuple[Dtype, ...] = ("float32", "bfloat16", "float16", "float64")


@dataclass(frozen=True)
class Document:
    """What a mergekit document says.

    Attributes:
        method: what is done with the models.
        place: where the method stands.
        base: the base model of the document; a slice may have another.
        body: the slices.
        settings: the parameters at the top.
        dtype: what mergekit computes in; empty where nothing is said.
        out_dtype: what the result is stored in; empty where nothing is said.
        tokenizer: the model whose tokenizer the result gets, if said.
        chat_template: `auto`, the text of a template, or empty.
    """

    method: Method
    place: Place
    base: Reference | None
    body: Body
    settings: Settings
    dtype: str
    out_dtype: str
    tokenizer: Reference | None
    chat_template: str


def is_mergekit(document: Node) -> bool:
    """Return whether a YAML document is one of mergekit's, of any of its tools, and not a recipe of ours."""
    if not isinstance(document, Table) or OURS in document.entries:
        return False
    return any(key in document.entries for key in ("merge_method", *KINDS, "experts", "genome"))


def read_document(node: Node, layers: Layers) -> Document:
    """Return what a document says.

    Args:
        node: the document.
        layers: the number of layers of a model, asked only where a slice does not say its layers.

    Raises:
        RecipeError: a key or a value means nothing, or would be ignored by mergekit.
        UnsupportedError: it is understood, and not supported.
    """
    refuse_other_documents(node)
    entries = read_table(node, "a mergekit document", KEYS, ("merge_method",))
    method = _method(entries["merge_method"].value)
    base = read_reference(entries["base_model"].value, "a model") if "base_model" in entries else None
    settings = read_settings(entries.get("parameters"), method, of_model=False)
    dtype, out_dtype = (_dtype(entries, key) for key in ("dtype", "out_dtype"))
    template = read_template(entries["chat_template"].value) if "chat_template" in entries else ""
    tokenizer = _tokenizer(entries, base)
    body = read_body(entries, method, layers, node.place)
    place = entries["merge_method"].place
    return Document(method, place, base, body, settings, dtype, out_dtype, tokenizer, template)


def _method(node: Node) -> Method:
    name = text(node, "a merge method")
    if name not in METHODS:
        hint = nearest(name, METHODS) or nearest(name.lower().replace("-", "_"), METHODS)
        raise node.place.error(
            f"unknown merge_method {quoted(name)}; there are {', '.join(METHODS)}", hint=hint
        )
    return METHODS[name]


def _dtype(entries: Mapping[str, Entry], key: str) -> str:
    if key not in entries:
        return ""
    node = entries[key].value
    if isinstance(node, Scalar) and node.text.startswith("torch."):
        node = Scalar(node.text.removeprefix("torch."), node.place, node.plain)
    return choice(node, key, DTYPES)


def _tokenizer(entries: Mapping[str, Entry], base: Reference | None) -> Reference | None:
    if "tokenizer" in entries and "tokenizer_source" in entries:
        place = entries["tokenizer_source"].place
        raise place.error("tokenizer and tokenizer_source: there can be one of them only")
    if "tokenizer_source" in entries:
        return _tokenizer_source(entries["tokenizer_source"], "tokenizer_source", base)
    if "tokenizer" not in entries:
        return None
    place, node = entries["tokenizer"].place, entries["tokenizer"].value
    for key, entry in node.entries.items() if isinstance(node, Table) else ():
        if key in ("tokens", "pad_to_multiple_of"):
            raise unsupported(entry.place, f"tokenizer: {key}", "tokenizer_source: base")
    parts = read_table(node, "tokenizer", ("source",), parameters=False)
    if "source" not in parts:
        raise unsupported(place, "a tokenizer without source, which is a union of all tokenizers,",
                          "tokenizer_source: base")  # fmt: skip
    return _tokenizer_source(parts["source"], "tokenizer: source", base)


def _tokenizer_source(entry: Entry, key: str, base: Reference | None) -> Reference:
    word = entry.value.text if isinstance(entry.value, Scalar) else ""
    if word == "union":
        hint = "tokenizer_source: base, or that of a model, where their tokens are the same"
        raise unsupported(entry.place, f"{key}: union, a tokenizer made of all of them,", hint)
    if word != "base":
        return read_reference(entry.value, "a model, or base")
    if base is None:
        raise entry.place.error(f"{key}: base, and there is no base_model", hint="base_model: …")
    return base
