"""Pictures of interference: cosines beside what was measured, and every effect with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from weightarith.evaluate.statistics import Z95
from weightarith.interference.tables import is_share, shown
from weightarith.plots import Picture, Series, bars
from weightarith.plots.heat import Heat, heat_maps
from weightarith.sweep.tables import number_of

Document = Mapping[str, Any]
SCALE = 4.0
"""Standard errors at the ends of the colour scale."""


def pictures(document: Document) -> dict[str, Picture]:
    """Return all pictures by the names of their files."""
    return {"interference": beside(document), **effects(document)}


def beside(document: Document) -> Picture:
    """Return the cosines of the vectors, and below them how far from additive combinations were measured.

    The unit is the standard error, about a quarter of a 95 % interval: outcomes of all units share it.
    """
    labels = document["vectors"]
    cosines = [[_number(one) for one in row] for row in document["geometry"]["cosine"]]
    maps = [
        Heat(
            cosines, labels, labels, "Foretold: cosine over all parameters", "cosine", (-1, 1), diverging=True
        )
    ]
    joint = [one["label"] for one in document["combinations"] if one["way"] in ("sum", "reject", "ties")]
    for suite in document["suites"]:
        for strength in document["strengths"]:
            points = {
                point["combination"]: point for point in suite["points"] if point["strength"] == strength
            }
            values = [[errors(points[label], name) for name in shown(suite)] for label in joint]
            title = f"Measured: {suite['suite']}, strength {number_of(strength)}"
            maps.append(Heat(
                values, joint, shown(suite), title, "standard errors from additive", (-SCALE, SCALE),
                diverging=True, form="+.1f",
            ))  # fmt: skip
    return heat_maps(maps)


def errors(point: Document, name: str) -> float:
    """Return how many standard errors an effect is from the sum of those alone; NaN where there is none."""
    found = point.get("additivity", {}).get(name)
    if found is None or found["difference"] is None:
        return math.nan
    error = (found["high"] - found["low"]) / (2 * Z95)
    return float(found["difference"] / error) if error else 0.0 if not found["difference"] else math.nan


def effects(document: Document) -> dict[str, Picture]:
    """Return the effect of every combination on the behaviour of each suite, a series for each strength."""
    names = [one["label"] for one in document["combinations"]]
    found = {}
    for place, suite in enumerate(document["suites"], 1):
        outcome = suite["behaviour"] if suite["behaviour"] in suite["outcomes"] else shown(suite)[0]
        series = [_series(suite, outcome, names, strength) for strength in document["strengths"]]
        share = is_share(suite, outcome)
        unit = suite["outcomes"][outcome]["unit"]
        label = f"change of {outcome}" + (f" ({unit})" if unit else "")
        title = f"{suite['suite']}: against the model itself"
        found["effects" if place == 1 else f"effects-{place}"] = bars(
            names, series, title=title, label=label, percent=share
        )
    return found


def _series(suite: Document, outcome: str, names: list[str], strength: float) -> Series:
    points = {point["combination"]: point for point in suite["points"] if point["strength"] == strength}
    told = [points[name]["effects"].get(outcome) for name in names]
    there = [None if one is None or one["difference"] is None else one for one in told]
    return Series(
        f"strength {number_of(strength)}",
        tuple(math.nan if one is None else one["difference"] for one in there),
        tuple(None if one is None else (one["low"], one["high"]) for one in there),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else value
