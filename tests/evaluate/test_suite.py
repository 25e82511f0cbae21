"""Suites: read strictly, prepared once, measured as often as asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.evaluate.conftest import Writer
from weightarith.errors import IncompatibleError, InvalidFileError, RecipeError
from weightarith.evaluate import Suite, estimate, prepare, read_suite, table
from weightarith.evaluate.kinds import KINDS
from weightarith.lm import LanguageModel

TEXT = """\
weightarith_suite: 1
name: tiny
version: 0.1.0
behaviour: claims.trait
cost: moved.response
capability: [facts.correct]
panel: [moved.p99]
metrics:
  claims: {kind: preference, data: pairs.jsonl}
  facts: {kind: preference, data: pairs.jsonl, correct: negative}
  moved: {kind: divergence, data: prompts.jsonl, limit: 4}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pairs = [{"prompt": f"{number}?", "positive": "yes", "negative": "no"} for number in range(4)]
    for name, rows in (("pairs", pairs), ("prompts", [{"prompt": "Why?"}, {"prompt": "How?"}])):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return tmp_path


def suite(folder: Path, text: str = TEXT) -> Suite:
    path = folder / "tiny.yaml"
    path.write_text(text, encoding="utf-8")
    return read_suite(path)


def test_a_suite_names_its_metrics_and_their_parts(folder: Path) -> None:
    found = suite(folder)

    assert found.label == "tiny 0.1.0"
    assert found.named == ("claims.trait", "moved.response", "facts.correct", "moved.p99")
    assert {name: spec.kind for name, spec in found.metrics.items()} == {
        "claims": "preference", "facts": "preference", "moved": "divergence",
    }  # fmt: skip
    assert found.metrics["moved"].options == {"limit": "4"}
    assert [path.name for path in found.files] == ["tiny.yaml", "pairs.jsonl", "prompts.jsonl"]


def test_the_panel_may_be_left_out(folder: Path) -> None:
    assert suite(folder, TEXT.replace("panel: [moved.p99]\n", "")).panel == ()


@pytest.mark.parametrize(
    ("old", "new", "said", "hint"),
    [
        ("_suite: 1", "_suite: 2", ":1:20: expected format 1 of suites", ""),
        ("panel:", "pannel:", ":7:1: unknown key 'pannel'", "'panel' instead of 'pannel'"),
        ("version: 0.1.0\n", "", ":1:1: a suite needs the key version", ""),
        ("claims.trait", "claim.trait", ":4:12: behaviour names the metric 'claim'", "'claims' instead"),
        ("claims.trait", "claims.triat", "has trait, margin, log_odds", "'trait' instead of 'triat'"),
        ("claims.trait", "claims", "expected behaviour, METRIC.OUTCOME", ""),
        (
            "cost: moved.response",
            "cost: claims.trait",
            "expected cost, an outcome of a divergence",
            "must be 0",
        ),
        ("[facts.correct]", "facts.correct", "expected capability, a list", ""),
        ("kind: divergence", "kind: divergance", "expected kind of the metric moved", "'divergence' instead"),
        ("kind: divergence, ", "", ":11:10: the metric moved needs the key kind", "one of preference"),
        ("data: prompts.jsonl", "data: prompt.jsonl", ":11:35: no file", "relative to the suite"),
        ("  claims:", "  a.b:", ":9:3: 'a.b' cannot name a metric", "without . and ,"),
    ],
)
def test_what_means_nothing_is_refused_with_line_and_nearest_name(
    old: str, new: str, said: str, hint: str, folder: Path
) -> None:
    with pytest.raises(RecipeError) as raised:
        suite(folder, TEXT.replace(old, new))
    assert said in raised.value.message
    assert hint in raised.value.hint


def test_an_option_that_means_nothing_is_refused_with_its_line(folder: Path, model: LanguageModel) -> None:
    found = suite(folder, TEXT.replace("limit: 4", "limt: 4"))

    with pytest.raises(
        RecipeError, match=r"tiny.yaml:11:3: metric divergence: unknown option 'limt'"
    ) as raised:
        prepare(found, model)
    assert raised.value.hint == "did you mean 'limit'?"


def test_data_that_are_none_are_refused_before_anything_is_measured(
    folder: Path, model: LanguageModel
) -> None:
    found = suite(folder)
    (folder / "pairs.jsonl").write_text('{"prompt": "?"}\n', encoding="utf-8")

    with pytest.raises(InvalidFileError, match="line 1: no key 'positive'"):
        prepare(found, model)


def test_an_unknown_suite_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(RecipeError, match="no suite is called 'sycophancie'") as raised:
        read_suite("sycophancie")
    assert "'sycophancy'" in raised.value.hint
    with pytest.raises(RecipeError, match="no recipe at"):
        read_suite("nowhere.yaml")


def test_a_further_suite_of_a_set_goes_by_its_word() -> None:
    assert read_suite("sycophancy:cues").behaviour == "cues.flipped"
    with pytest.raises(RecipeError, match="'cue'"):
        read_suite("sycophancy:cue")


def test_all_metrics_are_measured_in_the_order_of_the_suite(
    folder: Path, model: LanguageModel, other: LanguageModel
) -> None:
    heard: list[str] = []
    prepared = prepare(suite(folder), model, progress=heard.append)
    found = prepared.measure(other, progress=heard.append)

    assert heard == ["moved", "claims", "facts", "moved"]
    assert list(found.outcomes) == [
        *(f"claims.{name}" for name in ("trait", "margin", "log_odds")),
        *(f"facts.{name}" for name in ("trait", "margin", "log_odds", "correct")),
        *(f"moved.{name}" for name in ("first", "response", "p95", "p99")),
    ]
    assert (found.suite, found.model, found.samples) == ("tiny 0.1.0", other.label, {})
    assert estimate(found.outcomes["moved.response"]).value > 0.01
    assert prepared.measure(model) == prepared.measure(model)


def test_some_metrics_can_be_taken_alone(folder: Path, model: LanguageModel) -> None:
    prepared = prepare(suite(folder), model, ["facts"])

    assert set(prepared.metrics) == {"facts"}
    assert all(name.startswith("facts.") for name in prepared.measure(model).outcomes)
    whole = prepare(suite(folder), model)
    assert all(name.startswith("moved.") for name in whole.measure(model, ["moved"]).outcomes)
    with pytest.raises(RecipeError, match="the suite 'tiny' has no metric 'fact'; it has") as raised:
        whole.measure(model, ["fact"])
    assert raised.value.hint == "'facts' instead of 'fact'"
    with pytest.raises(RecipeError, match="the metric 'moved' was not prepared"):
        prepared.measure(model, ["moved"])


def test_a_table_beside_a_model_that_was_asked_less_is_refused(folder: Path, model: LanguageModel) -> None:
    read = suite(folder)
    prepared = prepare(read, model)
    found, less = prepared.measure(model), prepared.measure(model, ["facts"])

    assert len(table.rows(read, less, found)) == len(less.outcomes)
    with pytest.raises(IncompatibleError, match=r"was not asked for 'claims\.trait'"):
        table.rows(read, found, less)


def test_an_outcome_that_a_suite_names_and_nobody_finds_is_an_error(
    folder: Path, model: LanguageModel
) -> None:
    found = suite(folder, TEXT.replace(", correct: negative", ""))

    with pytest.raises(
        IncompatibleError, match=r"'facts' has no outcome 'correct', which .* names; it has trait"
    ):
        prepare(found, model).measure(model)


@pytest.mark.parametrize("kind", ["preference", "cues", "pushback", "choices", "perplexity", "divergence"])
def test_a_kind_finds_no_outcome_that_its_entry_does_not_name(
    kind: str, lines: Writer, model: LanguageModel
) -> None:
    fact = {"question": "?", "right": "It is a.", "wrong": "It is b.", "right_name": "a", "wrong_name": "b"}
    row: dict[str, dict[str, object]] = {
        "preference": {"prompt": "?", "positive": "a", "negative": "b"},
        "cues": {**fact},
        "pushback": {**fact},
        "choices": {"question": "?", "options": ["a", "b"], "answer": 1},
        "perplexity": {"text": "Some words."},
        "divergence": {"prompt": "?"},
    }
    wordy = {"pushback": {"generate": "true", "limit": "2"}, "preference": {"correct": "positive"}}

    metric = KINDS[kind].make(lines([row[kind]]), wordy.get(kind, {}))
    found = (metric.against(model) if KINDS[kind].is_relative else metric).measure(model)  # type: ignore[union-attr]

    assert set(found.outcomes) <= set(KINDS[kind].outcomes)
    assert hasattr(metric, "against") == KINDS[kind].is_relative


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_can_be_made_from_options(kind: str) -> None:
    with pytest.raises(RecipeError, match="unknown option 'nonsense'"):
        KINDS[kind].make(None, {"nonsense": "1"})
