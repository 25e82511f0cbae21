"""What a metric finds: one number an item, so that two models can be compared on the same items."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from weightarith.lm import LanguageModel

Kind = Literal["share", "mean"]


@dataclass(frozen=True)
class Outcome:
    """A quantity over items.

    Attributes:
        kind: "share" where every value is 0 or 1, "mean" where it is any number.
        items: what was asked, by identifier; the same for every model.
        values: one an item, None where the item does not count for this model; NaN where the model's scores
            are no numbers, and then the whole outcome has no value.
        unit: of the values, "" for shares.
    """

    kind: Kind
    items: tuple[str, ...]
    values: tuple[float | None, ...]
    unit: str = ""


def share(
    items: tuple[str, ...],
    hits: Sequence[bool],
    counts: Sequence[bool] | None = None,
    broken: Sequence[bool] | None = None,
) -> Outcome:
    """Return a share of items: 1 for a hit, 0 for none.

    Args:
        items: what was asked.
        hits: whether each is one.
        counts: None stands where it does not; every item by default.
        broken: NaN stands where the scores are no numbers, whatever they seem to say; nowhere by default.
    """
    values = [float(hit) if count else None for hit, count in zip(hits, counts or _every(items), strict=True)]
    for place, lost in enumerate(broken or ()):
        values[place] = math.nan if lost else values[place]
    return Outcome("share", items, tuple(values))


def _every(items: Sequence[str]) -> list[bool]:
    return [True] * len(items)


@dataclass(frozen=True)
class Sample:
    """A question and what was answered, kept to be read."""

    item: str
    asked: str
    answered: str
    verdict: str = ""


@dataclass(frozen=True)
class Measured:
    """What one metric found in one model."""

    outcomes: dict[str, Outcome]  # by name: "trait", "correct", …
    samples: tuple[Sample, ...] = field(default=())


class Metric(Protocol):
    """A way to measure a model."""

    def measure(self, model: LanguageModel) -> Measured:
        """Return what is found; the model is left as it was."""
        ...


class Relative(Protocol):
    """A way to measure a model against another one, looked at beforehand."""

    def against(self, base: LanguageModel) -> Metric:
        """Return the metric that compares with `base`, which may change afterwards."""
        ...
