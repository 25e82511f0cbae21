"""One loaded model, measured with every combination at every strength by every suite, and what that comes to.

Every number comes from the journal, so a run that was killed goes on where it was and ends in the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightarith.errors import RecipeError
from weightarith.evaluate import Prepared
from weightarith.interference.combinations import DENSITY, Combination, Part, Way, combinations
from weightarith.interference.folder import DOCUMENT, FORMAT, KEY, write
from weightarith.interference.foretold import foretold, sizes
from weightarith.interference.of_suite import OfSuite
from weightarith.lm import LanguageModel
from weightarith.provenance import plain_name
from weightarith.sweep.comparison import Step, Told
from weightarith.sweep.folder import opened
from weightarith.sweep.journal import Journal
from weightarith.sweep.sweep import common
from weightarith.sweep.walk import Walk


@dataclass(frozen=True)
class Settings:
    """What is asked for.

    Attributes:
        strengths: what every combination is multiplied by, one after the other.
        ways: what operators make of the vectors, beside sums.
        density: what TIES keeps of each vector.
    """

    strengths: tuple[float, ...] = (1.0,)
    ways: tuple[Way, ...] = ("reject", "ties")
    density: float = DENSITY

    def __post_init__(self) -> None:
        if not self.strengths or not all(math.isfinite(k) and k for k in self.strengths):
            raise RecipeError("a strength must be a finite number, and not 0")
        if len(set(self.strengths)) < len(self.strengths):
            raise RecipeError("a strength is named twice")

    def to_json(self) -> dict[str, Any]:
        """Return them as JSON has them."""
        return {"strengths": list(self.strengths), "ways": list(self.ways), "density": self.density}


def interference(
    base: LanguageModel,
    parts: Sequence[Part],
    suites: Sequence[Prepared],
    out: Path,
    settings: Settings | None = None,
    *,
    overwrite: bool = False,
    told: Told = lambda _step: None,
) -> dict[str, Any]:
    """Measure vectors alone and together, and write `out`; return the document, `interference.json` there.

    Beside it are `interference.csv`, `interference` and `effects` as `.png` and `.svg`, and `points/`.

    Args:
        base: the model, loaded once, which each of `suites` has looked at.
        parts: two vectors or more.
        suites: what is measured.
        out: the folder.
        settings: strengths and ways.
        overwrite: whether to replace what is finished.
        told: called before each measurement.

    Raises:
        RecipeError: fewer than two vectors, or two vectors or suites of one name.
        TargetError: a finished one stands there, or something else.
    """
    chosen = settings or Settings()
    made = _made(parts, suites, chosen)
    with opened(out, overwrite=overwrite, document=DOCUMENT) as journal:
        told(Step(0, 1, "geometry"))
        geometry, norms = foretold(parts), sizes(made)
        document = {
            KEY: FORMAT, "base": plain_name(base.label), "vectors": [one.label for one in parts],
            **chosen.to_json(), "geometry": geometry,
            "combinations": [_told(one, norms[one.label]) for one in made],
            "suites": _measured(base, made, suites, journal, chosen, told),
        }  # fmt: skip
        write(out, document)
        return document


def _made(parts: Sequence[Part], suites: Sequence[Prepared], of: Settings) -> tuple[Combination, ...]:
    names = [one.suite.label for one in suites]
    if not names or len(set(names)) < len(names):
        raise RecipeError("no suite, or one of them twice", hint="name each suite once")
    return combinations(parts, of.ways, density=of.density)


def _told(one: Combination, norm: float) -> dict[str, Any]:
    return {"label": one.label, "way": one.way, "of": list(one.of), "norm": norm}


def _measured(
    base: LanguageModel, made: Sequence[Combination], suites: Sequence[Prepared], journal: Journal,
    settings: Settings, told: Told,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return what every suite finds; a combination is held in memory no longer than it is measured."""
    found = [OfSuite(Walk(base, one, journal, common(base, one, _SEED))) for one in suites]
    total, done = len(found) * (1 + len(made) * len(settings.strengths)), 0
    for of in found:
        told(Step(done, total, f"{of.label}: the model itself"))
        of.begin()
        done += 1
    for one in made:
        arm = one.arm()
        for strength in settings.strengths:
            for of in found:
                told(Step(done, total, f"{of.label}: {one.label}, strength {strength:g}"))
                of.add(one, arm, strength)
                done += 1
    return [of.document() for of in found]


_SEED = 0
"""Nothing here is random; a sweep's measurements are known by its seed, too."""
