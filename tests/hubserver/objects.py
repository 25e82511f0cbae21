"""Contents by their sha256, in one folder: large ones are never held in memory."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

BLOCK = 1 << 20  # bytes read at a time


@dataclass(frozen=True)
class Blob:
    """A file's content, as a repository remembers it."""

    size: int  # bytes
    sha256: str
    lfs: bool
    git_oid: str  # of the content, or of the pointer that stands for it


class Objects:
    """A folder of contents, each in a file named by its sha256."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        return self.folder / sha256

    def read(self, sha256: str) -> bytes:
        return self.path(sha256).read_bytes()

    def write(self, content: Iterable[bytes]) -> tuple[str, int]:
        """Store a content that comes in pieces; return its sha256 and size."""
        digest, size = hashlib.sha256(), 0
        descriptor, name = tempfile.mkstemp(dir=self.folder)
        with os.fdopen(descriptor, "wb") as file:
            for piece in content:
                digest.update(piece)
                size += file.write(piece)
        Path(name).rename(self.path(digest.hexdigest()))
        return digest.hexdigest(), size

    def link(self, path: Path) -> tuple[str, int]:
        """Store a file that will not change, as a link where that can be; return its sha256 and size."""
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while piece := file.read(BLOCK):
                digest.update(piece)
        target = self.path(digest.hexdigest())
        if not target.exists():
            try:
                os.link(path.resolve(), target)
            except OSError:
                shutil.copyfile(path, target)
        return digest.hexdigest(), target.stat().st_size


def git_oid(content: bytes) -> str:
    """Return what git calls a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def pointer(sha256: str, size: int) -> bytes:
    """Return the text that git holds in place of a large file."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def large(sha256: str, size: int) -> Blob:
    """Return a blob that git holds as a pointer."""
    return Blob(size, sha256, True, git_oid(pointer(sha256, size)))


def small(content: bytes) -> Blob:
    """Return a blob that git holds as it is."""
    return Blob(len(content), hashlib.sha256(content).hexdigest(), False, git_oid(content))
