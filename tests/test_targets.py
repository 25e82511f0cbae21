"""Places that must not be written: told before any work, whatever --overwrite says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reference import snapshot
from weightarith.errors import StorageError, TargetError
from weightarith.store.stage import RECEIPT, check_target


def places(root: Path) -> Iterator[tuple[str, Path, str]]:
    """Make inputs and yield targets that must be refused, with what the error says."""
    source = root / "base" / "model.safetensors"
    source.parent.mkdir()
    source.write_bytes(b"weights")
    os.link(source, root / "hard.safetensors")
    (root / "link.safetensors").symlink_to(source)
    (root / "dangling").symlink_to(root / "nowhere")
    snapshots = root / "hub" / "models--org--name" / "snapshots" / "abc"
    snapshots.mkdir(parents=True)
    (root / "way").symlink_to(snapshots)
    for name in ("theirs", "ours"):
        (root / name).mkdir()
    (root / "theirs" / "thesis.txt").write_text("years of work")
    (root / "ours" / RECEIPT).write_text("{}")
    (root / "file").write_text("no folder")
    (root / "folder.safetensors").mkdir()
    yield "the input itself", source, "lies inside the input"
    yield "a hard link to it", root / "hard.safetensors", "is or holds the input"
    yield "a symbolic link to it", root / "link.safetensors", "is a symbolic link"
    yield "its folder", root / "base", "is or holds the input"
    yield "a folder in its folder", root / "base" / "out", "lies inside the input"
    yield "a folder above it", root, "is or holds the input"
    yield "a dangling link", root / "dangling", "is a symbolic link"
    yield "a Hub snapshot", snapshots / "out", "lies in a Hub cache"
    yield "a Hub snapshot by a link", root / "way" / "out.safetensors", "lies in a Hub cache"
    yield "a Hub cache's blobs", snapshots.parents[1] / "blobs", "lies in a Hub cache"
    yield "somebody's folder", root / "theirs", "is a folder that weightarith did not write"
    yield "a file where a folder goes", root / "file", "is a file, the output is not"
    yield "a folder where a file goes", root / "folder.safetensors", "is a folder, the output is not"
    yield "no name", Path(), "names no file or folder"
    yield "a name above", root / "ours" / "..", "names no file or folder"
    yield "a NUL", root / "a\0b", "names no file or folder"


def test_a_target_that_must_stay_is_refused_even_with_overwrite(tmp_path: Path) -> None:
    cases = list(places(tmp_path))
    before = snapshot(tmp_path)
    for case, path, text in cases:
        with pytest.raises(TargetError, match=text) as caught:
            check_target(path, [tmp_path / "base", tmp_path / "base" / "model.safetensors"], overwrite=True)
        assert caught.value.exit_code == 5, case
        assert caught.value.hint, case
    assert snapshot(tmp_path) == before


def test_a_receipt_never_replaces_a_folder_or_a_link(tmp_path: Path) -> None:
    for place in ("folder", "link"):
        receipt = tmp_path / f"{place}.weightarith.json"
        receipt.mkdir() if place == "folder" else receipt.symlink_to(tmp_path)

        with pytest.raises(TargetError, match="stands where the receipt goes"):
            check_target(tmp_path / f"{place}.safetensors", [], overwrite=True)


@pytest.mark.parametrize(
    ("name", "text"),
    [("nowhere/out", "does not exist"), ("n" * 300, "File name too long"), ("file/out", "does not exist")],
)
def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match=text) as caught:
        check_target(tmp_path / name, [], overwrite=False)

    assert caught.value.exit_code == 6


def test_what_exists_is_refused_without_overwrite(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()

    with pytest.raises(TargetError, match="exists") as caught:
        check_target(target, [], overwrite=False)

    assert "--overwrite" in caught.value.hint
    check_target(target, [], overwrite=True)
