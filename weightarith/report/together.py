"""Several vectors together, as a page shows it: what geometry foretells beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations as choose
from pathlib import Path
from typing import Any

from weightarith.errors import InvalidFileError, quoted
from weightarith.interference import pictures, read_interference
from weightarith.interference.folder import DOCUMENT
from weightarith.interference.tables import is_share, shown
from weightarith.report.figures import Figure, inline
from weightarith.report.finished import Finished
from weightarith.report.subject import Subject
from weightarith.report.sweeps import Cell, Table
from weightarith.report.words import NONE, number, share, strength

NEEDED = ("base", "vectors", "strengths", "geometry", "combinations", "suites")
COLUMNS = 6
"""Outcomes a table has room for; all are in the CSV of the folder."""


class Together(Finished):
    """A finished look at interference."""


def open_together(folder: Path) -> Together:
    """Return the look at interference in a folder.

    Raises:
        InvalidFileError: there is none, or its document lacks something.
    """
    document = read_interference(folder)
    lacking = [key for key in NEEDED if key not in document]
    if lacking:
        raise InvalidFileError(
            f"{quoted(str(folder / DOCUMENT))} has no {quoted(lacking[0])}", hint="measure it again"
        )
    return Together(folder, document)


def section(together: Together, place: int, subject: Subject) -> Mapping[str, Any]:
    """Return what the page on a subject shows of it; names of its drawings begin with `place`."""
    document, figures = together.document, []
    for name, picture in pictures(document).items():
        said = (
            "Above, how the vectors lie to each other; below, how far each combination is from the sum of "
            "the effects its vectors have alone, in standard errors. Chance alone seldom goes beyond 2, but "
            "among many cells it does."
            if name == "interference"
            else "What each combination does, against the model itself; thin lines are 95 % intervals."
        )
        figures.append(Figure(inline(picture, f"t{place}-{name}", said), said))
    tables = [_measured(suite, k) for suite in document["suites"] for k in document["strengths"]]
    return {
        "together": together, "figures": figures, "foretold": _foretold(document), "tables": tables,
        "foreign": foreign(together, subject),
    }  # fmt: skip


def foreign(together: Together, subject: Subject) -> str:
    """Return a warning where the subject is not among the vectors, or where another model was measured."""
    told, vectors = [], together.document["vectors"]
    if subject.run is not None and not any(label.endswith(subject.name) for label in vectors):
        told.append(f"it measured {', '.join(vectors)}, and this page is about {subject.name}")
    if subject.base and together.base not in (subject.base, subject.base.rpartition("/")[2]):
        told.append(f"its model is called {together.base}, the vector's {subject.base}")
    return "; ".join(told)


def _foretold(document: Mapping[str, Any]) -> Table:
    found, labels = document["geometry"], document["vectors"]
    rows = []
    for place, (one, other) in enumerate(choose(range(len(labels)), 2)):
        overlap = found["overlap"][place]
        known = [each["cosine"][one][other] for each in found["layers"].values()]
        known = [cosine for cosine in known if cosine is not None]
        span = f"{number(min(known))} to {number(max(known))} by layer" if known else ""
        chance = overlap["by_chance"]
        rows.append(("", (
            Cell(f"{labels[one]} and {labels[other]}"),
            Cell(number(found["cosine"][one][other]), span),
            Cell(share(found["signs"]["agreement"][one][other])),
            Cell(number(overlap["writing"]), f"{number(chance['writing'])} by chance"),
            Cell(number(overlap["reading"]), f"{number(chance['reading'])} by chance"),
        )))  # fmt: skip
    head = (("pair", ""), ("cosine", "over all parameters"), ("same sign", "of elements both move"),
            ("writing", "overlap of column spaces"), ("reading", "overlap of row spaces"))  # fmt: skip
    norms = ", ".join(f"{one['label']} {number(one['norm'], 4)}" for one in document["combinations"])
    return Table("Foretold by geometry", head, tuple(rows), (f"Norms: {norms}.",))


def _measured(suite: Mapping[str, Any], k: float) -> Table:
    names = shown(suite)[:COLUMNS]
    rows = [("", (Cell("the model itself"), *(Cell(_value(suite, name)) for name in names)))]
    for point in suite["points"]:
        if point["strength"] != k:
            continue
        cells = (Cell(*_change(suite, point, "effects", name)) for name in names)
        rows.append(("", (Cell(point["combination"]), *cells)))
        if "additivity" in point:
            cells = (Cell(*_change(suite, point, "additivity", name)) for name in names)
            rows.append(("within", (Cell("", "beyond the sum of those alone"), *cells)))
    outcomes = suite["outcomes"]
    head = [
        (name, ", ".join(filter(None, (*outcomes[name]["parts"], outcomes[name]["unit"])))) for name in names
    ]
    title = f"{suite['suite']}, strength {strength(k)}: effects against the model itself"
    return Table(title, (("combination", ""), *head), tuple(rows), tuple(_notes(suite, k)))


def _notes(suite: Mapping[str, Any], k: float) -> Iterator[str]:
    for one in suite["felt"]:
        if one["strength"] == k:
            yield (
                f"cosine of {' and '.join(one['of'])} as {one['outcome']} feels it: {number(one['value'])} "
                f"(95 % interval {number(one['low'])} to {number(one['high'])})"
            )
    for one in suite["left_out"]:
        if one["strength"] == k:
            yield f"left out: {one['outcome']} of {one['combination']}: {one['why']}"
    more = shown(suite)[COLUMNS:]
    if more:
        yield f"not shown here, and in interference.csv: {', '.join(more)}"


def _value(suite: Mapping[str, Any], name: str) -> str:
    value = suite["base"][name]["value"]
    return share(value) if is_share(suite, name) else number(value)


def _change(suite: Mapping[str, Any], point: Mapping[str, Any], part: str, name: str) -> tuple[str, str]:
    found = point[part].get(name)
    if found is None or found["difference"] is None:
        return NONE, ""
    times = 100 if is_share(suite, name) else 1
    value, low, high = (number(found[key] * times) for key in ("difference", "low", "high"))
    sign = "+" if found["difference"] > 0 else ""
    return f"{sign}{value}{' points' * is_share(suite, name)}", f"{low} to {high}"
