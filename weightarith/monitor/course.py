"""What the record of a monitored training looks like in a picture, as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weightarith.plots.monitoring import Course


def courses(record: Mapping[str, Any]) -> list[Course]:
    """Return the course of each watched vector in each training, of what `Monitored.to_json` returns."""
    found = []
    for series in dict.fromkeys(look.get("series", "") for look in record["looks"]):
        looks = [look for look in record["looks"] if look.get("series", "") == series and look["norm"]]
        for label, opposite in record["watched"].items():
            scores = [_of(look, label) for look in looks]
            found.append(
                Course(
                    f"{series}: {label}" if series else label,
                    f"gap to {opposite}" if opposite else "cosine",
                    tuple(look["step"] for look in looks),
                    tuple(one["tested"] or 0.0 for one in scores),
                    tuple(one["band"] or 0.0 for one in scores),
                    tuple(one["threshold"] or 0.0 for one in scores),
                    tuple(bool(one["alarm"]) for one in scores),
                    tuple(record["controls"][label].values()),
                )
            )
    return found


def _of(look: Mapping[str, Any], label: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(one for one in look["vectors"] if one["vector"] == label)
    return found
