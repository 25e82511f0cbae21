"""An evaluation as a file: whole, stable, and read strictly."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightarith.errors import InvalidFileError
from weightarith.evaluate import Evaluation, Outcome, Sample
from weightarith.evaluate.pooled import STATISTICS, pooled

number = st.floats(allow_nan=False, width=32)
nats = st.floats(0, 100, width=32)
names = st.text(min_size=1, max_size=5)


@st.composite
def outcomes(draw: st.DrawFn) -> Outcome:
    items = tuple(draw(st.lists(names, max_size=5, unique=True)))
    if draw(st.booleans()):
        rows = [draw(st.lists(nats, max_size=3)) for _ in items]
        return pooled(draw(st.sampled_from(STATISTICS)), items, rows, "nats")
    if draw(st.booleans()):
        return Outcome("share", items, tuple(draw(st.sampled_from([0.0, 1.0, None])) for _ in items))
    return Outcome("mean", items, tuple(draw(st.one_of(number, st.none())) for _ in items), draw(names))


samples = st.builds(Sample, names, names, st.text(), st.text())
evaluations = st.builds(
    Evaluation, names, names, st.dictionaries(names, outcomes(), max_size=3),
    st.dictionaries(names, st.lists(samples, max_size=2).map(tuple), max_size=2), st.floats(0, 1e6),
)  # fmt: skip


@given(evaluations)
def test_what_is_written_is_read_back_the_same(found: Evaluation) -> None:
    text = found.to_text()

    assert Evaluation.from_json(json.loads(text)) == found
    assert Evaluation.from_json(json.loads(text)).to_text() == text


def test_numbers_of_a_model_that_came_apart_are_kept_by_name() -> None:
    found = Evaluation("s 1", "m", {"a.b": Outcome("mean", ("1", "2"), (math.inf, math.nan))})

    assert '"values": ["inf", "nan"]' in found.to_text()
    values = Evaluation.from_json(json.loads(found.to_text())).outcomes["a.b"].values
    assert (values[0], math.isnan(values[1] or 0)) == (math.inf, True)


def whole() -> dict[str, Any]:
    return Evaluation(
        "suite 1.0.0",
        "model",
        {
            "a.trait": Outcome("share", ("1", "2"), (1.0, None)),
            "a.p95": pooled("p95", ("1", "2"), [[1.0, 2.0], []], "nats"),
        },
        {"a": (Sample("1", "?", "yes", "right"),)},
        1.5,
    ).to_json()


def test_a_share_without_a_value_comes_back_from_its_file() -> None:
    found = Evaluation.from_json(
        json.loads(
            Evaluation("s 1", "m", {"a.trait": Outcome("share", ("1", "2"), (math.nan, 1.0))}).to_text()
        )
    )

    first, second = found.outcomes["a.trait"].values
    assert (math.isnan(first or 0), second) == (True, 1.0)


def test_the_format_does_not_change_unnoticed() -> None:
    assert whole() == {
        "weightarith_evaluation": 1,
        "suite": "suite 1.0.0",
        "model": "model",
        "seconds": 1.5,
        "outcomes": {
            "a.trait": {"kind": "share", "unit": "", "items": ["1", "2"], "values": [1.0, None]},
            "a.p95": {
                "kind": "mean", "unit": "nats", "items": ["1", "2"], "values": [1.5, None],
                "statistic": "p95", "tokens": [[1.0, 2.0], []],
            },
        },
        "samples": {"a": [{"item": "1", "asked": "?", "answered": "yes", "verdict": "right"}]},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("weightarith_evaluation", 2, "format 2, expected 1"),
        ("seconds", "1", "seconds is '1', expected a number"),
        ("seconds", True, "seconds is True, expected a number"),
        ("model", None, "model is None, expected text"),
        ("outcomes", [], "outcomes is no object"),
        ("more", 1, "it has the keys .*more, expected weightarith_evaluation, suite"),
        ("outcomes/a.trait/kind", "median", "a.trait is of the kind 'median', expected share or mean"),
        ("outcomes/a.trait/values", [0.5, 1], "a.trait is a share with a value that is neither 0 nor 1"),
        ("outcomes/a.trait/values", [1], "a.trait has 2 items and 1 values"),
        ("outcomes/a.trait/items", ["1", "1"], "a.trait has 2 items and 2 values, expected a value an item"),
        ("outcomes/a.trait/items", [1, 2], "an item of a.trait is 1, expected text"),
        ("outcomes/a.trait/n", 2, "a.trait has the keys"),
        ("outcomes/a.p95/statistic", "p50", "statistic 'p50', expected exp mean, p95, p99"),
        ("outcomes/a.p95/tokens", [[1.0]], "a.p95 has tokens of 1 items"),
        (
            "outcomes/a.p95/tokens",
            [[], [1.0]],
            "a.p95 has tokens of 2 items, expected those of each that counts",
        ),
        ("outcomes/a.p95/tokens", [["x"], []], "a token of a.p95 is 'x', expected a number"),
        ("samples/a", {}, "a is no list"),
        ("samples/a", [{"item": "1"}], "a sample of a has the keys item, expected item, asked"),
    ],
)
def test_what_is_no_evaluation_is_refused_with_its_place(path: str, value: Any, said: str) -> None:
    content = whole()
    *folders, last = path.split("/")
    place = content
    for folder in folders:
        place = place[folder]
    place[last] = value

    with pytest.raises(InvalidFileError, match=said) as raised:
        Evaluation.from_json(content, "found.json")
    assert "'found.json': " in str(raised.value)


def test_anything_else_is_refused() -> None:
    with pytest.raises(InvalidFileError, match="it is no object"):
        Evaluation.from_json([])
