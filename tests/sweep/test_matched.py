"""Methods at equal cost, and over several runs, on made-up models whose answers are known."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.sweep.made_up import arm, base, made_up, prepared
from tests.sweep.test_sweep import CONTRAST, PROMPT, RANDOM, WEAK, swept
from weightarith.student import student_quantile
from weightarith.sweep import LineUp, Settings, as_lines
from weightarith.sweep.arm import Arm
from weightarith.sweep.depth import best_layer, layers_of, targets_of
from weightarith.sweep.journal import Journal
from weightarith.sweep.walk import Walk

Rows = Mapping[tuple[str, str], Any]


def rows(document: Any) -> Rows:
    return {(row["method"], row["direction"]): row for row in document["matched"]}


def test_methods_are_compared_where_they_cost_the_same(tmp_path: Path) -> None:
    steep = arm("steep", 0.5, 0.9)
    document, measured = swept(tmp_path, (CONTRAST, RANDOM, steep), Settings(targets=(0.2,)))
    found = rows(document)

    for method, damage in (("contrast", 0.1), ("random", 0.1), ("steep", 0.9)):
        for direction, sign in (("negative", -1), ("positive", 1)):
            row = found[method, direction]
            assert row["status"] == "matched"
            assert row["strength"] == pytest.approx(sign * math.sqrt(0.2 / damage), rel=0.03)
            assert row["estimates"]["kl.response"]["value"] == pytest.approx(0.2, rel=0.05)
            assert {"ask.trait", "know.correct", "refuse.benign"} <= set(row["estimates"])
    assert sum(names == "kl" for names, _ in measured.asked) == 6  # a look each: the walk has the brackets


def test_the_difference_from_the_chosen_method_at_the_same_cost_is_paired(tmp_path: Path) -> None:
    document, _ = swept(tmp_path, (CONTRAST, RANDOM), Settings(targets=(0.1,)))
    found = rows(document)

    against = found["random", "positive"]["against"]["ask.trait"]
    assert against["difference"] == pytest.approx(0.51 - 0.7)
    assert against["p"] == pytest.approx(2 * 0.5**19)  # nineteen items, all one way
    assert found["contrast", "positive"]["against"] == {}
    assert found["random", "positive"]["reference"] == "contrast"


def test_a_method_without_a_dial_stands_with_its_nearest_points(tmp_path: Path) -> None:
    stages = arm("fine-tuning", 0.3, 0.4, (-1.0, 0.25, 0.5, 1.0))
    document, _ = swept(tmp_path, (CONTRAST, PROMPT, stages), Settings(targets=(0.2,)))
    statuses = [
        (row["method"], row["strength"], row["status"])
        for row in document["matched"]
        if row["method"] != "contrast"
    ]

    assert statuses == [
        ("system prompt", -1, "above"), ("fine-tuning", -1, "above"), ("system prompt", 1, "above"),
        ("fine-tuning", 0.5, "below"), ("fine-tuning", 1, "above"),
    ]  # fmt: skip
    assert "fine-tuning: has no dial: the nearest below costs 0.1" in "\n".join(as_lines(document))


def test_a_method_that_cannot_cost_that_much_is_said_so_and_not_compared(tmp_path: Path) -> None:
    document, _ = swept(tmp_path, (CONTRAST, WEAK), Settings(targets=(0.2,)))
    row = rows(document)["weak", "positive"]

    assert row["status"] == "unreached"
    assert row["estimates"] == {} == row["against"]
    assert "cannot cost that much" in row["said"]


def test_where_the_chosen_method_cannot_cost_that_much_nothing_is_compared_with_it(tmp_path: Path) -> None:
    document, _ = swept(tmp_path, (WEAK, RANDOM), Settings(targets=(0.2,)))
    row = rows(document)["random", "positive"]

    assert (row["status"], row["reference"], row["against"]) == ("matched", "weak", {})


def test_one_direction_alone_is_matched_where_only_one_is_walked(tmp_path: Path) -> None:
    document, measured = swept(tmp_path, (CONTRAST, PROMPT), Settings((0.5, 1.0), (0.2, 0.3)))

    assert {row["direction"] for row in document["matched"]} == {"positive"}
    assert all(k >= 0 for _, k in measured.asked)
    assert [row["target"] for row in document["matched"] if row["method"] == "contrast"] == [0.2, 0.3]


def runs(*arms: tuple[str, Arm]) -> LineUp:
    return LineUp((CONTRAST, PROMPT), {run: (one, PROMPT) for run, one in arms}, run="seed 0")


def test_runs_with_other_seeds_are_averaged_at_the_same_cost(tmp_path: Path) -> None:
    lineup = runs(("seed 1", arm("contrast", 0.3, 0.1)), ("seed 2", arm("contrast", 0.2, 0.4)))
    document, _ = swept(tmp_path, lineup, Settings((1.0,), (0.1,)))
    [row] = document["over_runs"]

    assert row["strengths"] == {"seed 0": 1.0, "seed 1": 1.0, "seed 2": pytest.approx(0.5, rel=0.03)}
    found = row["estimates"]["ask.trait"]
    assert found["values"] == [0.7, 0.8, 0.6]
    half = student_quantile(0.025, 2) * 0.1 / math.sqrt(3)
    assert (found["mean"], found["high"]) == (pytest.approx(0.7), pytest.approx(0.7 + half))
    assert "contrast over 3 runs: ask.trait 70 % [" in "\n".join(as_lines(document))


def test_runs_are_averaged_at_the_strengths_walked_where_no_cost_is_given(tmp_path: Path) -> None:
    document, _ = swept(tmp_path, runs(("seed 1", arm("contrast", 0.3, 0.1))), Settings((-1.0, 1.0)))

    assert [(row["direction"], row["estimates"]["ask.trait"]["values"]) for row in document["over_runs"]] == [
        ("negative", [0.3, 0.2]),
        ("positive", [0.7, 0.8]),
    ]


def test_a_run_that_does_not_reach_the_cost_is_named_and_not_averaged(tmp_path: Path) -> None:
    document, _ = swept(tmp_path, runs(("seed 1", arm("contrast", 0.3, 1e-9))), Settings((1.0,), (0.1,)))
    [row] = document["over_runs"]

    assert list(row["strengths"]) == ["seed 0"]
    assert "cannot cost that much" in row["left_out"]["seed 1"]


def test_the_csv_has_every_number_of_the_document(tmp_path: Path) -> None:
    lineup = runs(("seed 1", arm("contrast", 0.3, 0.1)))
    document, _ = swept(tmp_path, lineup, Settings((-1.0, 1.0), (0.2,)))
    with (tmp_path / "out" / "sweep.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))

    shown = {(row["part"], row["method"], row["strength"], row["outcome"]): row for row in table}
    for point in document["points"]:
        for outcome, found in point["estimates"].items():
            row = shown["point", point["method"], str(point["strength"]), outcome]
            assert [float(row[key]) for key in ("value", "low", "high", "n")] == [*found.values()]
            assert float(row["change_p"]) == point["paired"][outcome]["p"]
    compared = [row for row in table if row["against"]]
    assert {row["method"] for row in compared} == {"system prompt"}
    assert {row["against"] for row in compared} == {"contrast"}
    assert sum(row["part"] == "runs" for row in table) == 2 * 4


def test_the_layer_that_does_most_at_equal_cost_is_found(tmp_path: Path) -> None:
    effects = {3: (0.05, 0.2), 4: (0.2, 0.8), 5: (0.1, 0.01), 6: (0.5, 1e-9)}
    measured = made_up(tmp_path)
    walk = Walk(base(), prepared(measured), Journal(tmp_path), {"seed": 0})

    found, tried = best_layer(
        walk, tuple(effects), lambda layer: arm(f"layer {layer}", *effects[layer]), {"positive": 0.1}
    )

    gains = {one.layer: one.gain for one in tried}
    assert found == 5  # 0.1·√10, against 0.2·√(1/8)
    assert gains[6] is None
    assert gains[5] == pytest.approx(0.32, abs=0.02)
    assert {names for names, _ in measured.asked} == {"kl", "ask", "ask+know+kl+refuse"}


def test_layers_are_compared_at_the_first_cost_or_at_that_of_the_vector(tmp_path: Path) -> None:
    walk = Walk(base(), prepared(made_up(tmp_path)), Journal(tmp_path), {"seed": 0})

    assert targets_of(walk, CONTRAST, (-2, 1.5), (0.3, 0.4), ("positive",)) == {"positive": 0.3}
    assert targets_of(walk, CONTRAST, (-2, 0.5, 1.5), (), ("negative", "positive")) == {
        "negative": pytest.approx(0.4),
        "positive": pytest.approx(0.025),
    }


def test_the_candidates_are_layers_at_fractions_of_the_depth() -> None:
    assert layers_of(30) == (9, 12, 15, 18, 21)
    assert layers_of(2) == (1,)
