"""Inputs on the Hub whose weights stay there: headers are read now, tensors when they are needed.

The small texts of a repository come into the Hub's cache; no file of weights does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from weightarith.hub import Address, place_of
from weightarith.hub.cached import repository_folder
from weightarith.hub.feed import Feed
from weightarith.hub.fetch import snapshot
from weightarith.hub.listing import Listing, listing
from weightarith.hub.ranges import Remote, read, remote, with_head
from weightarith.hub.wanted import chosen, texts
from weightarith.store.open import open_source
from weightarith.store.site import DISK
from weightarith.store.source import Kind, Source
from weightarith.tensorfile.afar import Afar, Span
from weightarith.tensorfile.header import read_header_afar
from weightarith.tensorfile.model import TensorFile

if TYPE_CHECKING:
    from typing_extensions import Buffer

AT_ONCE = 8  # headers that are asked for at the same time


def open_streamed(text: str, kind: Kind | None = None) -> Source:
    """Return what `text` means, as `hub.locate` has it, its weights read from the Hub as they are needed.

    What lies on this machine is read here: a path, a repository that is in the Hub's cache, and those files
    of one that are.

    Raises:
        HubError: the Hub does not deliver.
        WeightArithError: see `store.open_source`.
    """
    place = place_of(text)
    return open_source(place, kind) if isinstance(place, Path) else open_afar(place, kind)


def open_afar(address: Address, kind: Kind | None = None) -> Source:
    """Return what a repository holds, its weights left where they are.

    Raises:
        HubError: the Hub does not deliver.
        WeightArithError: see `store.open_source`.
    """
    held = listing(address)
    names = frozenset(chosen(held))
    pinned = held.pinned
    if address.path in held.files:
        pinned = Address(
            pinned.repo, pinned.revision, PurePosixPath(address.path).parent.as_posix().strip(".")
        )
    if texts(held, pinned.path):
        folder = snapshot(pinned, weights=False)
    else:
        folder = repository_folder(address.repo) / "snapshots" / held.commit
    return open_source(folder / address.path, kind, site=_Repository(folder, held, names))


@dataclass(frozen=True, eq=False)
class _Repository:
    """The files of a repository: texts in the cache, weights on the Hub."""

    folder: Path  # of the commit in the cache
    listing: Listing
    readable: frozenset[str]

    def is_folder(self, path: Path) -> bool:
        inside = self._inside(path)
        return inside not in self.listing.files

    def names(self, folder: Path) -> frozenset[str]:
        start = f"{self._inside(folder)}/".lstrip("/")
        return frozenset(
            name.removeprefix(start)
            for name in self.readable
            if name.startswith(start) and "/" not in name.removeprefix(start)
        )

    def holds(self, path: Path) -> bool:
        return self._inside(path) in self.listing.files

    def headers(self, paths: Iterable[Path]) -> list[TensorFile]:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(self._header, paths))

    def _header(self, path: Path) -> TensorFile:
        if path.exists():  # a part of the repository was downloaded
            return DISK.headers([path])[0]
        file = with_head(remote(self.listing, self._inside(path)))

        def fill(buffer: bytearray, offset: int) -> None:
            read(file, offset, memoryview(buffer))

        return read_header_afar(fill, file.size, path, str(file), _Streamed(file))

    def _inside(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix().removeprefix(".")


@dataclass(frozen=True)
class _Streamed:
    """A file of a repository, as reading tensors knows it."""

    remote: Remote

    @property
    def sha256(self) -> str:
        return self.remote.entry.sha256 or ""

    def feed(self, needed: Iterable[Sequence[Span]]) -> _Feed:
        return _Feed(Feed([(_remote(file), start, stop) for file, start, stop in each] for each in needed))


@dataclass(frozen=True)
class _Feed:
    feed: Feed

    def read_into(self, file: Afar, buffer: Buffer, offset: int) -> None:
        self.feed.read_into(_remote(file), buffer, offset)

    def close(self) -> None:
        self.feed.close()


def _remote(file: Afar) -> Remote:
    if not isinstance(file, _Streamed):
        raise TypeError(f"{file!r} is no file of the Hub")
    return file.remote
