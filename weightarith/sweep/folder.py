"""The folder of a sweep: the journal first, and when all is measured the document, table and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from weightarith.errors import InvalidFileError, TargetError, quoted
from weightarith.store.lock import locked
from weightarith.store.stage import check_target, disk_error
from weightarith.sweep.comparison import FORMAT
from weightarith.sweep.journal import Journal, json_bytes, write_whole
from weightarith.sweep.pictures import pictures
from weightarith.sweep.tables import as_csv
from weightarith.tensorfile.jsonfile import read_object

DOCUMENT, TABLE, POINTS = "sweep.json", "sweep.csv", "points"
KINDS = {DOCUMENT: "a finished sweep", "interference.json": "a finished look at interference"}
"""Documents that say that all is done, in the words of errors."""
LARGEST = 1 << 28


@contextmanager
def opened(out: Path, *, overwrite: bool = False, document: str = DOCUMENT) -> Iterator[Journal]:
    """Yield the journal in `out`, which no other run writes meanwhile; what is in it is used.

    Args:
        out: the folder.
        overwrite: whether what is finished may be replaced.
        document: the file that says that all is done.

    Raises:
        TargetError: see `check_out`.
        LockedError: another run writes it.
        StorageError: the disk said no.
    """
    check_out(out, overwrite=overwrite, document=document)
    try:
        with locked(out.parent.resolve() / out.name):
            (out / POINTS).mkdir(parents=True, exist_ok=True)
            yield Journal(out / POINTS)
    except OSError as error:
        raise disk_error(error, out) from error


def check_out(out: Path, *, overwrite: bool = False, document: str = DOCUMENT) -> None:
    """Refuse a folder that no sweep may be written to; one that is empty, or was begun, is fine.

    Raises:
        TargetError: a finished one stands there (without `overwrite`), or something else.
        StorageError: its parent folder does not exist or cannot be written.
    """
    if not (out / POINTS).is_dir() or out.is_symlink():
        if not out.is_dir() or out.is_symlink() or any(out.iterdir()):
            check_target(out, (), overwrite=False)
        return
    others = [name for name in KINDS if name != document and (out / name).exists()]
    if others:
        raise TargetError(
            f"{quoted(str(out))} holds {KINDS[others[0]]}, and no {document}", hint="choose another -o"
        )
    if (out / document).exists() and not overwrite:
        raise TargetError(
            f"{quoted(str(out))} holds {KINDS[document]}",
            hint="choose another -o, or add --overwrite; what was measured there is not measured again",
        )


def write(out: Path, document: Mapping[str, Any]) -> None:
    """Write table and pictures of a document, and last the document itself, which says that all is there."""
    write_whole(out / TABLE, as_csv(document).encode())
    for name, picture in pictures(document).items():
        write_whole(out / f"{name}.svg", picture.svg.encode())
        write_whole(out / f"{name}.png", picture.png)
    write_whole(out / DOCUMENT, json_bytes(document))


def read_sweep(folder: Path) -> dict[str, Any]:
    """Return the document of a finished sweep.

    Raises:
        InvalidFileError: there is none, or it is of another format.
    """
    return read_document(folder / DOCUMENT, "weightarith_sweep", FORMAT, "weightarith sweep")


def read_document(path: Path, key: str, version: int, writer: str) -> dict[str, Any]:
    """Return the document that says that all is done.

    Args:
        path: where it lies, in the folder of what was done.
        key: of the number of its format.
        version: that number.
        writer: the command that writes it.

    Raises:
        InvalidFileError: there is none, or it is of another format.
    """
    if not path.is_file():
        raise InvalidFileError(
            f"{quoted(str(path.parent))} holds no {path.name}", hint=f"{writer} writes one when it is done"
        )
    found = read_object(path, LARGEST)
    if found.get(key) != version:
        raise InvalidFileError(f"{quoted(str(path))} has format {found.get(key)!r}, expected {version}")
    return found
