"""Results that go onto a card: a sweep's or an evaluation's, given or lying in the folder of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from weightarith.card.facts import Measured
from weightarith.card.results import measured
from weightarith.errors import InvalidFileError, quoted
from weightarith.tensorfile.jsonfile import INDEX_LIMIT, read_object

SWEEP = "sweep.json"
PICTURES = ("curve.png", "curve-2.png", "curve-3.png", "strength.png")
_LARGEST = 8 << 20
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Results:
    """Tables, and pictures by the names of their files."""

    measured: tuple[Measured, ...] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict)


def no_results() -> Results:
    """Return none."""
    return Results()


def results_of(folder: Path, given: Path | None) -> Results:
    """Return the results that are given, or else those of a sweep that lies in a folder.

    Raises:
        InvalidFileError: what is given holds none, or several sweeps lie there.
    """
    if given is None:
        found = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
        sweeps = [one for one in found if (one / SWEEP).is_file()]
        if len(sweeps) > 1:
            raise InvalidFileError(
                f"{quoted(str(folder))} holds {len(sweeps)} sweeps", hint="say which: --results FOLDER"
            )
        return _read(sweeps[0]) if sweeps else no_results()
    if not given.exists():
        raise InvalidFileError(f"no results at {quoted(str(given))}")
    if given.is_dir() and not (given / SWEEP).is_file():
        raise InvalidFileError(
            f"{quoted(str(given))} holds no {SWEEP}", hint="weightarith sweep writes one when it is done"
        )
    return _read(given)


def _read(place: Path) -> Results:
    path = place / SWEEP if place.is_dir() else place
    tables = measured(read_object(path, INDEX_LIMIT), quoted(str(path)))
    return Results(tables, dict(_pictures(place)) if place.is_dir() else {})


def _pictures(folder: Path) -> Iterator[tuple[str, bytes]]:
    for name in PICTURES:
        path = folder / name
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= _LARGEST:
            content = path.read_bytes()
            if content.startswith(_PNG):
                yield name, content
