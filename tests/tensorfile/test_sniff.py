"""Files that are no safetensors files: each is named for what it is, with what to do."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import socket
import zipfile
from pathlib import Path

import pytest

from tests.tensorfile.blobs import small, written
from weightarith.errors import StorageError, WeightArithError
from weightarith.tensorfile.header import read_header

OID = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize 988097824\n".encode()


class Payload:
    """An object whose pickle opens a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (self.path, "w")


def zipped(name: str, content: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


KINDS = [
    ("empty", b"", 3, "is empty", "hf download"),
    (
        "pointer",
        POINTER,
        3,
        f"is a Git LFS pointer that stands for sha256 {OID} and 988,097,824 bytes; the weights were never",
        "git lfs pull",
    ),
    ("pointer-cut", POINTER[:60], 3, "is a Git LFS pointer that stands for the real file", "git lfs pull"),
    ("html", b"<!DOCTYPE html>\n<html><head><title>Sign in</title>", 3, "is an HTML page", "hf download"),
    ("html-comment", b"\n<!-- saved -->\n<HTML>", 3, "is an HTML page", "check the address"),
    (
        "torch-zip",
        zipped("archive/data.pkl"),
        10,
        "is a PyTorch pickle in a zip archive",
        "weights_only=True",
    ),
    ("npz", zipped("a.npy"), 10, "is a NumPy archive (npz)", "safetensors.numpy"),
    ("zip", zipped("model.safetensors"), 10, "is a zip archive", "unpack it"),
    (
        "pickle",
        pickle.dumps({"a": list(range(100))}),
        10,
        "is a pickle, which is never loaded",
        "can run code",
    ),
    (
        "pickle-2",
        pickle.dumps({"a": list(range(100))}, 2),
        10,
        "is a pickle, which is never loaded",
        "can run code",
    ),
    (
        "gguf",
        b"GGUF\x03\x00\x00\x00" + bytes(100),
        10,
        "is a GGUF file of llama.cpp",
        "safetensors checkpoint",
    ),
    ("gzip", gzip.compress(small()), 10, "is a gzip archive", "unpack it"),
    ("hdf5", b"\x89HDF\r\n\x1a\n" + bytes(100), 10, "is an HDF5 file", "safetensors file"),
    ("npy", b"\x93NUMPY\x01\x00" + bytes(100), 10, "is a NumPy array file", "safetensors.numpy"),
    ("zstd", b"\x28\xb5\x2f\xfd" + bytes(100), 10, "is a zstandard archive", "unpack it"),
    ("index", b'{"metadata": {"total_size": 1}, "weight_map": {}}', 3, "is JSON text", "give the folder"),
    ("config", b'\xef\xbb\xbf{\n  "architectures": []\n}', 3, "is JSON text", "give the folder"),
    ("not-found", b"Entry not found", 3, "is plain text that begins 'Entry not found'", "hf download"),
    ("long-text", ("ä" + "é" * 2000).encode(), 3, "is plain text that begins 'äéé", "hf download"),
    ("cut-character", b"x" * 1023 + "é".encode(), 3, "is plain text that begins 'xxx", "hf download"),
    ("blanks", b" " * 50, 3, "its 50 bytes begin 20 20 20", "hf download"),
    ("zeros", bytes(5000), 3, "begins with 1024 zero bytes: space was set aside", "hf download"),
    ("noise", bytes(range(128, 250)), 3, "its 122 bytes begin 80 81 82", "hf download"),
    ("escape", b"\x1b]0;title\x07 some text", 3, "its 20 bytes begin 1b 5d 30", "hf download"),
]


@pytest.mark.parametrize(
    ("content", "exit_code", "text", "hint"), [k[1:] for k in KINDS], ids=[k[0] for k in KINDS]
)
def test_a_file_of_another_kind_is_named_for_what_it_is(
    tmp_path: Path, content: bytes, exit_code: int, text: str, hint: str
) -> None:
    path = written(tmp_path, content)

    with pytest.raises(WeightArithError) as caught:
        read_header(path)

    assert caught.value.message.startswith(str(path))
    assert text in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.exit_code == exit_code
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("archived", [False, True])
def test_a_pickle_is_never_loaded(tmp_path: Path, protocol: int, archived: bool) -> None:
    canary = tmp_path / "canary"
    content = pickle.dumps(Payload(canary), protocol)
    path = written(
        tmp_path, zipped("archive/data.pkl", content) if archived else content, "pytorch_model.bin"
    )

    with pytest.raises(WeightArithError):
        read_header(path)

    assert not canary.exists()


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(WeightArithError, match="is a folder, not a file") as caught:
        read_header(tmp_path)
    assert caught.value.exit_code == 3


def test_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "pipe.safetensors"
    os.mkfifo(path)

    with pytest.raises(WeightArithError, match="is a named pipe, not a file") as caught:
        read_header(path)

    assert caught.value.exit_code == 3


def test_a_pipe_that_takes_the_place_of_a_file_does_not_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, small())
    really_open = os.open

    def swap(target: Path, flags: int) -> int:
        target.unlink()
        os.mkfifo(target)
        return really_open(target, flags)

    monkeypatch.setattr(os, "open", swap)
    with pytest.raises(WeightArithError, match="is a named pipe, not a file"):
        read_header(path)


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the address of a socket must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s")
        with pytest.raises(WeightArithError, match="s is a socket, not a file"):
            read_header(Path("s"))


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null"])
def test_a_device_is_refused_without_being_opened(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("opened"))
    with pytest.raises(WeightArithError, match=f"{path} is a device, not a file"):
        read_header(Path(path))


@pytest.mark.parametrize("path", ["missing.safetensors", "file/inside", "x" * 300])
def test_a_missing_file_is_named(tmp_path: Path, path: str) -> None:
    written(tmp_path, b"", "file")
    with pytest.raises(WeightArithError, match=f"{path}: no such file") as caught:
        read_header(tmp_path / path)
    assert caught.value.exit_code == 3


def test_a_link_to_nothing_says_where_it_leads(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.symlink_to("../blobs/4d7a")
    with pytest.raises(WeightArithError, match=r"is a link to \.\./blobs/4d7a, which is not there") as caught:
        read_header(path)
    assert caught.value.exit_code == 3


def test_a_link_to_itself_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "loop"
    path.symlink_to("loop")
    with pytest.raises(WeightArithError, match="is a link to loop, which is not there"):
        read_header(path)


def test_a_link_to_a_blob_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.symlink_to(written(tmp_path, small(), "blob"))
    assert list(read_header(path).tensors) == ["a", "b"]


def test_a_path_no_file_can_have_is_refused() -> None:
    with pytest.raises(WeightArithError) as caught:
        read_header(Path("a\x00b"))
    assert caught.value.message == r"a\x00b: no file can have this name"


def test_a_hostile_path_is_shown_escaped(tmp_path: Path) -> None:
    with pytest.raises(WeightArithError) as caught:
        read_header(written(tmp_path, b"", "\x1b[31mred\n"))
    assert r"\x1b[31mred\n is empty" in caught.value.message


def test_a_file_that_may_not_be_read_is_a_matter_of_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    path = written(tmp_path, small())
    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises(StorageError) as caught:
        read_header(path)

    assert caught.value.message == f"{path}: cannot be opened: Permission denied"
    assert caught.value.exit_code == 6
