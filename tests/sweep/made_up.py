"""Models, methods and suites whose numbers are formulas, so that a sweep's answers are known."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from weightarith.evaluate import Evaluation, Outcome, Prepared, Suite
from weightarith.evaluate.suite import Spec
from weightarith.lm import LanguageModel
from weightarith.recipe.strictyaml import Place
from weightarith.sweep.arm import Arm, identity_of

ITEMS = tuple(f"q{number}" for number in range(100))


@dataclass(frozen=True)
class Model:
    """A model of which only the way it is steered is known."""

    label: str = "made up"
    k: float = 0.0
    effect: float = 0.0
    damage: float = 0.0
    system: str | None = None
    batch_tokens: int = 64

    @property
    def network(self) -> Any:
        return SimpleNamespace(state_dict=dict)

    @property
    def tokenizer(self) -> Any:
        return SimpleNamespace(get_vocab=dict, chat_template="")

    @property
    def device(self) -> Any:
        return SimpleNamespace(type="cpu")


@dataclass
class Way:
    """A method: k moves the behaviour by `effect` and costs `damage`·k²."""

    name: str
    effect: float
    damage: float
    strengths: tuple[float, ...] = ()

    @contextmanager
    def at(self, model: LanguageModel, strength: float) -> Iterator[LanguageModel]:
        made = Model(model.label, strength, self.effect, self.damage)
        yield cast(LanguageModel, made)


def arm(name: str, effect: float, damage: float, strengths: tuple[float, ...] = ()) -> Arm:
    return Arm(Way(name, effect, damage, strengths), identity_of({"way": [name, effect, damage, strengths]}))


def base() -> LanguageModel:
    return cast(LanguageModel, Model())


def shares(part: float) -> Outcome:
    """A share of `part`, the first items first."""
    return Outcome("share", ITEMS, tuple(float(place < round(part * 100)) for place in range(100)))


def means(value: float, unit: str) -> Outcome:
    """A mean of `value`, items spread around it."""
    spread = [0.1 * value * math.sin(place) for place in range(100)]
    off = sum(spread) / 100
    return Outcome("mean", ITEMS, tuple(value + one - off for one in spread), unit)


@dataclass
class MadeUp:
    """A prepared suite that counts what it is asked, and stops where it is told to.

    Behaviour is `ask.trait`, 0.5 at strength 0; `know.correct` loses a point for each 0.1 of cost, and
    `refuse.benign` moves by a tenth of it.
    """

    suite: Suite
    asked: list[tuple[str, float]] = field(default_factory=list)
    stop_at: int = -1
    lacking: Collection[str] = ()
    broken_from: float = math.inf

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(self.suite.metrics)

    def measure(self, model: LanguageModel, only: Collection[str] | None = None) -> Evaluation:
        if len(self.asked) == self.stop_at:
            raise KeyboardInterrupt
        one = cast(Model, model)
        names = ("ask", "know", "kl", "refuse") if only is None else tuple(only)
        self.asked.append(("+".join(names), one.k))
        cost = one.damage * one.k**2
        numbers = {
            "ask.trait": shares(min(max(0.5 + one.effect * one.k, 0.0), 1.0)),
            "know.correct": shares(0.9 - 0.1 * cost),
            "kl.response": means(math.nan if abs(one.k) >= self.broken_from else cost, "nats/token"),
            "refuse.benign": shares(0.1 + 0.1 * cost),
        }
        kept = {
            name: outcome
            for name, outcome in numbers.items()
            if name.partition(".")[0] in names and name not in self.lacking
        }
        return Evaluation("made up 1", one.label, kept, {}, seconds=len(self.asked) * 0.37)


def suite(folder: Path) -> Suite:
    path = folder / "suite.yaml"
    path.write_text("made up", encoding="utf-8")
    place = Place("suite.yaml", 1, 1)
    kinds = {"ask": "preference", "know": "preference", "kl": "divergence", "refuse": "refusal"}
    return Suite(
        path, "made up", "1", "ask.trait", "kl.response", ("know.correct",), ("refuse.benign",),
        {name: Spec(kind, None, {}, place) for name, kind in kinds.items()},
    )  # fmt: skip


def made_up(folder: Path, **settings: Any) -> MadeUp:
    return MadeUp(suite(folder), **settings)


def prepared(of: MadeUp) -> Prepared:
    return cast(Prepared, of)


def values(document: Any, method: str, outcome: str) -> dict[float, float]:
    """Return a method's numbers by strength, 0 among them."""
    return {
        point["strength"]: point["estimates"][outcome]["value"]
        for point in document["points"]
        if point["method"] in (method, "base")
    }


def strengths(document: Any, methods: Sequence[str]) -> dict[str, list[float]]:
    """Return the strengths of the points of methods."""
    return {
        method: [point["strength"] for point in document["points"] if point["method"] == method]
        for method in methods
    }
