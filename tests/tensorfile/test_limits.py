"""Limits: a hostile header costs no more than an honest one of its size."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tensorfile.blobs import blob, entry, written
from weightarith.tensorfile import entries

PROGRAM = """
import sys
from pathlib import Path
from weightarith.errors import WeightArithError
from weightarith.tensorfile.header import read_header

try:
    print(len(read_header(Path(sys.argv[1])).tensors))
except WeightArithError as error:
    print(error.message)
# not ru_maxrss, which begins with what the process that started this one holds
status = Path("/proc/self/status").read_text()
print(int(status.partition("VmHWM:")[2].split()[0]) // 1024)
"""
EMPTY = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'


def many(count: int, value: str) -> str:
    return "{" + ",".join(f'"{n:x}":{value}' for n in range(count)) + "}"


def test_more_tensors_than_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps({name: entry("U8", [0], [0, 0]) for name in "abc"})
    monkeypatch.setattr(entries, "MAX_TENSORS", 3)
    assert len(entries.parse_entries(text, 0)[0]) == 3

    monkeypatch.setattr(entries, "MAX_TENSORS", 2)
    with pytest.raises(entries.HeaderError, match="its header names more than 2 tensors"):
        entries.parse_entries(text, 0)


def test_more_metadata_than_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "MAX_TENSORS", 2)
    with pytest.raises(entries.HeaderError, match="__metadata__ has more than 2 entries"):
        entries.parse_entries('{"__metadata__":' + many(3, '""') + "}", 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("header", "answer"),
    [
        (lambda: many(1_000_000, EMPTY), "1000000"),
        (lambda: many(1_000_001, EMPTY), "its header names more than 1,000,000 tensors"),
        (lambda: many(8_000_000, "0"), "its entry is not dtype, shape and data_offsets"),
        (lambda: '{"__metadata__":' + many(7_000_000, '""') + "}", "has more than 1,000,000 entries"),
        (lambda: '{"t":{"shape":[' + "[]," * 30_000_000, "its entry is not dtype, shape and data_offsets"),
        (lambda: "{" * 90_000_000, "needs a name in quotes"),
        (lambda: '{"' + "x" * 90_000_000 + '":' + EMPTY + "}", "the name takes 90,000,000 bytes"),
        (lambda: "{" + " " * 90_000_000, "needs a name in quotes"),
    ],
    ids=["honest", "tensors", "numbers", "metadata", "lists", "braces", "name", "blanks"],
)
def test_the_largest_headers_take_less_than_a_gigabyte(
    tmp_path: Path, header: Callable[[], str], answer: str
) -> None:
    path = written(tmp_path, blob(header()))

    run = subprocess.run([sys.executable, "-c", PROGRAM, path], capture_output=True, text=True, check=True)

    said, megabytes = run.stdout.splitlines()
    assert answer in said
    assert int(megabytes) < 1000
