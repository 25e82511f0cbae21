"""A repository fetched into the Hub's cache, held against its receipt, and copied out where asked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from weightarith.errors import TargetError, quoted
from weightarith.hub import cached
from weightarith.hub.address import Address
from weightarith.hub.fetch import snapshot
from weightarith.hub.listing import Listing, listing
from weightarith.hub.wanted import chosen
from weightarith.proof.difference import Verdict
from weightarith.proof.remote import check_against_listing
from weightarith.proof.verify import verify
from weightarith.store.stage import RECEIPT, SINGLE, check_target, disk_error, staged

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Wanted:
    """What a pull downloads: a listing, and the names of the files that are taken from it."""

    listed: Listing
    names: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(self.listed.files[name].size for name in self.names)

    @property
    def left(self) -> tuple[str, ...]:
        """The names of the files that are not taken."""
        return tuple(name for name in self.listed.files if name not in self.names)


def check_out(out: Path, *, overwrite: bool = False) -> None:
    """Refuse a folder that must not be written, before anything is downloaded.

    Raises:
        TargetError: it exists (without `overwrite`), or is no name of a folder.
    """
    if out.suffix in SINGLE:
        raise TargetError(
            f"{quoted(str(out))} is the name of a file, and -o is a folder", hint="name a folder"
        )
    check_target(out, [], overwrite=overwrite)


def wanted(address: Address) -> Wanted:
    """Return what a pull of a repository downloads; nothing is fetched.

    Raises:
        HubError: the Hub or the network did not deliver.
        UnsupportedError: its weights are no safetensors files.
    """
    listed = listing(address)
    return Wanted(listed, tuple(chosen(listed)))


def fetched(what: Wanted) -> Path:
    """Return the folder in the Hub's cache, or the file, that a repository was downloaded to.

    Raises:
        HubError: the Hub or the network did not deliver.
        StorageError: it does not fit on the disk.
    """
    folder = snapshot(what.listed.pinned)
    cached.remember(what.listed.address, what.listed.commit)
    return folder / what.listed.address.path


def check(what: Wanted, path: Path, *, threads: int = 1, progress: Progress = lambda _read: None) -> Verdict:
    """Return what a download has against its receipt; where it has none, against what the Hub lists of it.

    Raises:
        InvalidFileError: the receipt is none.
        StorageError: a file cannot be read.
    """
    if any(PurePosixPath(name).name.endswith(RECEIPT) for name in what.names):
        return verify(path, threads=threads, progress=progress)
    root = path
    for _ in PurePosixPath(what.listed.address.path).parts:
        root = root.parent
    differences = check_against_listing(what.listed, root, what.names)
    note = "it has no receipt, so its files were compared with the hashes that the Hub lists"
    return Verdict(str(path), len(what.names), 0, what.size, tuple(differences), (note,))


def copy_out(what: Wanted, path: Path, out: Path, *, overwrite: bool = False) -> None:
    """Copy a download to a folder of its own, at once or not at all; nothing there is a link into the cache.

    Raises:
        TargetError: the target exists, or must not be written.
        StorageError: it does not fit on the disk.
    """
    folder = path if path.is_dir() else path.parent
    names = [PurePosixPath(name).name for name in what.names]
    with staged(out, needed=what.size, overwrite=overwrite) as stage:
        for name in names:
            _copy(folder / name, stage / name)


def _copy(source: Path, target: Path) -> None:
    try:
        with source.open("rb") as content, target.open("xb") as file:
            shutil.copyfileobj(content, file, 1 << 23)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise disk_error(error, target) from error
