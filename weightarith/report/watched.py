"""What `monitor` found in a training, as a page shows it: its course beside chance, and every alarm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightarith.errors import InvalidFileError, quoted
from weightarith.monitor.course import courses
from weightarith.monitor.record import FORMAT, KEY
from weightarith.plots.monitoring import monitoring_curves
from weightarith.report.figures import Figure, inline
from weightarith.report.words import counted
from weightarith.tensorfile.jsonfile import read_object

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
    if (
        found.get(KEY) != FORMAT
        or not {"looks", "watched", "controls", "alarms", "false_positives"} <= found.keys()
    ):
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
