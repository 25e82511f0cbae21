"""Colours, marks and sizes: the same in every picture.

The colours are those of Okabe and Ito (2008), https://jfly.uni-koeln.de/color/, without the yellow, which is
not seen on white.
"""

from __future__ import annotations

from typing import Any

COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")
MARKS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h", "p")
GREY = "#6F6F6F"
FAINT = "#DDDDDD"
WIDTH = 7.0
"""Inches; at 100 points an inch that is the 700 pixels a picture is read at."""
PIXELS_PER_INCH = 200
PALEST = 0.3
"""How much of a colour is left in the palest mark."""

SETTINGS: Any = {  # by names of matplotlib's, which types them one by one
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.labelcolor": "#333333",
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "path.simplify": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "weightarith",
    "text.parse_math": False,
    "xtick.color": GREY,
    "xtick.labelsize": 8,
    "ytick.color": GREY,
    "ytick.labelsize": 8,
}


def colour_of(number: int) -> str:
    """Return the colour of the line with this number; they repeat, marks and dashes do so later."""
    return COLOURS[number % len(COLOURS)]


def mark_of(number: int) -> str:
    """Return the shape of the marks of the line with this number."""
    return MARKS[number % len(MARKS)]


def dash_of(number: int) -> str:
    """Return whether the line with this number is solid or, its colour having been used, dashed."""
    return "solid" if number < len(COLOURS) else "dashed"


def shaded(colour: str, darkness: float) -> str:
    """Return a colour mixed with white: whole at darkness 1, at its palest at 0."""
    share = PALEST + (1 - PALEST) * min(max(darkness, 0.0), 1.0)
    parts = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return "#" + "".join(f"{round(255 - share * (255 - part)):02X}" for part in parts)


def percent_of(share: float, _place: object = None) -> str:
    """Return a share as ticks say it: `2.5 %`."""
    return f"{100 * share:.4g} %".replace("-", "−")
