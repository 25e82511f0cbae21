"""The JSON text of a header, read member by member: what is accepted here, every other reader accepts.

Stricter than the format on purpose, for headers come from strangers: a name twice, an unknown field, a
control character in a name or an absurd number is refused. One member is decoded at a time and none may be
long, so that a hostile header costs no more time and memory than an honest one of its size.

https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from math import prod
from typing import Any, NoReturn

from weightarith.errors import quoted
from weightarith.tensorfile.dtypes import DTYPES
from weightarith.tensorfile.model import TensorInfo

LENGTH_BYTES = 8  # the length of the JSON text, little-endian, stands in front of it
METADATA = "__metadata__"
MAX_TENSORS = 1_000_000
MAX_NAME = 1024  # bytes of UTF-8
MAX_RANK = 16
_LONGEST_ENTRY = 2048  # characters: 18 numbers of 19 digits, the three fields, and space to spare
_LARGEST = 2**63 - 1
_MOST_DIGITS = 19

_FIELDS = frozenset({"dtype", "shape", "data_offsets"})
# Control characters, line separators, bidirectional overrides, lone surrogates.
_HOSTILE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SPACE = re.compile(r"[ \t\n\r]*")
_COLON = re.compile(r"[ \t\n\r]*:[ \t\n\r]*")
_NEXT = re.compile(r"[ \t\n\r]*(?:,[ \t\n\r]*(?=\")|(\}))")


class HeaderError(ValueError):
    """A rule that a header breaks; whoever knows the name of the file adds it."""


def flaw_of_name(name: str) -> str:
    """Return why `name` cannot name a tensor, or "" where it can."""
    if not name:
        return "the name is empty"
    if name == METADATA:
        return "the name is kept for the metadata"
    if found := _HOSTILE.search(name):
        return f"the name holds the control character U+{ord(found[0]):04X}"
    size = len(name.encode())
    return f"the name takes {size:,} bytes; at most {MAX_NAME:,} are read" if size > MAX_NAME else ""


def parse_entries(text: str, data: int) -> tuple[dict[str, TensorInfo], dict[str, str]]:
    """Return the tensors in the order of their offsets, and the metadata, of the header `text`.

    Args:
        text: JSON, from the opening brace on.
        data: where the data begins, in bytes from the beginning of the file.

    Raises:
        HeaderError: what is wrong, and with which tensor.
    """
    tensors: dict[str, TensorInfo] = {}
    metadata: dict[str, str] | None = None

    def member(name: str, start: int) -> int:
        nonlocal metadata
        if name in tensors or (name == METADATA and metadata is not None):
            raise _twice(name)
        if name == METADATA:
            metadata, stop = _metadata(text, start)
            return stop
        if len(tensors) == MAX_TENSORS:
            raise HeaderError(f"its header names more than {MAX_TENSORS:,} tensors")
        entry, stop = _entry(name, text, start)
        tensors[name] = _tensor(name, entry, data)
        return stop

    end = _members(text, 0, member)
    if text[end:].strip(" \t\n\r"):
        raise HeaderError(f"its header goes on after its closing brace, at character {end:,}")
    if _gap(tensors, data):
        tensors = dict(sorted(tensors.items(), key=lambda item: (item[1].start, item[1].stop)))
        if gap := _gap(tensors, data):
            raise gap
    return tensors, metadata or {}


def _members(text: str, start: int, member: Callable[[str, int], int]) -> int:
    """Hand each name of an object, and where its value begins, to `member`; it says where the value ends."""
    if not text.startswith("{", start):
        raise _no_json(text, start, "an object")
    at = _end(_SPACE, text, start + 1, "")
    if text.startswith("}", at):
        return at + 1
    while True:
        name, at = _string(text, at, "a name in quotes")
        at = member(name, _end(_COLON, text, at, "a colon"))
        following = _NEXT.match(text, at)
        if following is None:
            raise _no_json(text, at, "a comma and a name in quotes, or a closing brace")
        at = following.end()
        if following[1]:
            return at


def _end(pattern: re.Pattern[str], text: str, at: int, expected: str) -> int:
    found = pattern.match(text, at)
    if found is None:
        raise _no_json(text, at, expected)
    return found.end()


def _string(text: str, at: int, expected: str) -> tuple[str, int]:
    if not text.startswith('"', at):
        raise _no_json(text, at, expected)
    try:
        found, end = _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise HeaderError(
            f"its header is not JSON at character {error.pos:,}: {error.msg.lower()}"
        ) from error
    return found, end


def _metadata(text: str, start: int) -> tuple[dict[str, str], int]:
    if text.startswith("null", start):
        return {}, start + len("null")
    found: dict[str, str] = {}

    def member(name: str, at: int) -> int:
        if name in found:
            raise _twice(name)
        if len(found) == MAX_TENSORS:
            raise HeaderError(f"its {METADATA} has more than {MAX_TENSORS:,} entries")
        found[name], end = _string(text, at, f"text for {quoted(name)} of {METADATA}")
        try:
            (name + found[name]).encode()
        except UnicodeEncodeError:
            raise HeaderError(
                f"{quoted(name)} of {METADATA} holds a lone surrogate, which is no text"
            ) from None
        return end

    return found, _members(text, start, member)


def _entry(name: str, text: str, start: int) -> tuple[dict[str, Any], int]:
    # The fields of an honest entry hold no brace, so that it ends at the first one.
    stop = text.find("}", start, start + _LONGEST_ENTRY) + 1
    if not stop or not text.startswith("{", start):
        raise _wrong_entry(name)
    try:
        entry, _ = _DECODER.raw_decode(text[start:stop])
    except (json.JSONDecodeError, RecursionError) as error:
        raise _wrong_entry(name) from error
    except HeaderError as error:
        raise _flawed(name, str(error)) from error
    return entry, stop


def _tensor(name: str, entry: dict[str, Any], data: int) -> TensorInfo:
    # The first test is a fast one that most names pass: no character takes more than 4 bytes.
    if (not name.isprintable() or not 0 < len(name) <= MAX_NAME // 4) and (flaw := flaw_of_name(name)):
        raise _flawed(name, flaw)
    if entry.keys() != _FIELDS:
        raise _wrong_entry(name)
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    dtype = DTYPES.get(code) if type(code) is str else None
    if dtype is None:
        raise _flawed(name, f"unknown dtype {quoted(code)}" if type(code) is str else "its dtype is no text")
    if type(shape) is not list or len(shape) > MAX_RANK:
        raise _flawed(name, f"its shape is no list of at most {MAX_RANK} sizes")
    if type(offsets) is not list or len(offsets) != 2:
        raise _flawed(name, "its data_offsets are not two numbers")
    for number in (*shape, *offsets):
        if type(number) is not int or number > _LARGEST:
            raise _flawed(name, _RANGE)
    begin, end = offsets
    bits = prod(shape) * dtype.bits
    if bits != (end - begin) * 8:
        raise _wrong_extent(name, code, shape, bits, begin, end)
    if not bits and prod(size or 1 for size in shape) * dtype.bits > _LARGEST:
        raise _flawed(name, f"its shape {shape} is empty, and yet too large for other readers")
    return TensorInfo(dtype, tuple(shape), data + begin, data + end)


def _gap(tensors: dict[str, TensorInfo], data: int) -> HeaderError | None:
    end, before = data, ""
    for name, info in tensors.items():
        if info.start != end:
            begins, expected = info.start - data, end - data
            place = f"where {quoted(before)} ends" if before else "where the data begins"
            how = "a hole lies before it" if begins > expected else "tensors overlap"
            return _flawed(name, f"it begins at {begins:,}, not at {expected:,} {place}: {how}")
        end, before = info.stop, name
    return None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise _twice(max(names, key=names.count))
    return found


def _natural(digits: str) -> int:
    if len(digits) > _MOST_DIGITS or digits[0] == "-":
        raise HeaderError(_RANGE)
    return int(digits)


def _no_number(_: str) -> NoReturn:
    raise HeaderError(_RANGE)


def _twice(name: str) -> HeaderError:
    return HeaderError(f"{quoted(name)} stands twice in one place, and readers disagree on which one counts")


def _flawed(name: str, why: str) -> HeaderError:
    return HeaderError(f"tensor {quoted(name)}: {why}")


def _wrong_entry(name: str) -> HeaderError:
    return _flawed(name, "its entry is not dtype, shape and data_offsets and nothing else")


def _wrong_extent(name: str, code: str, shape: list[int], bits: int, begin: int, end: int) -> HeaderError:
    takes = f"{bits // 8:,} bytes" if bits % 8 == 0 else f"{bits:,} bits"
    spans = f"its data_offsets {begin} to {end} span {end - begin:,} bytes"
    return _flawed(name, f"{code} {shape} takes {takes}, and {spans}")


def _no_json(text: str, at: int, expected: str) -> HeaderError:
    found = quoted(text[at : at + 20]) if text[at:] else "its end"
    return HeaderError(f"its header needs {expected} at character {at:,}, and has {found}")


_RANGE = "only whole numbers from 0 to 2^63 - 1 have a meaning in shape and data_offsets"
_DECODER = json.JSONDecoder(
    object_pairs_hook=_without_duplicates,
    parse_int=_natural,
    parse_float=_no_number,
    parse_constant=_no_number,
)
