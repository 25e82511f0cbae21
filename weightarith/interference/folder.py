"""The folder of a look at interference: measurements first; when all are there document, table, pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weightarith.interference.pictures import pictures
from weightarith.interference.tables import as_csv
from weightarith.sweep.folder import check_out as check_folder
from weightarith.sweep.folder import read_document
from weightarith.sweep.journal import json_bytes, write_whole

DOCUMENT, TABLE = "interference.json", "interference.csv"
KEY, FORMAT = "weightarith_interference", 1


def check_out(out: Path, *, overwrite: bool = False) -> None:
    """Refuse a folder that this may not be written to; one that is empty, or was begun, is fine.

    Raises:
        TargetError: a finished one stands there (without `overwrite`), or something else.
        StorageError: its parent folder does not exist or cannot be written.
    """
    check_folder(out, overwrite=overwrite, document=DOCUMENT)


def write(out: Path, document: Mapping[str, Any]) -> None:
    """Write table and pictures of a document, and last the document itself, which says that all is there."""
    write_whole(out / TABLE, as_csv(document).encode())
    for name, picture in pictures(document).items():
        write_whole(out / f"{name}.svg", picture.svg.encode())
        write_whole(out / f"{name}.png", picture.png)
    write_whole(out / DOCUMENT, json_bytes(document))


def read_interference(folder: Path) -> dict[str, Any]:
    """Return the document of a finished look at interference.

    Raises:
        InvalidFileError: there is none, or it is of another format.
    """
    return read_document(folder / DOCUMENT, KEY, FORMAT, "weightarith interference")
