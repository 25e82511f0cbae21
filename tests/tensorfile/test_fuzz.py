"""Damaged files by the thousand: refused with a reason, or read as the reference parser reads them."""

from __future__ import annotations

import json
import random
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, deserialize

from weightarith.errors import WeightArithError
from weightarith.tensorfile.dtypes import DTYPES
from weightarith.tensorfile.header import read_header
from weightarith.tensorfile.model import TensorFile

# The only reasons to refuse what the reference parser of the format accepts.
STRICTER = re.compile(
    "stands twice in one place|the name is empty|holds the control character|the name takes|"
    "its entry is not dtype, shape and data_offsets and nothing else|too large for other readers|"
    r"no list of at most 16 sizes|whole numbers from 0 to 2\^63 - 1|begin .* no header"
)
HOSTILE: list[Any] = [
    *(-1, 0, 1, 2, 3, 8, 2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**30),
    *(
        True,
        False,
        None,
        1.0,
        0.5,
        float("nan"),
        float("inf"),
        "",
        "F32",
        "1",
        [],
        {},
        [0],
        [0, 4],
        [[0]],
        {"a": 1},
    ),
]
NAMES = [
    "",
    "a",
    "b",
    "__metadata__",
    "\x00",
    "\x1b[31m",
    "\u202e",
    "é",
    "../../x",
    "dtype",
    "x" * 1025,
    "\ud800",
]
PIECES = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b":",
    b",",
    b"\\",
    b"\x00",
    b" ",
    b"\n",
    b"-0",
    b"1e9",
    b"00",
    b"\\ud800",
]

Pairs = list[tuple[str, Any]]


def render(value: object) -> str:
    """Return JSON in which a list of pairs is an object, so that a name can come twice."""
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return "{" + ",".join(f"{json.dumps(name)}:{render(item)}" for name, item in value) + "}"
    return json.dumps(value)


def valid(rng: random.Random) -> tuple[Pairs, int]:
    """Return the header of a good file, and how many bytes of data it asks for."""
    header: Pairs = [("__metadata__", [("format", "pt")])] if rng.random() < 0.5 else []
    end = 0
    for number in range(rng.randint(0, 4)):
        dtype = DTYPES[rng.choice(["F32", "BF16", "U8", "F4", "F64", "F8_E4M3"])]
        shape = [rng.choice([0, 1, 2, 3, 8]) for _ in range(rng.randint(0, 3))] + [2]
        size = dtype.nbytes(2)
        for length in shape[:-1]:
            size *= length
        fields = [("dtype", dtype.code), ("shape", shape), ("data_offsets", [end, end + size])]
        header.append((f"t{number}", fields))
        end += size
    rng.shuffle(header)
    return header, end


def damage_header(rng: random.Random, header: Pairs) -> None:
    """Change one thing in `header`: a name, an entry, a field, a number."""
    if not header:
        header.append((rng.choice(NAMES), rng.choice(HOSTILE)))
        return
    at = rng.randrange(len(header))
    name, fields = header[at]
    what = rng.randrange(7)
    if what == 0:
        header[at] = (rng.choice(NAMES), fields)
    elif what == 1:
        header.insert(rng.randrange(len(header) + 1), (rng.choice([name, *NAMES]), fields))
    elif what == 2:
        header[at] = (name, rng.choice(HOSTILE))
    elif what == 3:
        del header[at]
    elif isinstance(fields, list) and fields and isinstance(fields[0], tuple):
        fields = list(fields)
        field, value = fields[spot := rng.randrange(len(fields))]
        if what == 4 or not isinstance(value, list) or not value:
            fields[spot] = (field, rng.choice([*HOSTILE, *DTYPES]))
        elif what == 5:
            value = list(value)
            value[rng.randrange(len(value))] = rng.choice(HOSTILE)
            fields[spot] = (field, value)
        else:
            fields.insert(spot, (rng.choice([field, *NAMES]), value))
        header[at] = (name, fields)


def damage_bytes(rng: random.Random, content: bytearray, last: int) -> None:
    """Flip, cut, double or slip in a few bytes before `last`."""
    at = rng.randrange(max(1, min(last, len(content))))
    what = rng.randrange(4)
    if what == 0 and content:
        content[min(at, len(content) - 1)] ^= 1 << rng.randrange(8)
    elif what == 1:
        del content[at : at + rng.randint(1, 8)]
    elif what == 2:
        content[at:at] = content[at : at + rng.randint(1, 40)]
    else:
        content[at:at] = rng.choice(PIECES)


def damaged(rng: random.Random) -> bytes:
    """Return a file with up to three things wrong with it."""
    header, size = valid(rng)
    for _ in range(rng.choice([0, 1, 1, 1, 2])):
        damage_header(rng, header)
    text = bytearray(render(header).encode() if header else b"{}")
    if rng.random() < 0.3:
        damage_bytes(rng, text, len(text))
    length = len(text) + (rng.choice([-8, -1, 1, 8, 2**20, 2**40]) if rng.random() < 0.05 else 0)
    content = bytearray((length % 2**64).to_bytes(8, "little") + text + bytes(rng.randbytes(size)))
    if rng.random() < 0.1:
        damage_bytes(rng, content, len(content))
    return bytes(content)


def reference(content: bytes) -> dict[str, tuple[str, tuple[int, ...], bytes]] | None:
    """Return what the Rust parser of the format reads, or None where it refuses."""
    try:
        found = deserialize(content)  # type: ignore[no-untyped-call]
    except SafetensorError:
        return None
    return {name: (info["dtype"], tuple(info["shape"]), bytes(info["data"])) for name, info in found}


def names_twice(content: bytes) -> bool:
    """Return whether an object in the header has a name twice, wherever else the header may be wrong."""
    found = False

    def look(pairs: Pairs) -> Pairs:
        nonlocal found
        found = found or len(dict(pairs)) < len(pairs)
        return pairs

    json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")], object_pairs_hook=look)
    return found


def read_or_refuse(path: Path) -> TensorFile | WeightArithError:
    """Return what the file holds, or the error, which must be one a user can act on."""
    try:
        return read_header(path)
    except WeightArithError as error:
        refused = error
    assert refused.exit_code in (3, 10)
    assert refused.message.startswith(str(path))
    assert refused.message.isprintable()
    assert refused.hint
    return refused


def as_read(file: TensorFile, content: bytes) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """Return in the same form what our parser reads."""
    return {
        name: (info.dtype.code, info.shape, content[info.start : info.stop])
        for name, info in file.tensors.items()
    }


@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_a_damaged_file_is_refused_with_a_reason_or_read_as_the_reference_reads_it(
    tmp_path: Path, count: int
) -> None:
    rng = random.Random(count)
    path = tmp_path / "model.safetensors"
    seen: Counter[str] = Counter()
    for _ in range(count):
        content = damaged(rng)
        path.write_bytes(content)
        expected = reference(content)
        found = read_or_refuse(path)
        if isinstance(found, TensorFile):
            assert expected is not None, content
            assert as_read(found, content) == expected, content
            seen["read by both"] += 1
        else:
            explained = expected is None or STRICTER.search(found.message) or names_twice(content)
            assert explained, (content, found.message)
            seen["refused by both" if expected is None else "refused by us alone"] += 1
    assert min(seen.values()) > count / 100, seen
    assert len(seen) == 3


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_refused_or_read_and_nothing_else_happens(content: bytes, framed: bool) -> None:
    if framed:
        content = len(content).to_bytes(8, "little") + content
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        path.write_bytes(content)
        found = read_or_refuse(path)
    assert isinstance(found, WeightArithError) or reference(content) is not None
