"""The journal of a sweep: every measurement in a file of its own, found again by what it is a measurement of.

A file is written whole or not at all, so a run killed at any moment goes on where it was.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from weightarith.errors import InvalidFileError, quoted
from weightarith.evaluate import Evaluation
from weightarith.evaluate.outcome import Outcome
from weightarith.store.stage import disk_error, flush_folder, write_small
from weightarith.sweep.arm import identity_of
from weightarith.tensorfile.jsonfile import read_object

FORMAT = 1
LARGEST = 1 << 30
"""Bytes of a measurement that is read back; samples of long answers may be many megabytes."""


@dataclass(frozen=True)
class Found:
    """A measurement; what came out NaN or infinite is not in it, but named, for no file could hold it."""

    evaluation: Evaluation
    not_finite: tuple[str, ...] = ()


@dataclass(frozen=True)
class Journal:
    """The folder of measurements."""

    folder: Path

    def path(self, of: Mapping[str, Any]) -> Path:
        """Return where the measurement of something is kept."""
        return self.folder / f"{identity_of(of)}.json"

    def read(self, of: Mapping[str, Any]) -> Found | None:
        """Return a measurement, None where there is none yet.

        Raises:
            InvalidFileError: its file is damaged, or of another format.
        """
        path = self.path(of)
        if not path.exists():
            return None
        found = read_object(path, LARGEST)
        if found.get("weightarith_point") != FORMAT or found.get("of") != dict(of):
            raise InvalidFileError(
                f"{quoted(str(path))} is not the measurement its name says",
                hint="remove the file, and it is measured again",
            )
        evaluation = Evaluation.from_json(found.get("evaluation"), str(path))
        return Found(evaluation, tuple(found.get("not_finite", ())))

    def write(self, of: Mapping[str, Any], evaluation: Evaluation) -> Found:
        """Keep a measurement, and return it as it will be read back."""
        broken = [name for name, outcome in evaluation.outcomes.items() if not _is_finite(outcome)]
        kept = {name: found for name, found in evaluation.outcomes.items() if name not in broken}
        found = {
            "weightarith_point": FORMAT,
            "of": dict(of),
            "not_finite": broken,
            "evaluation": replace(evaluation, outcomes=kept).to_json(),
        }
        write_whole(self.path(of), json.dumps(found, ensure_ascii=False, allow_nan=False).encode())
        read = self.read(of)
        if read is None:
            raise InvalidFileError(f"{quoted(str(self.path(of)))} has gone", hint="see what removes it")
        return read


def _is_finite(outcome: Outcome) -> bool:
    return all(value is None or math.isfinite(value) for value in outcome.values)


def json_bytes(found: Mapping[str, Any]) -> bytes:
    """Return an object as JSON, one line a value."""
    return (json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file at once or not at all, in place of what stood there.

    Raises:
        StorageError: the disk said no.
    """
    beside = path.with_name(f".{path.name}.partial")
    try:
        beside.unlink(missing_ok=True)
        write_small(beside, content)
        os.replace(beside, path)  # noqa: PTH105  (what stands there gives way in one step)
        flush_folder(path.parent)
    except OSError as error:
        raise disk_error(error, path) from error
