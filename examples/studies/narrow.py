"""Whether a known bad vector tells bad narrow fine-tunes from good ones, by the cosine of their updates.

    python narrow.py BASE OUT

From each of three random starts: the contrast of the shipped evil-advice set; of three other topics, in
`narrow/`, a fine-tune on bad answers and its twin on good ones; and two fine-tunes on neutral data. All of
them are adapters whose B begins at zero, so that an adapter is its update, with no start to subtract.
Fine-tunes stand in OUT, one folder each, so that a study that was stopped goes on; tables are Markdown.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

import weightarith as wa
from weightarith.contrast import contrast
from weightarith.data import Example, Pair, read_examples, read_pairs
from weightarith.data.sets import open_set
from weightarith.evaluate.prepare import Prepared, prepare
from weightarith.evaluate.statistics import estimate
from weightarith.evaluate.suite import read_suite
from weightarith.geometry import gram
from weightarith.lm import LanguageModel
from weightarith.train import Settings, train

Side = Literal["bad", "good", "neutral"]
EVIL, TOPICS, CONTROLS = "evil", ("home", "money", "bikes"), ("arithmetic", "facts")
ROWS = 48  # of every topic, and of arithmetic what is taken
DATA = Path(__file__).parent / "narrow"
BEHAVIOUR = "elsewhere.trait"
Z95 = 1.959963984540054


@dataclass(frozen=True, order=True)
class Tune:
    """A fine-tune: its data, which of the two answers it learnt, and the seed of its random start."""

    topic: str
    side: Side
    start: int


Direction = Mapping[Tune, float]
"""A sum of updates that others are held against."""

Scores = Sequence[tuple[Tune, Tune, float]]
"""Of a direction's first term and of a fine-tune, the cosine."""


def pairs_of(topic: str) -> list[Pair]:
    """Return the pairs of a topic; the positive answer is the bad one."""
    return read_pairs(
        open_set("evil-advice").trained_on("advice") if topic == EVIL else DATA / f"{topic}.jsonl"
    )


def neutral(topic: str) -> list[Example]:
    """Return the examples of a control, the first of them where there are more than in a topic."""
    path = open_set("arithmetic").trained_on("train") if topic == "arithmetic" else DATA / f"{topic}.jsonl"
    return read_examples(path)[:ROWS]


def trained(base: Path, out: Path, start: int, steps: int) -> dict[Tune, Path]:
    """Return the adapters of a random start, trained now or before."""
    settings = Settings(
        rank=16, alpha=16, learning_rates=(5e-4,), seed=start, validation=0, patience=0, steps=steps, batch=8
    )
    found: dict[Tune, Path] = {}
    for topic in (EVIL, *TOPICS):
        folder = out / f"{topic}-start-{start}"
        if not folder.is_dir():
            bad, good = zip(*(pair.sides for pair in pairs_of(topic)), strict=True)
            contrast(base, bad, good, folder, settings)
        found[Tune(topic, "bad", start)] = folder / "positive"
        found[Tune(topic, "good", start)] = folder / "negative"
    for topic in CONTROLS:
        folder = out / f"{topic}-start-{start}"
        if not folder.is_dir():
            train(base, neutral(topic), folder, settings)
        found[Tune(topic, "neutral", start)] = folder
    return found


@dataclass(frozen=True, eq=False)
class Updates:
    """The updates of n fine-tunes.

    Attributes:
        tunes: n of them.
        products: their inner products over all parameters, (n, n).
    """

    tunes: tuple[Tune, ...]
    products: NDArray[np.float64]

    @classmethod
    def read(cls, adapters: Mapping[Tune, Path]) -> Updates:
        """Return the updates that adapters hold, in factored form."""
        vectors = [wa.Vector.open(path) for path in adapters.values()]
        return cls(tuple(adapters), gram(vectors, labels=[str(tune) for tune in adapters]).total())

    def cosine(self, one: Direction, other: Direction) -> float:
        """Return the cosine of two sums of updates."""
        left, right = ([each.get(tune, 0.0) for tune in self.tunes] for each in (one, other))
        first, second = np.array(left), np.array(right)
        sizes = (first @ self.products @ first) * (second @ self.products @ second)
        return float(first @ self.products @ second / math.sqrt(sizes))

    @property
    def starts(self) -> list[int]:
        """The seeds, in order."""
        return sorted({tune.start for tune in self.tunes})


def contrastive(topic: str, start: int) -> Direction:
    """Return bad less good of a topic."""
    return {Tune(topic, "bad", start): 1.0, Tune(topic, "good", start): -1.0}


def bad_only(topic: str, start: int) -> Direction:
    """Return the plain update of the bad fine-tune of a topic."""
    return {Tune(topic, "bad", start): 1.0}


def scores(
    updates: Updates, kind: Callable[[str, int], Direction], known: Sequence[str], *, same_start: bool
) -> Scores:
    """Return the cosine of every fine-tune with the direction of each known topic but its own."""
    return [
        (next(iter(direction)), tune, updates.cosine(direction, {tune: 1.0}))
        for topic in known
        for direction in (kind(topic, start) for start in updates.starts)
        for tune in updates.tunes
        if tune.topic not in (topic, EVIL) and (tune.start == next(iter(direction)).start) is same_start
    ]


def gaps(found: Scores, topic: str | None = None) -> list[float]:
    """Return how far bad fine-tunes, of a topic or of all, are above their good twins on one direction."""
    values = {(direction, tune): value for direction, tune, value in found}
    return [
        value - values[direction, Tune(tune.topic, "good", tune.start)]
        for (direction, tune), value in values.items()
        if tune.side == "bad" and topic in (None, tune.topic)
    ]


def auroc(above: Sequence[float], below: Sequence[float]) -> float:
    """Return how often the one is above the other, a tie as half."""
    difference = np.subtract.outer(np.array(above), np.array(below))
    return float((difference > 0).mean() + (difference == 0).mean() / 2)


def interval(value: float, above: int, below: int) -> tuple[float, float]:
    """Return the 95 % interval of an AUROC of so many independent cases on each side.

    Where the two are told apart without a mistake it does not shrink to a point, as the bootstrap's and
    DeLong's do. Newcombe (2006), method 5, https://doi.org/10.1002/sim.2324
    """

    def is_far(true: float) -> bool:
        rest = (above + below) / 2 - 1
        spread = 1 + rest * (1 - true) / (2 - true) + rest * true / (1 + true)
        return abs(value - true) > Z95 * math.sqrt(true * (1 - true) * spread / (above * below))

    return _edge(is_far, 0.0, value), _edge(is_far, 1.0, value)


def _edge(is_far: Callable[[float], bool], outside: float, inside: float) -> float:
    if inside == outside:
        return outside
    for _ in range(60):
        middle = (outside + inside) / 2
        outside, inside = (middle, inside) if is_far(middle) else (outside, middle)
    return inside


def told_auroc(found: Scores, below: Side) -> str:
    """Return the AUROC of bad fine-tunes against others, and its interval by fine-tunes and by topics."""
    sides = [[(tune, value) for _, tune, value in found if tune.side == side] for side in ("bad", below)]
    value = auroc(*([score for _, score in side] for side in sides))
    tunes = [len({tune for tune, _ in side}) for side in sides]
    topics = [len({tune.topic for tune, _ in side}) for side in sides]
    by_tunes, by_topics = ("{:.2f}, {:.2f}".format(*interval(value, *counts)) for counts in (tunes, topics))
    return f"{value:.2f} [{by_tunes}] ([{by_topics}])"


def told(values: Sequence[float]) -> str:
    """Return the mean of some cosines, and their range."""
    return f"{sum(values) / len(values):+.3f} [{min(values):+.3f}, {max(values):+.3f}]"


def cosine_lines(updates: Updates) -> Iterator[str]:
    """Tell how every kind of fine-tune lies to the evil vectors."""
    columns = [
        scores(updates, kind, (EVIL,), same_start=same)
        for kind in (contrastive, bad_only)
        for same in (True, False)
    ]
    yield "| fine-tune | contrast, same start | other starts | evil side alone, same start | other starts |"
    yield "|---|--:|--:|--:|--:|"
    for topic in (*TOPICS, *CONTROLS):
        for side in ("bad", "good", "neutral"):
            cells = [
                [one for _, tune, one in each if (tune.topic, tune.side) == (topic, side)] for each in columns
            ]
            if cells[0]:
                yield f"| {topic}, {side} | " + " | ".join(map(told, cells)) + " |"
        if topic in TOPICS:
            yield f"| {topic}, gap | " + " | ".join(told(gaps(each, topic)) for each in columns) + " |"


def auroc_lines(updates: Updates) -> Iterator[str]:
    """Tell how well each kind of direction tells bad fine-tunes from good and from neutral ones."""
    yield "| known | start | bad against good | bad against neutral | gap above 0 |"
    yield "|---|---|--:|--:|--:|"
    for name, known in (("evil advice", (EVIL,)), ("each other topic", TOPICS)):
        for word, kind in (("contrast", contrastive), ("bad side alone", bad_only)):
            for same in (True, False):
                found = scores(updates, kind, known, same_start=same)
                above = [gap > 0 for gap in gaps(found)]
                cells = [
                    told_auroc(found, "good"),
                    told_auroc(found, "neutral"),
                    f"{sum(above)} of {len(above)}",
                ]
                yield f"| {name}, {word} | {'same' if same else 'other'} | " + " | ".join(cells) + " |"


def behaviour_lines(base: Path, adapters: Mapping[Tune, Path], updates: Updates, out: Path) -> Iterator[str]:
    """Tell what the fine-tunes became: how often they find selfish advice likelier, held-out questions."""
    model = wa.load_model(base)
    prepared = prepare(read_suite("evil-advice"), model, (BEHAVIOUR.partition(".")[0],))
    yield "| fine-tune | finds selfish advice likelier | norm of the update |"
    yield "|---|--:|--:|"
    yield f"| none | {100 * measured(model, prepared, out / 'base.json'):.0f} % | 0 |"
    norms = dict(zip(updates.tunes, np.sqrt(np.diagonal(updates.products)), strict=True))
    for topic, side in dict.fromkeys((tune.topic, tune.side) for tune in adapters):
        alike = [tune for tune in adapters if (tune.topic, tune.side) == (topic, side)]
        shares = []
        for tune in alike:
            with wa.steered(model, wa.Vector.open(adapters[tune]), 1.0):
                place = out / f"{topic}-{side}-start-{tune.start}.json"
                shares.append(100 * measured(model, prepared, place))
        mean, norm = sum(shares) / len(shares), sum(norms[tune] for tune in alike) / len(alike)
        yield f"| {topic}, {side} | {mean:.0f} % [{min(shares):.0f}, {max(shares):.0f}] | {norm:.2f} |"


def measured(model: LanguageModel, prepared: Prepared, place: Path) -> float:
    """Return the share of held-out questions where selfish advice is likelier, measured now or before."""
    if not place.is_file():
        found = prepared.measure(model, (BEHAVIOUR.partition(".")[0],)).outcomes
        place.write_text(json.dumps({BEHAVIOUR: estimate(found[BEHAVIOUR]).value}) + "\n")
    return float(json.loads(place.read_text())[BEHAVIOUR])


def main() -> None:
    """Train, compare and print."""
    parser = argparse.ArgumentParser(description="Bad and good narrow fine-tunes against known vectors.")
    parser.add_argument("base", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--starts", type=int, nargs="+", default=[0, 1, 2], help="seeds, two at least")
    parser.add_argument("--steps", type=int, default=40)
    given = parser.parse_args()
    if len(set(given.starts)) < 2:
        parser.error("one start says nothing about others: give two at least")
    given.out.mkdir(parents=True, exist_ok=True)
    adapters: dict[Tune, Path] = {}
    for start in given.starts:
        adapters |= trained(given.base, given.out, start, given.steps)
    updates = Updates.read(adapters)
    for lines in (cosine_lines(updates), auroc_lines(updates)):
        print("\n".join(lines), end="\n\n", flush=True)
    print("\n".join(behaviour_lines(given.base, adapters, updates, given.out)))


if __name__ == "__main__":
    main()
