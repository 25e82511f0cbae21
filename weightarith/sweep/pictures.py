"""The pictures of a sweep, made from its document: the trade-off, and the way along the strength.

In the trade-off each method is a line that begins at the unsteered model, and a darker mark is a larger
strength, as in the figures of Fierro and Roger (2026), https://arxiv.org/abs/2511.05408
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from weightarith.plots import Band, Line, Panel, Picture, line_panels

Document = Mapping[str, Any]
Row = Mapping[str, Any]

_SIDES = {-1: "k < 0: suppressed", 1: "k > 0: induced"}


def pictures(document: Document) -> dict[str, Picture]:
    """Return all pictures by the names of their files: a curve for each capability number, and strength."""
    curves = {
        "curve" if not number else f"curve-{number + 1}": curve(document, capability)
        for number, capability in enumerate(document["capability"])
    }
    return {**curves, "strength": by_strength(document)}


def curve(document: Document, capability: str) -> Picture:
    """Return behaviour against a capability number, a panel for each sign of the strength."""
    signs = [sign for sign in _SIDES if any(point["strength"] * sign > 0 for point in document["points"])]
    return line_panels([_trade_off(document, capability, sign) for sign in signs])


def by_strength(document: Document) -> Picture:
    """Return what the chosen method does and costs against its strength, the safe range shaded."""
    names = dict.fromkeys((document["behaviour"], *document["capability"], document["cost"]))
    return line_panels([_along(document, name) for name in names])


def _trade_off(document: Document, capability: str, sign: int) -> Panel:
    behaviour = document["behaviour"]
    base = next(point for point in document["points"] if not point["strength"])
    lines = []
    for number, method in enumerate(document["methods"]):
        walked = _of(document, method, sign)
        if walked:
            lines.append(_line(method, number, [base, *walked], capability, behaviour, number == 0))
    start = (base["estimates"][capability]["value"], base["estimates"][behaviour]["value"], "base, k = 0")
    return Panel(
        _SIDES[sign], _titled(document, capability), _titled(document, behaviour), tuple(reversed(lines)),
        start=start, x_percent=_is_share(document, capability), y_percent=_is_share(document, behaviour),
    )  # fmt: skip


def _of(document: Document, method: str, sign: int) -> list[Row]:
    own = [
        point for point in document["points"] if point["method"] == method and point["strength"] * sign > 0
    ]
    return sorted(own, key=lambda point: abs(point["strength"]))


def _line(method: str, number: int, rows: Sequence[Row], x: str, y: str, strong: bool) -> Line:
    sizes = [abs(row["strength"]) for row in rows]
    return Line(
        method,
        tuple(row["estimates"][x]["value"] for row in rows),
        tuple(row["estimates"][y]["value"] for row in rows),
        tuple(_ends(row, x) for row in rows),
        tuple(_ends(row, y) for row in rows),
        tuple(size / max(sizes) for size in sizes),
        number,
        strong=strong,
        hollow=True,
    )


def _along(document: Document, name: str) -> Panel:
    chosen, safe = document["chosen"], document["safe"]
    rows = [point for point in document["points"] if point["method"] == chosen or not point["strength"]]
    rows = sorted(rows, key=lambda point: point["strength"])
    line = Line(
        "",
        tuple(row["strength"] for row in rows),
        tuple(row["estimates"][name]["value"] for row in rows),
        y_bars=tuple(_ends(row, name) for row in rows),
        strong=True,
    )
    band = (Band(safe["low"], safe["high"], "safe"),) if safe["low"] < safe["high"] else ()
    roles = {document["behaviour"]: "behaviour", document["cost"]: "cost"}
    role = roles.get(name, "capability")
    return Panel(
        f"{role} of {chosen}",
        "strength k",
        _titled(document, name),
        (line,),
        band,
        y_percent=_is_share(document, name),
    )


def _ends(row: Row, name: str) -> tuple[float, float]:
    found = row["estimates"][name]
    low, high = (math.nan if found[key] is None else float(found[key]) for key in ("low", "high"))
    return low, high


def _titled(document: Document, name: str) -> str:
    unit = document["outcomes"][name]["unit"]
    return f"{name} ({unit})" if unit else name


def _is_share(document: Document, name: str) -> bool:
    return bool(document["outcomes"][name]["kind"] == "share")
