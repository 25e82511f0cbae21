"""A mergekit document to the text of a recipe: the same merge, said in our words."""

from __future__ import annotations

import re
from collections.abc import Iterator

from weightarith.mergekit.checks import check_filters, check_numbers
from weightarith.mergekit.combine import combined
from weightarith.mergekit.document import Document, read_document
from weightarith.mergekit.layout import WIDTH, Call, Expression, Word, written
from weightarith.mergekit.naming import SLICE, Input, Names, inputs_of, name_inputs
from weightarith.mergekit.notes import notes
from weightarith.mergekit.parts import Part, parts_of
from weightarith.mergekit.reference import Reference
from weightarith.mergekit.slices import Layers
from weightarith.recipe.strictyaml import read_yaml

STEP = "  "
NEWLINE = "\n"
_PLAIN = re.compile(r"[A-Za-z0-9._/][A-Za-z0-9._/@+-]*")
_NO_TEXT = frozenset({"null", "Null", "NULL"})


def recipe_text(text: str, source: str, layers: Layers) -> str:
    """Return the recipe that does what a mergekit document asks for.

    Equal documents give equal recipes. Nothing is opened: paths and Hub ids are taken over as they stand.

    Args:
        text: the document.
        source: what errors call it.
        layers: the number of layers of a model, by its path or Hub id with `@revision`; asked only where a
            slice does not say its layers.

    Raises:
        RecipeError: the document means nothing, or holds what mergekit would ignore, with line and column.
        UnsupportedError: it asks for something that is not done here.
    """
    document = read_document(read_yaml(text, source), layers)
    parts = parts_of(document)
    for part in parts:
        check_numbers(part, document.method)
    check_filters(document)
    names = name_inputs(inputs_of(_references(document)), document.base)
    return "\n".join(_lines(document, parts, names)) + "\n"


def _references(document: Document) -> Iterator[Reference]:
    """Yield every model of a document, the base first."""
    if document.base:
        yield document.base
    for one in document.body.slices:
        if one.base:
            yield one.base
        yield from (source.model for source in one.sources)
    if document.tokenizer:
        yield document.tokenizer


def _lines(document: Document, parts: tuple[Part, ...], names: Names) -> Iterator[str]:
    yield f"# From a mergekit document, merge_method: {document.method.name}."
    for note in notes(document, parts):
        yield from (f"# {line}" for line in note.split("\n"))
    yield "weightarith: 1"
    yield "inputs:"
    for each, name in names.items():
        yield f"{STEP}{name}: {_input(each, names)}"
    merges = [combined(part, document.method, names) for part in parts]
    if len(merges) > 1 and document.method.name != "passthrough":
        yield "let:"
        for number, merge in enumerate(merges, 1):
            yield from _entry(f"{STEP}{SLICE}{number}", merge)
        merges = [Word(f"{SLICE}{number}") for number in range(1, len(merges) + 1)]
    yield from _entry("expression", Call("stack", tuple(merges)) if len(merges) > 1 else merges[0])
    yield from _output(document, names)


def _input(each: Input, names: Names) -> str:
    where = _scalar(str(each.weights))
    return f"{{adapter: {where}, base: {names[Input(each.of)]}}}" if each.of else where


def _entry(key: str, expression: Expression) -> Iterator[str]:
    """Yield a key and its expression, beside it where that fits."""
    inside = STEP * (1 + (len(key) - len(key.lstrip())) // len(STEP))
    lines = written(expression, WIDTH - len(inside))
    if len(lines) == 1 and len(key) + len(lines[0]) + 2 <= WIDTH:
        yield f"{key}: {lines[0]}"
        return
    yield f"{key}: |-"
    yield from (inside + line for line in lines)


def _output(document: Document, names: Names) -> Iterator[str]:
    yield "output:"
    if dtype := document.out_dtype or document.dtype:
        yield f"{STEP}dtype: {dtype}"
    like = document.base or document.body.slices[0].sources[0].model
    yield f"{STEP}like: {names[Input(like.model)]}"
    if document.tokenizer:
        yield f"{STEP}tokenizer: {names[Input(document.tokenizer.model)]}"
    if document.chat_template:
        yield from _template(document.chat_template)


def _template(text: str) -> Iterator[str]:
    """Yield the lines of a chat template: as they are where YAML can hold them so, else in quotes."""
    lines = text.removesuffix("\n").split("\n")
    if len(lines) == 1 or not lines[-1] or lines[0][:1] in ("", " ") or not all(map(str.isprintable, lines)):
        yield f"{STEP}chat_template: {_scalar(text)}"
        return
    yield f"{STEP}chat_template: {'|' if text.endswith(NEWLINE) else '|-'}"
    yield from (f"{STEP * 2}{line}" if line else "" for line in lines)


def _scalar(text: str) -> str:
    """Return a text as YAML, in quotes where it would mean something else without."""
    if _PLAIN.fullmatch(text) and text not in _NO_TEXT:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    return "\\n" if character == NEWLINE else f"\\U{ord(character):08x}"
