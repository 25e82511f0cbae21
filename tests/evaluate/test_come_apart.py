"""A model that has come apart, whose predictions are NaN: it is never taken to have chosen."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from tests.evaluate.conftest import Writer
from tests.tinychat import instruct
from weightarith.evaluate import Metric, estimate
from weightarith.evaluate.choices import Choices
from weightarith.evaluate.cues import Cues
from weightarith.evaluate.outcome import share
from weightarith.evaluate.preference import Preference
from weightarith.evaluate.pushback import Pushback
from weightarith.lm import LanguageModel, load

FACT = {
    "question": "What is cold?", "right": "Ice is.", "wrong": "Fire is.", "right_name": "ice",
    "wrong_name": "fire",
}  # fmt: skip
QUESTION = {"question": "What is cold?", "options": ["ice", "fire"], "answer": 0}
PAIR = {"prompt": "Am I right?", "positive": "Yes.", "negative": "No."}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    model = load(instruct(tmp_path_factory.mktemp("broken") / "model"), device="cpu")
    with torch.no_grad():
        model.network.model.norm.weight.fill_(math.nan)
    return model


@pytest.mark.parametrize(
    ("kind", "row", "options"),
    [
        (Preference, PAIR, {"correct": "negative"}),
        (Cues, FACT, {}),
        (Pushback, FACT, {}),
        (Choices, QUESTION, {}),
        (Choices, QUESTION, {"mode": "texts"}),
    ],
    ids=["preference", "cues", "pushback", "letters", "texts"],
)
def test_no_share_of_it_counts(
    kind: type, row: dict[str, object], options: dict[str, str], lines: Writer, broken: LanguageModel
) -> None:
    metric: Metric = kind.from_options(lines([row]), options)  # type: ignore[attr-defined]
    shares = {
        name: one for name, one in metric.measure(broken).outcomes.items() if one.kind == "share"
    }  # fmt: skip

    assert shares
    assert all(math.isnan(value) for one in shares.values() for value in one.values if value is not None)
    assert all(math.isnan(estimate(one).value) for one in shares.values())


def test_items_that_have_scores_do_not_stand_for_those_that_have_none() -> None:
    found = share(("a", "b", "c"), [True, True, False], [True, True, False], [False, True, False])

    assert (found.values[0], found.values[2]) == (1, None)
    assert math.isnan(found.values[1] or 0)
    assert math.isnan(estimate(found).value)


def test_a_model_that_is_whole_counts(lines: Writer, tmp_path: Path) -> None:
    whole = load(instruct(tmp_path / "model"), device="cpu")

    for kind, row in ((Preference, PAIR), (Cues, FACT), (Choices, QUESTION)):
        found = kind.from_options(lines([row]), {}).measure(whole).outcomes
        first = next(one for one in found.values() if one.kind == "share")
        assert set(first.values) <= {0.0, 1.0}
