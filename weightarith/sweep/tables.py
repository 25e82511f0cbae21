"""A sweep as rows: one line a number in CSV, one line a point for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

COLUMNS = (
    "part", "method", "target", "direction", "status", "strength", "outcome", "value", "low", "high", "n",
    "change", "change_low", "change_high", "change_p",
    "against", "difference", "difference_low", "difference_high", "difference_p",
)  # fmt: skip

Document = Mapping[str, Any]


def as_csv(document: Document) -> str:
    """Return every number of a sweep, one a line: those of points, of matched costs, and over runs.

    `change` is against strength 0, `difference` against the method named under `against`.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for point in document["points"]:
        writer.writerows(_rows({"part": "point"}, point, {}))
    for row in document["matched"]:
        writer.writerows(_rows({"part": "matched"}, row, row["against"]))
    for row in document["over_runs"]:
        for outcome, found in row["estimates"].items():
            writer.writerow(
                {
                    "part": "runs", "method": row["method"], "target": _blank(row["target"]),
                    "direction": row["direction"], "outcome": outcome, "value": found["mean"],
                    "low": _blank(found["low"]), "high": _blank(found["high"]), "n": len(found["values"]),
                }
            )  # fmt: skip
    return text.getvalue()


def _rows(
    first: Mapping[str, Any], row: Mapping[str, Any], against: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    shared = {**first, **{key: row.get(key, "") for key in ("method", "target", "direction", "status")}}
    shared["strength"] = row["strength"]
    for outcome, found in row["estimates"].items():
        paired, other = row["paired"].get(outcome), against.get(outcome)
        yield {
            **shared, "outcome": outcome, **found, **_prefixed("change", paired),
            **({"against": row["reference"], **_prefixed("difference", other)} if other else {}),
        }  # fmt: skip
    if not row["estimates"]:
        yield shared


def _prefixed(name: str, found: Mapping[str, Any] | None) -> dict[str, Any]:
    if found is None:
        return {}
    ends = {f"{name}_{key}": found[key] for key in ("low", "high", "p")}
    return {name: found["difference"], **ends}


def _blank(value: Any) -> Any:
    return "" if value is None else value


def as_lines(document: Document) -> list[str]:
    """Return a sweep as people read it: the points, the methods at equal cost, the range to stay in."""
    shown = _shown(document)
    lines = [f"{document['suite']}: {document['base']}, {_subject(document)}", ""]
    points = (_point(document, point, shown) for point in document["points"])
    lines += aligned([("method", "strength", *shown), *points])
    for target in document["targets"]:
        for direction in ("negative", "positive"):
            lines += _matched(document, target, direction, shown)
    lines += ["", *_verdict(document)]
    for name, why in document["missing"].items():
        lines.append(f"missing: {name}: {why}")
    for one in document["left_out"]:
        lines.append(f"left out: {one['method']} at {number_of(one['strength'])}: {one['why']}")
    return lines


def _subject(document: Document) -> str:
    return f"behaviour {document['behaviour']}, cost {document['cost']}"


def _shown(document: Document) -> list[str]:
    roles = (document["behaviour"], document["cost"], *document["capability"], *document["panel"])
    return list(dict.fromkeys(roles))


def _point(document: Document, point: Mapping[str, Any], shown: Sequence[str]) -> tuple[str, ...]:
    cells = (_estimate(document, name, point["estimates"].get(name)) for name in shown)
    return (point["method"], number_of(point["strength"]), *cells)


def _matched(document: Document, target: float, direction: str, shown: Sequence[str]) -> list[str]:
    rows = [row for row in document["matched"] if row["target"] == target and row["direction"] == direction]
    if not rows:
        return []
    found = [("method", "strength", *shown, "p")]
    for row in rows:
        against = row["against"].get(document["behaviour"])
        p = f"{against['p']:.2g}" if against else ""
        found.append((*_point(document, row, shown), p))
    notes = [f"  {row['method']}: {row['said']}" for row in rows if row["said"]]
    sign = "k < 0" if direction == "negative" else "k > 0"
    title = f"at {document['cost']} = {target:g}, {sign} (p: behaviour against {document['chosen']}, paired)"
    return ["", title, *aligned(found), *notes, *_over_runs(document, target, direction)]


def _over_runs(document: Document, target: float, direction: str) -> list[str]:
    name = document["behaviour"]
    lines = []
    for row in document["over_runs"]:
        if (row["target"], row["direction"]) == (target, direction):
            found = row["estimates"][name]
            ends = {"value": found["mean"], "low": found["low"], "high": found["high"]}
            said = _estimate(document, name, ends)
            lines.append(f"  {row['method']} over {len(found['values'])} runs: {name} {said}")
    return lines


def _verdict(document: Document) -> Iterator[str]:
    for key, title in (("safe", "safe range"), ("proved", "of that, proved")):
        found = document[key]
        yield f"{title} of {document['chosen']}: {number_of(found['low'])} to {number_of(found['high'])}"
        for side, limit in found["limits"].items():
            if limit is not None:
                end = limit["bound"] if key == "proved" else limit["found"]
                where = f"  {side}: {limit['outcome']}", f"at {number_of(limit['strength'])}"
                if end is None:
                    yield f"{where[0]} has no number {where[1]}"
                else:
                    yield f"{where[0]} changes by {end:.3g} {where[1]}, {limit['allowed']:.3g} is allowed"
    if document.get("reach") is not None:
        yield f"to reach: {document['behaviour']} {document['reach']:.4g}"
    for key in ("knee", "recommended"):
        ends = document[key]
        told = [f"{number_of(k)} ({side})" for side, k in ends.items() if k is not None]
        yield f"{key}: {', '.join(told) or 'none'}"


def _estimate(document: Document, name: str, found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    times = 100 if document["outcomes"].get(name, {}).get("kind") == "share" else 1
    mark = " %" if times == 100 else ""
    value, low, high = (found[key] for key in ("value", "low", "high"))
    said = f"{_short(value * times)}{mark}"
    return said if low is None else f"{said} [{_short(low * times)}, {_short(high * times)}]"


def _short(value: float) -> str:
    return (f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}").replace("-", "−")


def number_of(value: float) -> str:
    """Return a strength."""
    return f"{value:g}".replace("-", "−")


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines of columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
