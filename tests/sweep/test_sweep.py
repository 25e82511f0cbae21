"""A sweep over made-up models: what is measured, how often, and what the document says of it."""

from __future__ import annotations

import json
import math
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from tests.sweep.made_up import MadeUp, arm, base, made_up, prepared, strengths, values
from weightarith.errors import InvalidFileError, RecipeError, TargetError
from weightarith.plots import Picture
from weightarith.sweep import LineUp, Settings, as_lines, read_sweep, sweep
from weightarith.sweep.arm import Arm

CONTRAST = arm("contrast", 0.2, 0.1)
RANDOM = arm("random", 0.01, 0.1)
PROMPT = arm("system prompt", 0.3, 0.5, (-1.0, 1.0))
WEAK = arm("weak", 0.1, 1e-9)
ALL = (CONTRAST, RANDOM, PROMPT)
MATCHED = Settings(targets=(0.2,))
FILES = {"sweep.json", "sweep.csv", "curve.svg", "curve.png", "strength.svg", "strength.png"}


def swept(
    folder: Path, arms: tuple[Arm, ...] | LineUp = ALL, settings: Settings | None = None, **given: Any
) -> tuple[dict[str, Any], MadeUp]:
    """Sweep over made-up models into `out`; nothing is drawn unless `drawn`, for that takes a second."""
    own = {key: given.pop(key) for key in list(given) if key in MadeUp.__annotations__}
    measured = made_up(folder, **own)
    with ExitStack() as patches:
        if not given.pop("drawn", False):
            blank = dict.fromkeys(("curve", "strength"), Picture("", b""))
            patches.enter_context(patch("weightarith.sweep.folder.pictures", lambda _document: blank))
        return sweep(base(), arms, prepared(measured), folder / "out", settings, **given), measured


def test_every_method_is_walked_and_strength_0_is_measured_once_for_all(tmp_path: Path) -> None:
    document, measured = swept(tmp_path)

    assert [k for _, k in measured.asked].count(0.0) == 1
    assert len(measured.asked) == 1 + 6 + 6 + 2
    assert strengths(document, ["base", "contrast", "system prompt"]) == {
        "base": [0.0],
        "contrast": [-2, -1, -0.5, 0.5, 1, 2],
        "system prompt": [-1, 1],
    }
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*FILES, "points"}
    assert read_sweep(tmp_path / "out") == json.loads(json.dumps(document))


def test_numbers_are_those_of_the_models_with_intervals_and_against_strength_0(tmp_path: Path) -> None:
    document, _ = swept(tmp_path)

    assert values(document, "contrast", "ask.trait") == {
        0: 0.5, -2: 0.1, -1: 0.3, -0.5: 0.4, 0.5: 0.6, 1: 0.7, 2: 0.9,
    }  # fmt: skip
    point = next(point for point in document["points"] if point["label"] == "contrast, k = −1")
    assert point["estimates"]["kl.response"]["value"] == pytest.approx(0.1)
    assert point["estimates"]["ask.trait"]["low"] < 0.3 < point["estimates"]["ask.trait"]["high"]
    assert point["paired"]["ask.trait"]["difference"] == pytest.approx(-0.2)
    assert point["paired"]["ask.trait"]["p"] == pytest.approx(2 * 0.5**20)  # twenty items, all one way
    assert (tmp_path / "out" / "points" / point["file"]).is_file()


@pytest.mark.parametrize("killed_after", [0, 1, 7, 14, 15, 18])
def test_a_killed_run_goes_on_and_ends_in_the_same_bytes(tmp_path: Path, killed_after: int) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    drawn = killed_after == 7
    _, undisturbed = swept(whole, settings=MATCHED, drawn=drawn)
    with pytest.raises(KeyboardInterrupt):
        swept(killed, settings=MATCHED, stop_at=killed_after)
    assert not (killed / "out" / "sweep.json").exists()

    _, resumed = swept(killed, settings=MATCHED, drawn=drawn)

    assert len(resumed.asked) == len(undisturbed.asked) - killed_after
    for name in FILES:
        assert (whole / "out" / name).read_bytes() == (killed / "out" / name).read_bytes()


def test_a_finished_sweep_is_refused_and_with_overwrite_its_measurements_are_used(tmp_path: Path) -> None:
    swept(tmp_path, (CONTRAST,))

    with pytest.raises(TargetError, match="holds a finished sweep"):
        swept(tmp_path, (CONTRAST,))
    document, measured = swept(tmp_path, (CONTRAST,), Settings(strengths=(-1, 1, 3)), overwrite=True)

    assert measured.asked == [("ask+know+kl+refuse", 3)]
    assert strengths(document, ["contrast"]) == {"contrast": [-1, 1, 3]}


def test_another_seed_or_suite_is_measured_anew(tmp_path: Path) -> None:
    _, first = swept(tmp_path, (CONTRAST,))
    _, seeded = swept(tmp_path, (CONTRAST,), seed=1, overwrite=True)

    assert len(seeded.asked) == len(first.asked)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("", encoding="utf-8")

    with pytest.raises(TargetError, match="exists"):
        swept(tmp_path)
    with pytest.raises(TargetError):
        swept(tmp_path, overwrite=True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_a_point_without_what_it_cost_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidFileError, match=r"no number for 'know\.correct' at strength 0 of 'base'"):
        swept(tmp_path, lacking=("know.correct",))
    assert not (tmp_path / "out" / "sweep.json").exists()


def test_a_strength_whose_numbers_are_nan_is_left_out_and_listed(tmp_path: Path) -> None:
    document, _ = swept(tmp_path, (CONTRAST,), broken_from=2.0)

    assert strengths(document, ["contrast"]) == {"contrast": [-1, -0.5, 0.5, 1]}
    assert [(one["strength"], one["why"]) for one in document["left_out"]] == [
        (-2.0, "'kl.response' is NaN or infinite"),
        (2.0, "'kl.response' is NaN or infinite"),
    ]


def test_the_safe_range_ends_before_a_strength_that_is_left_out(tmp_path: Path) -> None:
    settings = Settings(strengths=(0.25, 0.5, 1.0))
    document, _ = swept(tmp_path, (CONTRAST,), settings=settings, broken_from=0.5)

    assert (document["safe"]["high"], document["proved"]["high"]) == (0.25, 0)
    above = document["safe"]["limits"]["above"]
    assert (above["outcome"], above["strength"], above["found"]) == ("kl.response", 0.5, None)
    assert "  above: kl.response has no number at 0.5" in as_lines(document)


def test_what_ends_a_range_is_told_as_it_was_measured_and_as_its_bound_has_it(tmp_path: Path) -> None:
    document, _ = swept(tmp_path, (CONTRAST,))
    shown = as_lines(document)

    for title, key, number in (("safe range", "safe", "found"), ("of that, proved", "proved", "bound")):
        place = next(at for at, line in enumerate(shown) if line.startswith(f"{title} of contrast: "))
        above = document[key]["limits"]["above"]
        assert shown[place + 2] == (
            f"  above: know.correct changes by {above[number]:.3g} at {above['strength']:g}, 0.02 is allowed"
        )
    assert document["safe"]["limits"]["above"]["found"] < document["safe"]["limits"]["above"]["bound"]


def test_a_damaged_measurement_is_named(tmp_path: Path) -> None:
    document, _ = swept(tmp_path, (CONTRAST,))
    path = tmp_path / "out" / "points" / document["points"][1]["file"]
    path.write_text('{"weightarith_point": 1, "of": {}}', encoding="utf-8")

    with pytest.raises(InvalidFileError, match=f"{path.name}' is not the measurement its name says"):
        swept(tmp_path, (CONTRAST,), overwrite=True)


def test_the_safe_range_and_the_recommended_strengths_are_those_of_the_formulas(tmp_path: Path) -> None:
    # accuracy falls by 0.01 k²: two points at |k| = √2
    document, _ = swept(tmp_path, (CONTRAST,), Settings((-2, -1.4, -1, 1, 1.4, 2)))

    assert (document["safe"]["low"], document["safe"]["high"]) == (-1.4, 1.4)
    limit = document["safe"]["limits"]["above"]
    assert (limit["strength"], limit["outcome"], limit["allowed"]) == (2, "know.correct", 0.02)
    assert limit["found"] == pytest.approx(0.04)
    assert (document["proved"]["low"], document["proved"]["high"]) == (0, 0)
    assert document["recommended"] == {"negative": -1.4, "positive": 1.4}


def test_two_methods_of_one_name_and_no_method_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="two methods are called 'contrast'"):
        swept(tmp_path, (CONTRAST, CONTRAST))
    with pytest.raises(RecipeError, match="no method to sweep"):
        swept(tmp_path, ())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"strengths": (0.0,)}, "no strength but 0"),
        ({"strengths": (1.0, math.inf)}, "a strength must be a finite number"),
        ({"targets": (0.0,)}, "a cost to match must be a number greater than 0"),
        ({"targets": (math.nan,)}, "a cost to match must be a number greater than 0"),
    ],
)
def test_strengths_and_costs_that_mean_nothing_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        Settings(**given)


def test_what_is_measured_is_told_beforehand(tmp_path: Path) -> None:
    steps: list[Any] = []
    swept(tmp_path, (CONTRAST, PROMPT), MATCHED, told=steps.append)

    assert [step.what for step in steps[:3]] == [
        "the model itself", "contrast, strength -0.5", "contrast, strength 0.5",
    ]  # fmt: skip
    assert all(before.done <= after.done for before, after in pairwise(steps))
    assert all(step.done < step.total for step in steps)


def test_no_folder_is_no_sweep(tmp_path: Path) -> None:
    with pytest.raises(InvalidFileError, match=r"holds no sweep\.json"):
        read_sweep(tmp_path)
    (tmp_path / "sweep.json").write_text('{"weightarith_sweep": 2}', encoding="utf-8")
    with pytest.raises(InvalidFileError, match="has format 2, expected 1"):
        read_sweep(tmp_path)
