"""Where the files of an input lie, as far as opening it must know: on the disk, or in part elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from weightarith.errors import StorageError
from weightarith.tensorfile.header import read_header
from weightarith.tensorfile.model import TensorFile
from weightarith.tensorfile.sniff import shown


class Site(Protocol):
    """A place with files. Small texts lie on the disk wherever the weights are."""

    def is_folder(self, path: Path) -> bool:
        """Return whether a folder is there."""
        ...

    def names(self, folder: Path) -> frozenset[str]:
        """Return the names of the entries of a folder, hidden ones left out."""
        ...

    def holds(self, path: Path) -> bool:
        """Return whether a file is there."""
        ...

    def headers(self, paths: Iterable[Path]) -> list[TensorFile]:
        """Return what safetensors files hold, in their order.

        Raises:
            WeightArithError: see `tensorfile.header.read_header`.
        """
        ...


class Disk:
    """The disks of this machine."""

    def is_folder(self, path: Path) -> bool:
        """Return whether a folder is there."""
        try:
            return path.is_dir()
        except OSError:  # not allowed to look, or a name too long: whoever opens it says so
            return False

    def names(self, folder: Path) -> frozenset[str]:
        """Return the names of the entries of a folder, hidden ones left out.

        Raises:
            StorageError: the folder cannot be listed.
        """
        return names_in(folder)

    def holds(self, path: Path) -> bool:
        """Return whether a file is there; a link must lead to one."""
        return path.exists()

    def headers(self, paths: Iterable[Path]) -> list[TensorFile]:
        """Return what safetensors files hold, in their order.

        Raises:
            WeightArithError: see `tensorfile.header.read_header`.
        """
        return [read_header(path) for path in paths]


DISK = Disk()


def names_in(folder: Path) -> frozenset[str]:
    """Return the names of the entries of `folder`, hidden ones left out.

    Raises:
        StorageError: the folder cannot be listed.
    """
    try:
        return frozenset(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise StorageError(f"cannot list {shown(folder)}: {error.strerror}") from None
