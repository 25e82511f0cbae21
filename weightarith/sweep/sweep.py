"""A sweep from beginning to end: a loaded model, methods and a suite in, a folder and its document out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from weightarith.evaluate import Prepared
from weightarith.lm import LanguageModel
from weightarith.sweep.arm import Arm, files_identity, model_identity
from weightarith.sweep.comparison import Told, compare
from weightarith.sweep.folder import opened, write
from weightarith.sweep.lineup import LineUp
from weightarith.sweep.settings import Settings
from weightarith.sweep.walk import Walk

MEASURES_WITH = ("weightarith", "torch", "transformers")
"""Packages whose version may change a number's last digit."""


def sweep(
    base: LanguageModel,
    methods: LineUp | Sequence[Arm] | Callable[[Walk], LineUp],
    prepared: Prepared,
    out: Path,
    settings: Settings | None = None,
    *,
    seed: int = 0,
    overwrite: bool = False,
    told: Told = lambda _step: None,
) -> dict[str, Any]:
    """Measure methods at strengths, compare them at equal cost, and write `out`; return the document.

    The folder holds `sweep.json` (the document), `sweep.csv`, `curve` (behaviour against the first
    capability number; `curve-2` against the second, and so on) and `strength` as `.png` and `.svg`, and
    `points/`, a file for each measurement. A run that was killed goes on from those and ends in
    the same bytes; equal models, methods, suites and seeds give equal documents on one machine.

    Args:
        base: the model, loaded once.
        methods: the first is the chosen one; or what makes them, given what measures.
        prepared: the suite, which has looked at `base`.
        out: the folder.
        settings: strengths, costs to match, tolerances.
        seed: of what is random in the methods; part of what a measurement is known by.
        overwrite: whether a finished sweep may be replaced; its measurements are used.
        told: called before each measurement.

    Raises:
        TargetError: a finished sweep stands there, or something else.
        InvalidFileError: a number that the suite names is not measured.
    """
    with opened(out, overwrite=overwrite) as journal:
        walk = Walk(base, prepared, journal, common(base, prepared, seed))
        lineup = methods(walk) if callable(methods) else methods
        if not isinstance(lineup, LineUp):
            lineup = LineUp(tuple(lineup))
        document = compare(walk, lineup, settings or Settings(), told)
        write(out, document)
    return document


def common(base: LanguageModel, prepared: Prepared, seed: int) -> dict[str, Any]:
    """Return what all measurements of a sweep have in common."""
    return {
        "model": model_identity(base),
        "suite": files_identity(*prepared.suite.files),
        "metrics": sorted(prepared.metrics),
        "seed": seed,
        "versions": {name: version(name) for name in MEASURES_WITH},
    }
