"""Repositories as the Hub keeps them: commits that hold whole trees, and names for some of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.hubserver.objects import Blob

LARGE = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".onnx", ".npz", ".gz", ".zip", ".parquet")
LARGEST_IN_GIT = 10 << 20  # bytes
TEXT = {7, 8, 9, 10, 12, 13, 27, *range(32, 256)}  # bytes that a text may hold


@dataclass(frozen=True)
class Commit:
    """What one commit did."""

    oid: str
    title: str
    paths: tuple[str, ...]  # changed by it


class MissingError(Exception):
    """A repository, a revision or a file that is not there; `args[0]` is the Hub's code for it."""


@dataclass
class Repository:
    """One repository; not safe by itself: its server holds a lock."""

    name: str
    private: bool = False
    gated: bool = False
    granted: bool = False  # whether whoever is logged in may read it although it is gated
    trees: dict[str, dict[str, Blob]] = field(default_factory=dict)  # by commit
    log: dict[str, tuple[Commit, str | None]] = field(default_factory=dict)  # by commit, with its parent
    refs: dict[str, str] = field(default_factory=dict)  # full names, such as refs/heads/main
    uploaded: set[str] = field(default_factory=set)  # sha256 of large files, committed or not

    def commit(self, ref: str, changes: Mapping[str, Blob | None], title: str, parent: str | None) -> str:
        """Add a commit with files put or removed, move `ref` to it, and return its oid."""
        tree = dict(self.trees[parent]) if parent else {}
        for path, blob in changes.items():
            if blob is None:
                tree.pop(path, None)
            else:
                tree[path] = blob
        said = repr((self.name, parent, title, len(self.trees), sorted(tree.items())))
        oid = hashlib.sha1(said.encode()).hexdigest()
        self.trees[oid] = tree
        self.log[oid] = Commit(oid, title, tuple(sorted(changes))), parent
        self.refs[ref] = oid
        return oid

    def ref(self, revision: str) -> str | None:
        """Return the full name of a branch, tag or pull request."""
        for name in (revision, f"refs/heads/{revision}", f"refs/tags/{revision}"):
            if name in self.refs:
                return name
        return None

    def resolve(self, revision: str) -> str:
        """Return the commit that a revision means; a commit must be whole."""
        ref = self.ref(revision)
        if ref:
            return self.refs[ref]
        if revision not in self.trees:
            raise MissingError("RevisionNotFound")
        return revision

    def history(self, revision: str) -> list[Commit]:
        """Return the commits up to a revision, newest first."""
        found: list[Commit] = []
        oid: str | None = self.resolve(revision)
        while oid:
            commit, oid = self.log[oid]
            found.append(commit)
        return found

    def next_pull_request(self) -> int:
        return 1 + sum(name.startswith("refs/pr/") for name in self.refs)


def is_large(path: str, size: int, sample: bytes) -> bool:
    """Return whether the Hub would keep a file outside git: by its name, its size, or as it is no text."""
    return path.endswith(LARGE) or size > LARGEST_IN_GIT or any(byte not in TEXT for byte in sample)
