"""The pictures of a sweep: every method named, both signs, the safe range shaded where there is one."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tests.sweep.test_sweep import CONTRAST, PROMPT, RANDOM, swept
from weightarith.sweep import Settings, pictures

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    arms = (CONTRAST, RANDOM, PROMPT)
    found, _ = swept(tmp_path_factory.mktemp("swept"), arms, Settings((-2, -1, 1, 2)))
    return found


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def test_the_curve_names_every_method_in_a_panel_for_each_sign(document: dict[str, Any]) -> None:
    found = texts(pictures(document)["curve"].svg)

    assert found.count("contrast") == found.count("random") == found.count("system prompt") == 2
    assert {"k < 0: suppressed", "k > 0: induced", "know.correct", "ask.trait"} <= set(found)


def test_there_is_a_curve_for_each_capability_number(document: dict[str, Any]) -> None:
    twice = {**document, "capability": ["know.correct", "refuse.benign"]}

    assert list(pictures(twice)) == ["curve", "curve-2", "strength"]


def test_one_sign_alone_has_one_panel(tmp_path: Path) -> None:
    found, _ = swept(tmp_path, (CONTRAST,), Settings((1, 2)))

    assert "k < 0: suppressed" not in texts(pictures(found)["curve"].svg)


def test_the_safe_range_is_shaded_along_the_strength(document: dict[str, Any]) -> None:
    found = texts(pictures(document)["strength"].svg)

    assert found.count("safe") == 3
    assert {"behaviour of contrast", "capability of contrast", "cost of contrast"} <= set(found)
    unsafe = {**document, "safe": {"low": 0, "high": 0}}
    assert "safe" not in texts(pictures(unsafe)["strength"].svg)


def test_pictures_are_made_of_the_document_alone_and_an_interval_may_be_unknown(
    document: dict[str, Any],
) -> None:
    copy = json.loads(json.dumps(document))
    assert pictures(copy) == pictures(document)

    copy["points"][1]["estimates"]["know.correct"] |= {"low": None, "high": None}
    assert pictures(copy)["curve"].png.startswith(b"\x89PNG")
