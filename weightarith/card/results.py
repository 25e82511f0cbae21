"""Results as tables: a sweep's points along the strength, or an evaluation's outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from weightarith.card.facts import Measured
from weightarith.card.markdown import code, plain
from weightarith.card.numbers import estimate, number
from weightarith.errors import InvalidFileError

SWEEP, EVALUATION = "weightarith_sweep", "weightarith_evaluations"
FORMAT = 1


def measured(document: Mapping[str, Any], where: str) -> tuple[Measured, ...]:
    """Return the tables of a `sweep.json`, or of what `evaluate -o` writes.

    Raises:
        InvalidFileError: it is neither, or lacks something.
    """
    kind = next((key for key in (SWEEP, EVALUATION) if key in document), "")
    if not kind or document[kind] != FORMAT:
        raise InvalidFileError(
            f"{where} holds neither a sweep nor an evaluation of format {FORMAT}",
            hint="weightarith sweep writes sweep.json, weightarith evaluate -o the other",
        )
    try:
        return (_sweep(document) if kind == SWEEP else _evaluation(document),)
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise InvalidFileError(
            f"{where} is not what a {kind.removeprefix('weightarith_')} writes: {error!r}",
            hint="make it again",
        ) from error


def _sweep(document: Mapping[str, Any]) -> Measured:
    names = _outcomes(document)
    rows = [one for one in document["points"] if one["method"] in ("base", document["chosen"])]
    rows.sort(key=lambda one: one["strength"])
    counts = sorted({found["n"] for one in rows for found in one["estimates"].values() if "n" in found})
    items = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else "".join(map(str, counts))
    head = ("strength", *(f"{plain(name)} ({role})" for name, role in names.items()))
    notes = [f"Values with 95 % intervals; n = {items} items an outcome.", *_verdict(document)]
    notes += [f"Not measured: {plain(name)}, {plain(why)}." for name, why in document["missing"].items()]
    title = f"Suite {code(str(document['suite']))}, method {code(str(document['chosen']))}"
    return Measured(title, head, tuple(_point(document, row, names) for row in rows), tuple(notes), names=0)


def _outcomes(document: Mapping[str, Any]) -> dict[str, str]:
    found = {document["behaviour"]: "behaviour", document["cost"]: "cost"}
    for key, role in (("capability", "capability"), ("panel", "off target")):
        for name in document[key]:
            found.setdefault(name, role)
    return found


def _point(document: Mapping[str, Any], row: Mapping[str, Any], names: Mapping[str, str]) -> tuple[str, ...]:
    strength = number(row["strength"])
    taken = row["strength"] in document["recommended"].values()
    cells = (
        estimate(row["estimates"].get(name), share=document["outcomes"][name]["kind"] == "share")
        for name in names
    )
    return (f"**{strength}**" if taken else strength, *cells)


def _verdict(document: Mapping[str, Any]) -> list[str]:
    safe, proved = document["safe"], document["proved"]
    told = [f"Safe range of the strength: {number(safe['low'])} to {number(safe['high'])}."]
    if proved["low"] == proved["high"]:
        told.append("By the 95 % bounds no strength is proved safe: the intervals are too wide.")
    else:
        told.append(f"Proved by the 95 % bounds: {number(proved['low'])} to {number(proved['high'])}.")
    sides = {"negative": "to suppress", "positive": "to induce"}
    best = [
        f"{number(document['recommended'][side])} {what}"
        for side, what in sides.items()
        if document["recommended"].get(side) is not None
    ]
    return [*told, f"Recommended: {', '.join(best) or 'none'}."]


def _evaluation(document: Mapping[str, Any]) -> Measured:
    against = document["against"]
    kinds = {name: one["kind"] for name, one in document["evaluations"][0]["outcomes"].items()}
    rows = tuple(_row(row, kinds, against is not None) for row in document["outcomes"])
    head: Sequence[str] = ("outcome", "value", "n", *(["change"] if against is not None else []))
    notes = ["Values with 95 % intervals."]
    return Measured(f"Suite {code(str(document['suite']))}", tuple(head), rows, tuple(notes))


def _row(row: Mapping[str, Any], kinds: Mapping[str, str], compared: bool) -> tuple[str, ...]:
    share = kinds[row["outcome"]] == "share"
    cells = (plain(row["outcome"]), estimate(row, share=share), str(row.get("n", "")))
    if not compared:
        return cells
    change = row["change"] or {}
    return (*cells, estimate({**change, "value": change.get("difference")}, share=share))
