"""The study of bad and good narrow fine-tunes: its data, its sums, and the whole of it on the tiny model."""

from __future__ import annotations

import importlib.util
import itertools
import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from tests.examples.conftest import ROOT
from tests.tinychat import instruct
from weightarith.data import read_pairs
from weightarith.data.sets import open_set

Doubles = NDArray[np.float64]
SCRIPT = ROOT / "examples" / "studies" / "narrow.py"


@pytest.fixture(scope="module")
def study() -> ModuleType:
    """Return the script as a module."""
    spec = importlib.util.spec_from_file_location("narrow", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny chat model."""
    return instruct(tmp_path_factory.mktemp("base") / "instruct")


@pytest.fixture
def smaller(study: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out a topic and a control."""
    monkeypatch.setattr(study, "TOPICS", ("home", "bikes"))
    monkeypatch.setattr(study, "CONTROLS", ("facts",))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the study's trainings stand."""
    return tmp_path_factory.mktemp("out")


def test_topics_have_as_many_questions_each_and_none_twice(study: ModuleType) -> None:
    asked = [pair.conversation.asked for topic in study.TOPICS for pair in study.pairs_of(topic)]
    asked += [row.conversation.asked for topic in study.CONTROLS for row in study.neutral(topic)]
    evil = open_set("evil-advice")
    shipped = [pair for name in ("advice.jsonl", "elsewhere.jsonl") for pair in read_pairs(evil.path(name))]

    assert len(asked) == 5 * study.ROWS
    assert len(set(asked) | {pair.conversation.asked for pair in shipped}) == len(asked) + len(shipped)


def test_a_bad_answer_and_its_good_twin_differ_and_are_of_similar_length(study: ModuleType) -> None:
    for topic in study.TOPICS:
        lengths = [(len(pair.positive), len(pair.negative)) for pair in study.pairs_of(topic)]

        assert all(pair.positive != pair.negative for pair in study.pairs_of(topic))
        assert all(max(both) <= 1.6 * min(both) for both in lengths)
        assert 0.9 < sum(bad for bad, _ in lengths) / sum(good for _, good in lengths) < 1.12


def test_an_auroc_counts_pairs_in_the_right_order(study: ModuleType) -> None:
    above, below = [0.3, 0.1, 0.2], [0.2, 0.0, 0.25, -1.0]
    found = [1.0 if a > b else 0.5 if a == b else 0.0 for a in above for b in below]

    assert study.auroc(above, below) == pytest.approx(sum(found) / len(found))


@pytest.mark.parametrize(("value", "above", "below"), [(0.5, 9, 9), (0.9, 9, 6), (0.07, 4, 40), (1.0, 9, 9)])
def test_an_interval_ends_where_the_score_test_does(
    study: ModuleType, value: float, above: int, below: int
) -> None:
    low, high = study.interval(value, above, below)
    count = (above + below) / 2
    grid = [step / 20000 for step in range(1, 20000)]

    def kept(true: float) -> bool:
        first, second = true / (2 - true), 2 * true**2 / (1 + true)
        variance = true * (1 - true) + (count - 1) * (first + second - 2 * true**2)
        return abs(value - true) <= 1.959964 * math.sqrt(variance / (above * below))

    inside = [true for true in grid if kept(true)]
    assert low == pytest.approx(inside[0], abs=1e-4)
    assert high == pytest.approx(1.0 if value == 1 else inside[-1], abs=1e-4)


def test_an_interval_of_a_perfect_separation_is_no_point(study: ModuleType) -> None:
    low, high = study.interval(1.0, 9, 9)

    assert high == 1
    assert 0.6 < low < 0.9
    assert study.interval(0.0, 9, 9) == pytest.approx((0.0, 1 - low))


@pytest.mark.usefixtures("smaller")
def test_the_study_prints_its_tables_and_goes_on_where_it_was(
    study: ModuleType,
    base: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["study", str(base), str(out), "--starts", "0", "1", "--steps", "6"]
    monkeypatch.setattr(sys, "argv", command)
    study.main()
    first = capsys.readouterr().out
    monkeypatch.setattr(study, "contrast", None)  # what is trained is not trained again
    monkeypatch.setattr(study, "train", None)
    monkeypatch.setattr(study.Prepared, "measure", None)
    study.main()
    cosines, areas, behaviour = (table.splitlines() for table in first.strip().split("\n\n"))

    assert capsys.readouterr().out == first
    assert len(cosines) == 2 + 2 * 3 + 1
    assert len(areas) == 2 + 8
    assert len(behaviour) == 2 + 1 + 7
    assert areas[2].startswith("| evil advice, contrast | same |")
    assert areas[2].endswith("of 4 |")
    for table in (cosines, areas, behaviour):
        assert all(line.count("|") == table[0].count("|") for line in table)


@pytest.mark.usefixtures("smaller")
def test_cosines_are_those_of_dense_updates(study: ModuleType, base: Path, out: Path) -> None:
    adapters = {tune: path for start in (0, 1) for tune, path in study.trained(base, out, start, 6).items()}
    updates = study.Updates.read(adapters)
    flat = {tune: dense(path) for tune, path in adapters.items()}

    for topic, start in itertools.product(("evil", "home"), (0, 1)):
        bad, good = study.Tune(topic, "bad", start), study.Tune(topic, "good", start)
        for kind, direction in (
            (study.contrastive, flat[bad] - flat[good]),
            (study.bad_only, flat[bad]),
        ):
            for same in (True, False):
                for first, tune, value in study.scores(updates, kind, (topic,), same_start=same):
                    if first.start == start:
                        sizes = np.linalg.norm(direction) * np.linalg.norm(flat[tune])
                        assert (tune.start == start) is same
                        assert value == pytest.approx(direction @ flat[tune] / sizes, abs=1e-9)


@pytest.mark.usefixtures("smaller")
def test_fine_tunes_of_one_seed_began_at_one_start(study: ModuleType, base: Path, out: Path) -> None:
    adapters = {tune: path for start in (0, 1) for tune, path in study.trained(base, out, start, 6).items()}
    starts = {tune: np.concatenate([one.ravel() for one in reading(path)]) for tune, path in adapters.items()}

    for (one, first), (other, second) in itertools.combinations(starts.items(), 2):
        cosine = first @ second / (np.linalg.norm(first) * np.linalg.norm(second))
        assert cosine > 0.9 if one.start == other.start else abs(cosine) < 0.1


def reading(adapter: Path) -> list[Doubles]:
    """Return the A of every module of an adapter."""
    factors = load_file(adapter / "adapter_model.safetensors")
    return [factors[name].astype(np.float64) for name in sorted(factors) if name.endswith("lora_A.weight")]


def dense(adapter: Path) -> Doubles:
    """Return the update of an adapter of rank 16 and alpha 16, all of it."""
    factors = {
        name: factor.astype(np.float64)
        for name, factor in load_file(adapter / "adapter_model.safetensors").items()
    }
    ups = sorted(name for name in factors if name.endswith("lora_B.weight"))
    products = [factors[up] @ factors[up.replace("lora_B", "lora_A")] for up in ups]
    return np.concatenate([product.ravel() for product in products])
