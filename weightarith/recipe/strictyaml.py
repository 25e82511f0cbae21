"""A strict reading of YAML: tables, lists and scalars, each with its place in the file, and nothing else.

No scalar is given a type here: `1e-3`, `no` and `012` are these characters, and what is wanted where they
stand decides whether they are a number or a word. Aliases, anchors, tags, directives, several documents,
duplicate keys and whatever is too large, too deep or not plain text are refused, all with line and column.

YAML 1.2.2, https://yaml.org/spec/1.2.2/ (its failsafe schema, without tags)
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import yaml

from weightarith.errors import RecipeError, quoted

LARGEST = 1_000_000
MOST_NODES = 10_000
DEEPEST = 20

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # only its events are used: no object is ever built
_HIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file, line and column counted from 1 in characters."""

    source: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}"

    def error(self, message: str, *, hint: str = "") -> RecipeError:
        """Return an error about what stands here."""
        return RecipeError(f"{self}: {message}", hint=hint)


@dataclass(frozen=True, slots=True)
class Scalar:
    """Text as it is meant; `plain` where no quotes were around it.

    `lines` has the place where each line of `text` stands in the file; it is empty where the two differ
    (folded lines, escapes).
    """

    text: str
    place: Place
    plain: bool
    lines: tuple[Place, ...] = ()

    def where(self, offset: int) -> Place:
        """Return the place of `text[offset]`, or that of the scalar where lines were folded."""
        if not self.lines:
            return self.place
        before = self.text[:offset].split("\n")
        start = self.lines[len(before) - 1]
        return Place(start.source, start.line, start.column + len(before[-1]))


@dataclass(frozen=True, slots=True)
class Listing:
    """A sequence."""

    items: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping, in the order of the file."""

    entries: dict[str, Entry]
    place: Place


@dataclass(frozen=True, slots=True)
class Entry:
    """A value of a mapping, and where its key stands."""

    place: Place
    value: Node


Node = Scalar | Listing | Table


def decoded(data: bytes, source: str) -> str:
    """Return the text that `data` is in UTF-8; `source` names it in errors.

    Raises:
        RecipeError: it is not UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        place = _end_of(data[: error.start].decode(), source)
        raise place.error(f"byte 0x{data[error.start]:02x} is not UTF-8", hint="save it as UTF-8") from None


def read_yaml(text: str, source: str) -> Node:
    """Return the one document in `text`; `source` names it in errors.

    Raises:
        RecipeError: it is no YAML, or YAML that is not accepted here.
    """
    start = Place(source, 1, 1)
    if len(text) > LARGEST:
        raise start.error(f"{len(text)} characters; at most {LARGEST} are read")
    if text.startswith("\ufeff"):
        raise start.error("a byte order mark", hint="save it as UTF-8 without BOM")
    if hidden := _HIDDEN.search(text):
        good = text[: hidden.start()].replace("\r\n", "\n").replace("\r", "\n")
        raise _end_of(good, source).error(f"control character U+{ord(hidden[0]):04X}")
    composer = _Composer(source, text.splitlines(), yaml.parse(text, Loader=_LOADER))
    try:
        return composer.document()
    except yaml.MarkedYAMLError as error:
        place = composer.place(error.problem_mark or error.context_mark)
        message = f"not YAML: {error.problem or error.context}"
        raise place.error(message, hint=_quoting(error.problem)) from None
    except yaml.YAMLError as error:
        raise start.error(f"not YAML: {error}") from None


class _Mark(Protocol):
    """What both of PyYAML's parsers, in C and in Python, say of a place."""

    line: int
    column: int


@dataclass
class _Composer:
    """Turns events into nodes and counts them."""

    source: str
    lines: list[str]
    events: Iterator[yaml.Event]
    nodes: int = 0

    def document(self) -> Node:
        next(self.events)  # the start of the stream
        event = next(self.events)
        if not isinstance(event, yaml.DocumentStartEvent):
            raise Place(self.source, 1, 1).error("nothing in it")
        if event.version or event.tags:
            raise self.place(event.start_mark).error(
                "a YAML directive, which has no use here", hint="leave it out"
            )
        node = self.node(next(self.events), 0)
        next(self.events)  # the end of the document
        event = next(self.events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise self.place(event.start_mark).error("a second document", hint="one recipe a file")
        return node

    def node(self, event: yaml.Event, depth: int) -> Node:
        place = self.place(event.start_mark)
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise place.error(f"more than {MOST_NODES} values")
        if depth > DEEPEST:
            raise place.error(f"nested more than {DEEPEST} deep")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise place.error("an anchor or alias (& or *), which are not accepted", hint=_LITERAL)
        if tag := getattr(event, "tag", None):
            raise place.error(f"a tag ({quoted(tag)}), which is not accepted", hint=_LITERAL)
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            items = _until(self.events, yaml.SequenceEndEvent)
            return Listing(tuple(self.node(item, depth + 1) for item in items), place)
        return self.table(place, depth)

    def table(self, place: Place, depth: int) -> Table:
        entries: dict[str, Entry] = {}
        for event in _until(self.events, yaml.MappingEndEvent):
            key = self.node(event, depth + 1)
            if not isinstance(key, Scalar):
                raise key.place.error("a key must be a word", hint=_LITERAL)
            if key.text in entries:
                raise key.place.error(
                    f"key {quoted(key.text)} occurs twice, first in line {entries[key.text].place.line}"
                )
            entries[key.text] = Entry(key.place, self.node(next(self.events), depth + 1))
        return Table(entries, place)

    def scalar(self, event: yaml.ScalarEvent) -> Scalar:
        place = self.place(event.start_mark)
        return Scalar(event.value, place, not event.style, self.line_places(event, place))

    def line_places(self, event: yaml.ScalarEvent, place: Place) -> tuple[Place, ...]:
        if event.style == "|":
            rows = enumerate(event.value.split("\n"), place.line)
            columns = [(row, self.line(row).find(text)) for row, text in rows]
            last = len(self.lines)
            return tuple(
                Place(self.source, min(row + 1, last), max(column, 0) + 1) for row, column in columns
            )
        start = place.column - 1 + len(event.style or "")
        written = self.line(place.line - 1)[start : start + len(event.value)]
        if event.style == ">" or "\n" in event.value or written != event.value:
            return ()
        return (Place(self.source, place.line, start + 1),)

    def line(self, row: int) -> str:
        return self.lines[row] if row < len(self.lines) else ""

    def place(self, mark: _Mark | None) -> Place:
        """Return the place of a mark; behind the last line it is the end of that line."""
        if mark is None:
            return Place(self.source, 1, 1)
        if mark.line >= len(self.lines) > 0:
            return Place(self.source, len(self.lines), len(self.lines[-1]) + 1)
        return Place(self.source, mark.line + 1, mark.column + 1)


_LITERAL = "write the value itself; quote a text that starts with & * or !"


def _quoting(problem: str | None) -> str:
    return "put a text that holds ': ' or starts with a mark such as * @ ` % in quotes" if problem else ""


def _until(events: Iterator[yaml.Event], end: type[yaml.Event]) -> Iterator[yaml.Event]:
    return itertools.takewhile(lambda event: not isinstance(event, end), events)


def _end_of(text: str, source: str) -> Place:
    return Place(source, text.count("\n") + 1, len(text) - text.rfind("\n"))
