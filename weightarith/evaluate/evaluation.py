"""What a suite found in a model, and its file: stable, and read strictly."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from weightarith.errors import InvalidFileError, quoted
from weightarith.evaluate.outcome import Outcome, Sample
from weightarith.evaluate.pooled import STATISTICS, Pooled

FORMAT = 1
_KEYS = ("weightarith_evaluation", "suite", "model", "seconds", "outcomes", "samples")
_OUTCOME_KEYS = ("kind", "unit", "items", "values")
_POOLED_KEYS = (*_OUTCOME_KEYS, "statistic", "tokens")
_NOT_FINITE = ("nan", "inf", "-inf")  # of a model that has come apart
_SAMPLE_KEYS = ("item", "asked", "answered", "verdict")


@dataclass(frozen=True)
class Evaluation:
    """Numbers of one model.

    Attributes:
        suite: name and version of the suite: numbers of another are not to be compared.
        model: what the model is called.
        outcomes: by "metric.outcome", in the order of the suite.
        samples: what was answered, by metric; only of those that generate.
        seconds: how long it took.
    """

    suite: str
    model: str
    outcomes: dict[str, Outcome]
    samples: dict[str, tuple[Sample, ...]] = field(default_factory=dict)
    seconds: float = field(default=0.0, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it; what was found is kept whole, item by item."""
        return {
            "weightarith_evaluation": FORMAT,
            "suite": self.suite,
            "model": self.model,
            "seconds": round(self.seconds, 3),
            "outcomes": {name: _outcome_json(outcome) for name, outcome in self.outcomes.items()},
            "samples": {
                metric: [{key: getattr(one, key) for key in _SAMPLE_KEYS} for one in samples]
                for metric, samples in self.samples.items()
            },
        }

    def to_text(self) -> str:
        """Return it as the text of a file: a line for what is one, lists of numbers unbroken."""
        return json.dumps(self.to_json(), ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, found: Any, source: str = "evaluation") -> Evaluation:
        """Return the evaluation that JSON holds; `source` names it in errors.

        Raises:
            InvalidFileError: it is something else, or of another format.
        """
        read = _Reader(source)
        content = read.table(found, "it", _KEYS)
        if content["weightarith_evaluation"] != FORMAT:
            read.refuse(f"format {content['weightarith_evaluation']!r}, expected {FORMAT}")
        seconds = read.number(content["seconds"], "seconds")
        outcomes = read.mapping(content["outcomes"], "outcomes")
        samples = read.mapping(content["samples"], "samples")
        return cls(
            read.text(content["suite"], "suite"),
            read.text(content["model"], "model"),
            {name: read.outcome(one, name) for name, one in outcomes.items()},
            {metric: read.samples(rows, metric) for metric, rows in samples.items()},
            seconds,
        )


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = {
        "kind": outcome.kind,
        "unit": outcome.unit,
        "items": list(outcome.items),
        "values": [None if value is None else _spelt(value) for value in outcome.values],
    }
    if isinstance(outcome, Pooled):
        tokens = [[_spelt(number) for number in one] for one in outcome.tokens]
        found |= {"statistic": outcome.statistic, "tokens": tokens}
    return found


def _spelt(number: float) -> float | str:
    """Return a number as JSON has it, which knows neither NaN nor infinity: their names."""
    return number if math.isfinite(number) else str(number)


@dataclass(frozen=True)
class _Reader:
    """Values of JSON, each checked where it stands."""

    source: str

    def refuse(self, why: str) -> NoReturn:
        raise InvalidFileError(
            f"{quoted(self.source)}: {why}", hint="write it anew with weightarith evaluate"
        )

    def mapping(self, found: Any, where: str) -> Mapping[str, Any]:
        if not isinstance(found, dict):
            self.refuse(f"{where} is no object")
        return found

    def table(self, found: Any, where: str, keys: tuple[str, ...]) -> Mapping[str, Any]:
        content = self.mapping(found, where)
        if set(content) != set(keys):
            self.refuse(f"{where} has the keys {', '.join(content) or 'none'}, expected {', '.join(keys)}")
        return content

    def text(self, found: Any, where: str) -> str:
        if not isinstance(found, str):
            self.refuse(f"{where} is {found!r}, expected text")
        return found

    def number(self, found: Any, where: str) -> float:
        if found in _NOT_FINITE:
            return float(found)
        if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
            self.refuse(f"{where} is {found!r}, expected a number")
        return float(found)

    def listing(self, found: Any, where: str) -> list[Any]:
        if not isinstance(found, list):
            self.refuse(f"{where} is no list")
        return found

    def outcome(self, found: Any, name: str) -> Outcome:
        given = self.mapping(found, name)
        content = self.table(given, name, _POOLED_KEYS if "statistic" in given else _OUTCOME_KEYS)
        kind, unit = content["kind"], self.text(content["unit"], f"the unit of {name}")
        items = tuple(self.text(item, f"an item of {name}") for item in self.listing(content["items"], name))
        values = tuple(
            None if value is None else self.number(value, f"a value of {name}")
            for value in self.listing(content["values"], name)
        )
        if kind not in ("share", "mean"):
            self.refuse(f"{name} is of the kind {kind!r}, expected share or mean")
        if len(values) != len(items) or len(set(items)) < len(items):
            self.refuse(f"{name} has {len(items)} items and {len(values)} values, expected a value an item")
        counting = [value for value in values if value is not None and not math.isnan(value)]
        if kind == "share" and not set(counting) <= {0.0, 1.0}:
            self.refuse(f"{name} is a share with a value that is neither 0 nor 1")
        if "statistic" not in content:
            return Outcome(kind, items, values, unit)
        return self.pooled(content, name, Outcome(kind, items, values, unit))

    def pooled(self, content: Mapping[str, Any], name: str, plain: Outcome) -> Pooled:
        if content["statistic"] not in STATISTICS:
            self.refuse(
                f"{name} has the statistic {content['statistic']!r}, expected {', '.join(STATISTICS)}"
            )
        tokens = tuple(
            tuple(self.number(token, f"a token of {name}") for token in self.listing(one, name))
            for one in self.listing(content["tokens"], name)
        )
        counting = [value is not None for value in plain.values]
        if [bool(one) for one in tokens] != counting:
            self.refuse(f"{name} has tokens of {len(tokens)} items, expected those of each that counts")
        return Pooled(plain.kind, plain.items, plain.values, plain.unit, content["statistic"], tokens)

    def samples(self, found: Any, metric: str) -> tuple[Sample, ...]:
        rows = [self.table(row, f"a sample of {metric}", _SAMPLE_KEYS) for row in self.listing(found, metric)]
        return tuple(
            Sample(*(self.text(row[key], f"{key} of a sample of {metric}") for key in _SAMPLE_KEYS))
            for row in rows
        )
