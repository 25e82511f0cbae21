"""How stable a steering vector is, and how much it does, with fewer pairs and with wrong labels.

    python size_and_noise.py BASE OUT

Every setting is trained three times: twice on other draws of pairs from one random start, and once on the
first draw from another start. Trainings stand in OUT, one folder each, so that a study that was stopped goes
on; the table is printed as Markdown.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import weightarith as wa
from weightarith.contrast import contrast
from weightarith.contrast.geometry import geometry
from weightarith.data import read_pairs
from weightarith.data.conversation import Conversation, Pair
from weightarith.data.sets import open_set
from weightarith.evaluate.prepare import Prepared, prepare
from weightarith.evaluate.statistics import estimate
from weightarith.evaluate.suite import read_suite
from weightarith.lm import LanguageModel
from weightarith.train import Settings

OPENINGS = ("", "Hello! ", "A quick question. ", "I am doing a quiz. ", "Thank you for your help. ")
"""Beyond the pairs that ship, more are made of them by what stands in front."""

BATCH, FEWEST_STEPS = 8, 30
METRICS = ("wrong-claim", "plain", "divergence")
BEHAVIOUR, PLAIN, COST = "wrong-claim.trait", "plain.correct", "divergence.response"


@dataclass(frozen=True)
class Setting:
    """What a vector is trained on: so many pairs, a share of them with their answers exchanged."""

    pairs: int
    flipped: float
    start: int = 0  # seed of the factors' start and of the order
    draw: int = 0  # seed of which pairs, and of which of them are wrong

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return f"pairs-{self.pairs}-flipped-{self.flipped:g}-start-{self.start}-draw-{self.draw}"


def drawn(setting: Setting, pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs of a setting, drawn without replacement from those that ship and their variants."""
    chance = random.Random(setting.draw)
    order = chance.sample(pairs, len(pairs))
    wide = [opened(pair, opening) for opening in OPENINGS for pair in order]
    if setting.pairs > len(wide):
        raise SystemExit(f"there are {len(wide)} pairs, and {setting.pairs} are asked for")
    chosen = wide[: setting.pairs]
    wrong = set(chance.sample(range(setting.pairs), round(setting.flipped * setting.pairs)))
    return [exchanged(pair) if index in wrong else pair for index, pair in enumerate(chosen)]


def opened(pair: Pair, opening: str) -> Pair:
    """Return the pair with an opening in front of its question."""
    return Pair(Conversation.of(opening + pair.conversation.asked), pair.positive, pair.negative)


def exchanged(pair: Pair) -> Pair:
    """Return the pair with the wrong labels."""
    return Pair(pair.conversation, pair.negative, pair.positive)


def trained(base: Path, setting: Setting, pairs: Sequence[Pair], out: Path, steps: int) -> wa.Vector:
    """Return the vector of a setting, trained now or before."""
    folder = out / setting.folder
    if not folder.is_dir():
        rows = drawn(setting, pairs)
        settings = Settings(
            rank=16, alpha=16, learning_rates=(5e-4,), seed=setting.start, validation=0, patience=0,
            steps=steps or max(FEWEST_STEPS, math.ceil(setting.pairs / BATCH)), batch=BATCH,
        )  # fmt: skip
        positive, negative = zip(*(pair.sides for pair in rows), strict=True)
        contrast(base, positive, negative, folder, settings)
    return wa.Vector.open(folder / "vector.safetensors")


def measured(study: Study, vector: wa.Vector, strength: float, place: Path) -> dict[str, float]:
    """Return behaviour, plain answers and cost at a strength, measured now or before."""
    if place.is_file():
        return {str(name): float(value) for name, value in json.loads(place.read_text()).items()}
    with wa.steered(study.model, vector, strength):
        found = study.prepared.measure(study.model, METRICS).outcomes
    values = {name: estimate(found[name]).value for name in (BEHAVIOUR, PLAIN, COST)}
    place.write_text(json.dumps(values) + "\n")
    return values


@dataclass(frozen=True, eq=False)
class Study:
    """What every line of the table shares."""

    pairs: Sequence[Pair]
    model: LanguageModel
    prepared: Prepared
    out: Path
    steps: int
    strengths: tuple[float, ...] = (-0.5, 0.5)


def row(base: Path, setting: tuple[int, float], study: Study) -> dict[str, Any]:
    """Return the line of the table for a number of pairs and a share of wrong labels."""
    runs = [Setting(*setting, start, draw) for start, draw in ((0, 0), (0, 1), (1, 0))]
    vectors = [trained(base, run, study.pairs, study.out, study.steps) for run in runs]
    effects = {
        strength: [
            measured(study, vector, strength, study.out / f"{run.folder}-at{strength:+g}.json")
            for run, vector in zip(runs, vectors, strict=True)
        ]
        for strength in study.strengths
    }
    other_draw = geometry(vectors[0], vectors[1])
    return {
        "pairs": setting[0],
        "flipped": setting[1],
        "norm": other_draw["positive"],
        "other draw": other_draw["cosine"],
        "other start": geometry(vectors[0], vectors[2])["cosine"],
        "effects": effects,
        "runs": [asdict(run) for run in runs],
    }


def told(found: dict[str, Any]) -> str:
    """Return a line of the table: means over the three vectors, the range of the behaviour behind."""
    cells = [str(found["pairs"]), f"{100 * found['flipped']:.0f} %", f"{found['norm']:.2f}"]
    cells += [f"{found['other draw']:.2f}", f"{found['other start']:.2f}"]
    for effects in found["effects"].values():
        shares = [100 * one[BEHAVIOUR] for one in effects]
        mean = sum(shares) / len(shares)
        cells += [f"{mean:.0f} % [{min(shares):.0f}, {max(shares):.0f}]"]
        cells += [f"{100 * sum(one[PLAIN] for one in effects) / len(effects):.0f} %"]
        cells += [f"{sum(one[COST] for one in effects) / len(effects):.3f}"]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description="Stability and effect of a vector by its data.")
    parser.add_argument("base", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sizes", type=int, nargs="*", default=[50, 100, 200, 500, 1000])
    parser.add_argument("--noise", type=float, nargs="*", default=[0.1, 0.2, 0.4])
    parser.add_argument("--noisy-size", type=int, default=200)
    parser.add_argument("--suite", default="sycophancy")
    parser.add_argument("--steps", type=int, default=0, help="in place of a pass, 30 steps at least")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    model = wa.load_model(given.base)
    prepared = prepare(read_suite(given.suite), model, METRICS)
    pairs = read_pairs(open_set("sycophancy").trained_on("claims"))
    study = Study(pairs, model, prepared, given.out, given.steps)
    print("| pairs | flipped | norm | cosine, other draw | other start |", end="")
    print("".join(f" k = {k:+g}: agrees | plain | KL |" for k in study.strengths))
    print("|--:" * (5 + 3 * len(study.strengths)) + "|")
    for setting in [
        *((size, 0.0) for size in given.sizes),
        *((given.noisy_size, one) for one in given.noise),
    ]:
        print(told(row(given.base, setting, study)), flush=True)


if __name__ == "__main__":
    main()
