"""What `monitor` found in a training, as a page shows it: its course beside chance, and every alarm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightarith.errors import InvalidFileError, quoted
from weightarith.plots.monitoring import Course, monitoring_curves
from weightarith.report.figures import Figure, inline
from weightarith.report.words import counted
from weightarith.tensorfile.jsonfile import read_object

KEY, FORMAT = "weightarith_monitor", 1
LARGEST = 1 << 28


@dataclass(frozen=True)
class Watch:
    """The record of a monitor.

    Attributes:
        path: its file.
        record: what it holds.
    """

    path: Path
    record: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What the file is called."""
        return self.path.name


def open_watch(path: Path) -> Watch:
    """Return the record that `monitor -o FILE` wrote.

    Raises:
        InvalidFileError: it is something else.
    """
    found = read_object(path, LARGEST)
    if found.get(KEY) != FORMAT or not {"looks", "watched", "alarms", "false_positives"} <= found.keys():
        raise InvalidFileError(
            f"{quoted(str(path))} is no record of a monitor", hint="weightarith monitor … -o FILE writes one"
        )
    return Watch(path, found)


def section(watch: Watch, place: int) -> Mapping[str, Any]:
    """Return what the page shows of it; the names of its drawing begin with `place`."""
    record = watch.record
    drawable = [one for one in courses(record) if one.steps]
    figure = None
    if drawable:
        said = (
            "The course of each watched vector over the steps of the training: grey is where chance stays, "
            "dashed is what an alarm must exceed, a ring is an alarm."
        )
        figure = Figure(inline(monitoring_curves(drawable), f"w{place}-course", said), said)
    alarms = [
        f"{one['series'] + ', ' if one.get('series') else ''}step {one['step']}: {one['vector']}"
        for one in record["alarms"]
    ]
    rate = f"{record['false_positives']:g}"
    headline = (
        f"{counted(len(record['looks']), 'checkpoint')} held against "
        f"{counted(len(record['watched']), 'vector')}: {counted(len(alarms), 'alarm')}. "
        f"False positives: at most {rate} a run."
    )
    warnings = record.get("warnings", [])
    return {
        "watch": watch, "figure": figure, "alarms": alarms, "headline": headline, "warnings": warnings,
    }  # fmt: skip


def courses(record: Mapping[str, Any]) -> list[Course]:
    """Return the course of each watched vector in each training of a record."""
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
                    _controls(record, looks),
                )
            )
    return found


def _of(look: Mapping[str, Any], label: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(one for one in look["vectors"] if one["vector"] == label)
    return found


def _controls(record: Mapping[str, Any], looks: list[Mapping[str, Any]]) -> dict[str, tuple[float, ...]]:
    return {label: tuple(look["controls"][label] for look in looks) for label in record.get("controls", ())}
