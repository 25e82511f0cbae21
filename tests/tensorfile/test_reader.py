"""Reading bytes from files that may change, shrink or vanish meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.tensorfile.blobs import blob, entry, small, written
from weightarith.errors import InvalidFileError, StorageError
from weightarith.tensorfile import reader
from weightarith.tensorfile.header import read_header
from weightarith.tensorfile.model import Stored
from weightarith.tensorfile.reader import OpenFile, read_bytes, stamp_of


def test_a_tensor_is_read_where_it_lies(tmp_path: Path) -> None:
    file = read_header(written(tmp_path, small()))
    assert read_bytes(Stored(file, file.tensors["b"])) == bytes(range(24, 30))


def test_any_writable_buffer_is_filled(tmp_path: Path) -> None:
    file = read_header(written(tmp_path, small()))
    start = file.tensors["a"].start
    array = np.zeros((2, 3), "<f4")
    data = bytearray(24)

    with OpenFile(file) as opened:
        opened.read_into(array.data, start)
        opened.read_into(memoryview(data)[4:], start + 4)
        opened.read_into(np.zeros((0, 3)).data, start)

    assert array.tobytes() == bytes(range(24))
    assert data == bytes(4) + bytes(range(4, 24))


def test_an_empty_tensor_has_no_bytes(tmp_path: Path) -> None:
    file = read_header(written(tmp_path, blob({"t": entry("F32", [0, 4], [0, 0])})))
    assert read_bytes(Stored(file, file.tensors["t"])) == b""


def test_reads_that_deliver_less_than_asked_are_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = read_header(written(tmp_path, small()))
    whole = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, views, at: whole(fd, [views[0][:5]], at))
    assert read_bytes(Stored(file, file.tensors["a"])) == bytes(range(24))


def test_threads_read_from_one_open_file(tmp_path: Path) -> None:
    data = os.urandom(1 << 16)
    file = read_header(written(tmp_path, blob({"t": entry("U8", [1 << 16], [0, 1 << 16])}, data)))
    start = file.tensors["t"].start

    def piece(number: int) -> bytes:
        buffer = bytearray(512)
        opened.read_into(buffer, start + 512 * number)
        return bytes(buffer)

    with OpenFile(file) as opened, ThreadPoolExecutor(8) as pool:
        assert b"".join(pool.map(piece, range(128))) == data


def shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def touch(path: Path) -> None:
    os.utime(path, ns=(0, 0))


def replace(path: Path) -> None:
    content = path.read_bytes()
    path.rename(path.with_suffix(".old"))
    path.write_bytes(content)


CHANGES: list[tuple[Callable[[Path], None], str]] = [
    (shrink, "it had {size} bytes and has {less}"),
    (grow, "it had {size} bytes and has {more}"),
    (touch, "it was written to"),
    (replace, "another file has taken its place"),
]


@pytest.mark.parametrize(("change", "how"), CHANGES)
def test_a_file_that_changed_since_its_header_was_read_is_refused(
    tmp_path: Path, change: Callable[[Path], None], how: str
) -> None:
    path = written(tmp_path, small())
    file = read_header(path)
    size = file.stamp.size
    change(path)

    with pytest.raises(InvalidFileError) as caught:
        OpenFile(file)

    how = how.format(size=size, less=size - 1, more=size + 1)
    assert caught.value.message == f"{path} changed since its header was read: {how}"
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(("change", "how"), CHANGES[:3])
def test_a_file_that_changes_while_it_is_open_is_noticed(
    tmp_path: Path, change: Callable[[Path], None], how: str
) -> None:
    path = written(tmp_path, small())
    file = read_header(path)
    size = file.stamp.size

    with OpenFile(file) as opened:
        opened.check_unchanged()
        change(path)
        with pytest.raises(InvalidFileError) as caught:
            opened.check_unchanged()

    how = how.format(size=size, less=size - 1, more=size + 1)
    assert caught.value.message == f"{path} changed while reading: {how}"


def test_a_file_that_is_replaced_while_it_is_open_is_read_to_its_end(tmp_path: Path) -> None:
    path = written(tmp_path, small())
    file = read_header(path)
    data = bytearray(24)

    with OpenFile(file) as opened:
        path.unlink()
        path.write_bytes(bytes(1000))
        opened.read_into(data, file.tensors["a"].start)
        opened.check_unchanged()

    assert data == bytes(range(24))


def test_a_file_that_shrinks_while_it_is_read_is_an_error_and_no_signal(tmp_path: Path) -> None:
    path = written(tmp_path, small())
    file = read_header(path)
    start = file.tensors["a"].start

    with OpenFile(file) as opened:
        os.truncate(path, start + 10)
        with pytest.raises(InvalidFileError) as caught:
            opened.read_into(bytearray(24), start)

    assert caught.value.message == (
        f"{path} changed while reading: it ends at byte {start + 10}, and bytes up to {start + 24} are needed"
    )


def test_a_header_that_shrinks_while_it_is_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, small())
    whole = os.preadv

    def shrinking(descriptor: int, views: list[memoryview], at: int) -> int:
        count = whole(descriptor, views, at)
        os.truncate(path, 20)
        return count

    monkeypatch.setattr(os, "preadv", shrinking)
    with pytest.raises(InvalidFileError, match="changed while reading: it ends at byte 20"):
        read_header(path)


def test_a_disk_that_fails_is_a_matter_of_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(5, "Input/output error")

    path = written(tmp_path, small())
    file = read_header(path)
    monkeypatch.setattr(os, "preadv", fail)

    with pytest.raises(StorageError) as caught:
        read_bytes(Stored(file, file.tensors["a"]))

    assert caught.value.message == f"{path}: cannot be read: Input/output error"
    assert caught.value.exit_code == 6


def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    path = written(tmp_path, small())
    bad = written(tmp_path, small()[:20], "bad")
    file = read_header(path)
    before = open_descriptors()

    for _ in range(3):
        with pytest.raises(InvalidFileError):
            read_header(bad)
        with OpenFile(file) as opened:
            pass
        opened.close()
    touch(path)
    with pytest.raises(InvalidFileError):
        OpenFile(file)

    assert open_descriptors() == before


def test_a_stamp_is_the_same_from_a_descriptor_and_from_stat(tmp_path: Path) -> None:
    path = written(tmp_path, small())
    with path.open("rb") as file:
        assert stamp_of(file.fileno()) == stamp_of(path.stat()) == read_header(path).stamp


def test_of_files_on_the_disk_nobody_asks_what_will_be_read(tmp_path: Path) -> None:
    file = read_header(written(tmp_path, small()))
    needed = iter([[Stored(file, file.tensors["a"])]])
    with reader.opened([file], needed) as files:
        assert type(files[id(file)]) is OpenFile
    assert next(needed, None) is not None
