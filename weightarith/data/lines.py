"""JSON Lines, read strictly: every line is an object, and an error names file and line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from weightarith.errors import InvalidFileError, quoted

LARGEST = 256 << 20
"""Bytes of a file that is read; data sets for steering are far smaller."""

Made = TypeVar("Made")


@dataclass(frozen=True)
class Line:
    """One object, and where it stands."""

    path: Path
    number: int  # from 1
    content: Mapping[str, Any]

    def refuse(self, why: str, hint: str = "") -> NoReturn:
        """Raise InvalidFileError that says where.

        Raises:
            InvalidFileError: always.
        """
        raise InvalidFileError(f"{quoted(str(self.path))}, line {self.number}: {why}", hint=hint)

    def only(self, *known: str) -> None:
        """Refuse a key that is not among `known`."""
        for key in self.content:
            if key not in known:
                near = get_close_matches(key, known, 1)
                self.refuse(
                    f"unknown key {quoted(key)}, expected {', '.join(known)}",
                    f"did you mean {quoted(near[0])}?" if near else "",
                )

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text that is not blank; `default`, where there is one, if the key is absent."""
        if key not in self.content:
            if default is not None:
                return default
            self.refuse(f"no key {quoted(key)}; it has {', '.join(map(quoted, self.content)) or 'none'}")
        value = self.content[key]
        if not isinstance(value, str):
            self.refuse(f"{quoted(key)} is {_named(value)}, expected text")
        if not value.strip():
            self.refuse(f"{quoted(key)} is empty")
        if is_broken(value):
            self.refuse(f"{quoted(key)} holds half a character, a surrogate", "write it as UTF-8 text")
        return str(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of at least one text, none of them blank."""
        value = self.content.get(key)
        if not isinstance(value, list) or not value:
            self.refuse(f"{quoted(key)} is {_named(value)}, expected a list of texts")
        for item in value:
            if not isinstance(item, str) or not item.strip():
                self.refuse(f"{quoted(key)} holds {_named(item)}, expected texts that are not empty")
        return tuple(value)


def is_broken(text: str) -> bool:
    """Return whether a text holds half a character, which no file in UTF-8 can."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def read_lines(path: Path, make: Callable[[Line], Made]) -> list[Made]:
    """Return what `make` makes of every line; blank lines are refused, as is a file without lines.

    Raises:
        InvalidFileError: there is no such file, or a line is not an object of JSON, or `make` refuses it.
    """
    found = [make(line) for line in _lines(path)]
    if not found:
        raise InvalidFileError(
            f"{quoted(str(path))} holds no lines", hint="one JSON object a line is expected"
        )
    return found


def _lines(path: Path) -> list[Line]:
    text = _text(path)
    if text.endswith("\n"):
        text = text[:-1]
    return [_line(path, number, raw) for number, raw in enumerate(text.split("\n"), 1)] if text else []


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise InvalidFileError(f"{quoted(str(path))} is larger than {LARGEST >> 20} MiB")
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise InvalidFileError(f"cannot read {quoted(str(path))}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InvalidFileError(f"{quoted(str(path))} is not UTF-8: byte {error.start}") from None


def _line(path: Path, number: int, raw: str) -> Line:
    where = Line(path, number, {})
    if not raw.strip():
        where.refuse("the line is empty", "one JSON object a line is expected")
    try:
        content = json.loads(raw, object_pairs_hook=_once, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        where.refuse(f"no JSON: {error.msg} at column {error.colno}")
    except _TwiceError as error:
        where.refuse(f"the key {quoted(str(error))} stands there twice")
    except _NoNumberError as error:
        where.refuse(f"{error} is no number of JSON")
    except ValueError:  # an integer of more digits than Python reads
        where.refuse("a number is too long")
    except RecursionError:
        where.refuse("nested too deeply")
    if not isinstance(content, dict):
        where.refuse(f"{_named(content)}, expected an object")
    return Line(path, number, content)


class _TwiceError(Exception):
    """A key of an object stands there twice."""


class _NoNumberError(Exception):
    """NaN or an infinity, which Python writes and JSON has not."""


def _no_number(text: str) -> NoReturn:
    raise _NoNumberError(text)


def _once(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in items:
        if key in found:
            raise _TwiceError(key)
        found[key] = value
    return found


def _named(value: Any) -> str:
    kinds = {
        str: "text",
        bool: "a truth value",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    return "null or absent" if value is None else kinds.get(type(value), type(value).__name__)
