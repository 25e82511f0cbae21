"""Pictures: equal bytes from equal numbers, names as they are, no clock and no machine in them."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
from math import nan

import matplotlib as mpl
import pytest

from weightarith.errors import RecipeError
from weightarith.plots import Band, Line, Panel, Picture, Series, bars, heat_map, line_panels

SVG = "{http://www.w3.org/2000/svg}"
LINE = Line(
    "contrast",
    (0.9, 0.8),
    (0.4, 0.7),
    ((0.8, 0.95), (0.7, nan)),
    ((0.3, 0.5), (0.6, 0.8)),
    (0.0, 1.0),
    strong=True,
)


def panels(label: str = "contrast") -> list[Panel]:
    line = Line(label, LINE.x, LINE.y, LINE.x_bars, LINE.y_bars, LINE.shades, 8, hollow=True)
    one = Panel("k > 0", "accuracy", "agreement", (LINE, line), (), (0.9, 0.4, "base"), True, True)
    return [one, Panel("cost", "strength", "KL (nats)", (LINE,), (Band(0.8, 0.9, "safe"),))]


def every() -> list[Picture]:
    return [
        line_panels(panels()),
        heat_map([[1.0, nan], [-0.5, 1.0]], ["a", "b"], ["a", "b"], limits=(-1, 1), diverging=True),
        heat_map([[nan]], ["a"], ["b"]),
        bars(
            ["a", "b"], [Series("s", (0.1, 0.2), ((0.0, 0.3), None)), Series("t", (1.0, 0.0))], percent=True
        ),
    ]


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def test_equal_numbers_give_equal_bytes_whatever_the_settings_of_the_user() -> None:
    first = every()
    with mpl.rc_context({"font.size": 30, "svg.hashsalt": "another", "axes.grid": False}):
        second = every()

    assert first == second


def test_drawing_leaves_the_settings_of_the_user_as_they_were() -> None:
    before = dict(mpl.rcParams)
    every()

    assert dict(mpl.rcParams) == before


def test_a_picture_holds_no_date_and_no_program() -> None:
    for picture in every():
        assert "<dc:date>" not in picture.svg
        assert "Matplotlib" not in picture.svg
        assert b"Software" not in picture.png


def test_a_png_is_as_wide_as_two_pixels_for_each_of_700() -> None:
    for picture in every():
        assert picture.png.startswith(b"\x89PNG\r\n")
        width, _height = struct.unpack(">II", picture.png[16:24])
        assert width == 1400


def test_every_line_is_named_at_its_end_and_bands_and_the_start_are_too() -> None:
    found = texts(line_panels(panels("random")).svg)

    assert {"contrast", "random", "base", "safe", "k > 0", "accuracy", "agreement"} <= set(found)


def test_shares_are_written_in_per_cent() -> None:
    shares, plain = (texts(line_panels([panel]).svg) for panel in panels())

    assert "90 %" in shares
    assert "0.90" not in shares
    assert "90 %" not in plain


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "cost & $x_1$", "Zoë − ±"])
def test_a_name_is_text_and_neither_markup_nor_a_formula(name: str) -> None:
    drawn = (
        line_panels(panels(name)),
        heat_map([[1.0]], [name], [name], title=name),
        bars([name], [Series(name, (1.0,))], title=name),
    )
    for picture in drawn:
        assert name in texts(picture.svg)
        assert "<script>" not in picture.svg


def test_numbers_are_written_into_the_cells_of_a_small_heat_map() -> None:
    assert {"1.00", "−0.50"} <= set(texts(every()[1].svg))


@pytest.mark.parametrize(("rows", "columns"), [([], ["a"]), (["a", "b"], ["a"]), (["a"], ["a", "b"])])
def test_a_heat_map_of_other_numbers_than_names_is_refused(rows: list[str], columns: list[str]) -> None:
    with pytest.raises(RecipeError, match=f"a heat map of {len(rows)} × {len(columns)} names"):
        heat_map([[1.0]], rows, columns)


def test_bars_of_other_numbers_than_names_are_refused() -> None:
    with pytest.raises(RecipeError, match="bars of 2 names, and other numbers"):
        bars(["a", "b"], [Series("s", (1.0,))])
