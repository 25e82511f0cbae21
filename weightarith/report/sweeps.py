"""A sweep as a page shows it: points with intervals, methods at equal cost, and what to take from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightarith.errors import InvalidFileError, quoted
from weightarith.report.finished import Finished
from weightarith.report.subject import Subject
from weightarith.report.words import NONE, change, estimate, number, strength
from weightarith.sweep import read_sweep
from weightarith.sweep.folder import DOCUMENT

SIDES = {"negative": "suppress (k < 0)", "positive": "induce (k > 0)"}
ROLES = ("behaviour", "cost", "capability", "off target")


class Sweep(Finished):
    """A finished sweep."""


@dataclass(frozen=True)
class Cell:
    """A value, what stands small below it, and what a mark says of it."""

    value: str
    below: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells under headings; the first `names` columns are words, the rest numbers.

    Attributes:
        title: above it.
        head: of each column a heading and what stands small below it.
        rows: cells, each row with a mark: "strong", "within" or "".
        notes: below it.
        names: columns of words.
    """

    title: str
    head: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    notes: tuple[str, ...] = ()
    names: int = 1


def open_sweep(folder: Path) -> Sweep:
    """Return the sweep in a folder.

    Raises:
        InvalidFileError: there is none, or its document lacks something.
    """
    document = read_sweep(folder)
    needed = ("base", "suite", "run", "methods", "chosen", "points", "matched", "over_runs", "outcomes",
              "behaviour", "cost", "capability", "panel", "safe", "proved", "knee", "recommended", "targets",
              "missing", "left_out", "allowed", "measured")  # fmt: skip
    lacking = [key for key in needed if key not in document]
    if lacking:
        raise InvalidFileError(
            f"{quoted(str(folder / DOCUMENT))} has no {quoted(lacking[0])}", hint="make the sweep again"
        )
    return Sweep(folder, document)


def foreign(sweep: Sweep, subject: Subject) -> str:
    """Return a warning where a sweep is of another run or model than the page is about."""
    told = []
    if sweep.document["run"] not in ("", subject.name):
        told.append(f"it measured {sweep.document['run']}, and this page is about {subject.name}")
    if subject.base and sweep.base != subject.base.rpartition("/")[2] and sweep.base != subject.base:
        told.append(f"its model is called {sweep.base}, the vector's {subject.base}")
    return "; ".join(told)


def outcomes_of(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the outcomes a table shows, each with its role."""
    found = {document["behaviour"]: ROLES[0], document["cost"]: ROLES[1]}
    for name in document["capability"]:
        found.setdefault(name, ROLES[2])
    for name in document["panel"]:
        found.setdefault(name, ROLES[3])
    return found


def recommended(sweep: Sweep) -> dict[str, float]:
    """Return the strengths the sweep recommends, by the side of 0 they are on."""
    return {side: k for side, k in sweep.document["recommended"].items() if k is not None}


def is_share(document: Mapping[str, Any], name: str) -> bool:
    """Return whether an outcome is a share."""
    return bool(document["outcomes"].get(name, {}).get("kind") == "share")


def points_tables(sweep: Sweep) -> tuple[Table, Table | None]:
    """Return the points of the chosen method, and of all others; values with what they gain and cost."""
    document = sweep.document
    own = [one for one in document["points"] if one["method"] in (document["chosen"], "base")]
    others = [one for one in document["points"] if one not in own]
    own.sort(key=lambda one: one["strength"])
    rest = f"The other methods, {len(others)} points"
    first = _points(sweep, f"Every point of {document['chosen']}", own)
    return first, _points(sweep, rest, others) if others else None


def _points(sweep: Sweep, title: str, points: Sequence[Mapping[str, Any]]) -> Table:
    document, taken = sweep.document, set(recommended(sweep).values())
    safe, names = document["safe"], outcomes_of(document)
    rows = []
    for point in points:
        own = point["method"] == document["chosen"]
        inside = own and point["strength"] and safe["low"] <= point["strength"] <= safe["high"]
        mark = "strong" if own and point["strength"] in taken else "within" if inside else ""
        first = (Cell(point["method"]), Cell(strength(point["strength"])))
        rows.append((mark, (*first, *_cells(document, point, names))))
    return Table(title, (("method", ""), ("k", ""), *_heads(document, names)), tuple(rows))


def _heads(document: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, role in names.items():
        counts = {point["estimates"][name]["n"] for point in document["points"] if name in point["estimates"]}
        unit = document["outcomes"].get(name, {}).get("unit") or ""
        sizes = (
            f"n = {min(counts)}"
            if len(counts) == 1
            else f"n = {min(counts)} to {max(counts)}"
            if counts
            else ""
        )
        yield name, ", ".join(filter(None, (role, unit, sizes)))


def _cells(document: Mapping[str, Any], row: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[Cell]:
    for name in names:
        yield Cell(*estimate(row["estimates"].get(name), as_share=is_share(document, name)))


def matched_tables(sweep: Sweep) -> list[Table]:
    """Return the comparison at each cost in each direction: unlike at equal k, methods can be compared."""
    document, found = sweep.document, []
    names = outcomes_of(document)
    for target in document["targets"]:
        for side, title in SIDES.items():
            rows = [row for row in document["matched"] if (row["target"], row["direction"]) == (target, side)]
            if not rows:
                continue
            cells = tuple(_matched(document, row, names) for row in rows)
            head = (("method", ""), ("k", ""), *_heads(document, names), ("p", f"vs {document['chosen']}"))
            notes = [f"{row['method']}: {row['said']}" for row in rows if row["said"]]
            notes += _over_runs(document, target, side)
            found.append(
                Table(f"At {document['cost']} = {number(target)}: {title}", head, cells, tuple(notes))
            )
    return found


def _matched(
    document: Mapping[str, Any], row: Mapping[str, Any], names: Mapping[str, str]
) -> tuple[str, tuple[Cell, ...]]:
    first = (Cell(row["method"]), Cell(strength(row["strength"])))
    last = _against(row, document["behaviour"])
    mark = "strong" if row["method"] == document["chosen"] else ""
    return mark, (*first, *_cells(document, row, names), last)


def _against(row: Mapping[str, Any], behaviour: str) -> Cell:
    found = row["against"].get(behaviour)
    return Cell(number(found["p"], 2) if found else NONE)


def _over_runs(document: Mapping[str, Any], target: float | None, side: str) -> Iterator[str]:
    name = document["behaviour"]
    for row in document["over_runs"]:
        if (row["target"], row["direction"]) == (target, side):
            found = row["estimates"][name]
            ends = {"value": found["mean"], "low": found["low"], "high": found["high"]}
            shown, interval = estimate(ends, as_share=is_share(document, name))
            runs = f"{row['method']} over {len(found['values'])} runs with other seeds: {name} {shown}"
            yield runs + (f", 95 % t-interval {interval}" if interval else "")


def verdict(sweep: Sweep) -> list[tuple[str, str]]:
    """Return what the sweep comes to: a name and a sentence each."""
    document = sweep.document
    safe, proved = document["safe"], document["proved"]
    found = [("safe range", f"k from {strength(safe['low'])} to {strength(safe['high'])}")]
    for side, limit in safe["limits"].items():
        if limit is not None:
            found.append((f"what ends it {side}", _limit(document, limit)))
    if proved["low"] == proved["high"]:
        told = "no strength: the intervals are too wide to rule out a loss beyond the allowed anywhere"
    else:
        told = f"k from {strength(proved['low'])} to {strength(proved['high'])}, by the 95 % bounds"
    found.append(("proved safe", told))
    for key, title in (("knee", "knee of the curve"), ("recommended", "recommended strength")):
        told = ", ".join(
            f"{strength(document[key][side])} to {SIDES[side]}"
            for side in SIDES
            if document[key].get(side) is not None
        )
        found.append((title, told or "none"))
    found += [(f"at k = {strength(k)}", sentence) for k, sentence in _effects(sweep)]
    return found


def _limit(document: Mapping[str, Any], limit: Mapping[str, Any]) -> str:
    if limit["found"] is None:
        return f"{limit['outcome']} has no number at k = {strength(limit['strength'])}"
    as_share = is_share(document, limit["outcome"])
    found, allowed = (number(one * (100 if as_share else 1)) for one in (limit["found"], limit["allowed"]))
    return (
        f"{limit['outcome']} is off by {found}{' points' * as_share} at k = {strength(limit['strength'])}, "
        f"and {allowed} is allowed"
    )


def _effects(sweep: Sweep) -> Iterator[tuple[float, str]]:
    document = sweep.document
    for k in recommended(sweep).values():
        point = point_at(document, document["chosen"], k)
        if point is not None:
            yield (
                k,
                "; ".join(
                    _effect(document, point, name)
                    for name in outcomes_of(document)
                    if name in point["estimates"]
                ),
            )


def _effect(document: Mapping[str, Any], point: Mapping[str, Any], name: str) -> str:
    as_share = is_share(document, name)
    shown, _ = estimate(point["estimates"][name], as_share=as_share)
    paired = point["paired"].get(name)
    return f"{name} {shown}" + (f" ({change(paired['difference'], as_share=as_share)})" if paired else "")


def point_at(document: Mapping[str, Any], method: str, k: float) -> Mapping[str, Any] | None:
    """Return the point of a method at a strength; at 0 that of the base."""
    wanted = (method, k) if k else ("base", 0.0)
    return next((one for one in document["points"] if (one["method"], one["strength"]) == wanted), None)


def left_out(sweep: Sweep) -> list[str]:
    """Return what the sweep could not show, and why."""
    document = sweep.document
    missing = [f"{name}: {why}" for name, why in document["missing"].items()]
    points = document["left_out"]
    return missing + [f"{one['method']} at k = {strength(one['strength'])}: {one['why']}" for one in points]


def strengths_of(sweep: Sweep) -> Sequence[float]:
    """Return the strengths at which the chosen method was measured, in order, 0 among them."""
    document = sweep.document
    own = {one["strength"] for one in document["points"] if one["method"] == document["chosen"]}
    return sorted({0.0, *own})
