"""The preference for one of two answers, against scoring them one by one."""

from __future__ import annotations

import pytest

from tests.evaluate import naive
from tests.evaluate.conftest import Writer
from weightarith.errors import InvalidFileError, RecipeError
from weightarith.evaluate.preference import Preference
from weightarith.lm import LanguageModel

PAIRS = [
    {"prompt": f"Question {number}?", "positive": positive, "negative": negative}
    for number, (positive, negative) in enumerate(
        [
            ("yes", "no"),
            ("It is so.", "It is not."),
            ("a", "a longer one"),
            ("three", "4"),
            ("x", "y"),
            ("u", "v"),
        ]
    )
]


@pytest.fixture
def metric(lines: Writer) -> Preference:
    return Preference.from_options(lines(PAIRS), {"correct": "negative"})


def test_it_is_what_scoring_each_answer_alone_gives(metric: Preference, model: LanguageModel) -> None:
    found = metric.measure(model).outcomes

    prompts = [naive.asked(pair["prompt"]) for pair in PAIRS]
    means = [
        naive.mean(model, prompt, pair["positive"]) - naive.mean(model, prompt, pair["negative"])
        for prompt, pair in zip(prompts, PAIRS, strict=True)
    ]
    totals = [
        naive.total(model, prompt, pair["positive"]) - naive.total(model, prompt, pair["negative"])
        for prompt, pair in zip(prompts, PAIRS, strict=True)
    ]
    assert found["margin"].values == pytest.approx(means, abs=1e-4)
    assert found["log_odds"].values == pytest.approx(totals, abs=1e-3)
    assert found["trait"].values == tuple(float(one > 0) for one in means)
    assert 0 < sum(one > 0 for one in means) < len(means)
    assert [found[name].unit for name in ("trait", "margin", "log_odds")] == ["", "nats/token", "nats"]


def test_correct_is_the_trait_or_its_opposite(lines: Writer, model: LanguageModel) -> None:
    negative = Preference.from_options(lines(PAIRS), {"correct": "negative"}).measure(model).outcomes
    positive = Preference.from_options(lines(PAIRS), {"correct": "positive"}).measure(model).outcomes
    neither = Preference.from_options(lines(PAIRS), {}).measure(model).outcomes

    traits = [value for value in negative["trait"].values if value is not None]
    assert negative["correct"].values == tuple(1 - value for value in traits)
    assert positive["correct"].values == positive["trait"].values
    assert "correct" not in neither


def test_items_are_called_by_their_id_or_their_line(lines: Writer, model: LanguageModel) -> None:
    rows = [{**PAIRS[0], "id": "first"}, PAIRS[1]]

    found = Preference.from_options(lines(rows), {}).measure(model).outcomes

    assert found["trait"].items == ("first", "2")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([PAIRS[0], {**PAIRS[1], "negative": "It is so."}], "line 2: both answers are the same"),
        ([{**PAIRS[0], "id": "2"}, PAIRS[1]], "line 2: the id '2' stands in line 1 already"),
        ([{**PAIRS[0], "positiv": "yes"}], "line 1: unknown key 'positiv'"),
    ],
)
def test_pairs_without_a_preference_are_refused_by_line(
    rows: list[dict[str, str]], said: str, lines: Writer
) -> None:
    with pytest.raises(InvalidFileError, match=said):
        Preference.from_options(lines(rows), {})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"corect": "negative"}, "unknown option 'corect', expected correct"),
        ({"correct": "both"}, "correct is 'both', expected positive or negative"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, str], said: str, lines: Writer) -> None:
    with pytest.raises(RecipeError, match=said):
        Preference.from_options(lines(PAIRS), options)


def test_it_needs_data() -> None:
    with pytest.raises(RecipeError, match="metric preference: it needs data"):
        Preference.from_options(None, {})
