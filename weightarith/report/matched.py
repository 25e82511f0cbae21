"""Methods at equal cost in a picture: what each does to the behaviour there, and which miss the cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from weightarith.plots import Picture, Series, bars
from weightarith.report.figures import Figure, inline
from weightarith.report.sweeps import SIDES, Sweep, is_share
from weightarith.report.words import number

MATCHED = "matched"


def figures(sweep: Sweep, place: int) -> list[Figure]:
    """Return a drawing for each cost that methods were compared at, its names beginning with `place`."""
    document = sweep.document
    found = []
    for at, target in enumerate(document["targets"]):
        rows = [row for row in document["matched"] if row["target"] == target and row["estimates"]]
        if rows:
            said = (
                f"{document['behaviour']} of every method where {document['cost']} is {number(target)}; "
                "thin lines are 95 % intervals, the dashed one is the model itself. A method marked * has, "
                "in one direction at least, no strength of that cost, and stands at the nearest there is."
            )
            drawn = _bars(document, rows)
            found.append(Figure(inline(drawn, f"s{place}-matched-{at}", said), said))
    return found


def _bars(document: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Picture:
    behaviour = document["behaviour"]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    missed = {row["method"] for row in rows if row["status"] != MATCHED}
    series = []
    for side, title in SIDES.items():
        own = {row["method"]: row["estimates"].get(behaviour) for row in rows if row["direction"] == side}
        if any(own.values()):
            told = [own.get(method) for method in methods]
            series.append(Series(title, tuple(map(_value, told)), tuple(map(_ends, told))))
    names = [f"{method} *" if method in missed else method for method in methods]
    unit = document["outcomes"].get(behaviour, {}).get("unit") or ""
    label = f"{behaviour} ({unit})" if unit else behaviour
    return bars(names, series, label=label, percent=is_share(document, behaviour), mark=_base(document))


def _base(document: Mapping[str, Any]) -> float:
    base = next(point for point in document["points"] if not point["strength"])
    return _value(base["estimates"].get(document["behaviour"]))


def _value(found: Mapping[str, Any] | None) -> float:
    return math.nan if found is None or found["value"] is None else float(found["value"])


def _ends(found: Mapping[str, Any] | None) -> tuple[float, float] | None:
    if found is None or found["low"] is None or found["high"] is None:
        return None
    return float(found["low"]), float(found["high"])
