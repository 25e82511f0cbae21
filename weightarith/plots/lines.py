"""Lines with marks, intervals and shaded bands, in panels one above the other, each line named at its end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weightarith.plots.picture import Picture, drawn
from weightarith.plots.spread import spread
from weightarith.plots.style import FAINT, GREY, colour_of, dash_of, mark_of, percent_of, shaded

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Interval = tuple[float, float]

_LEFT, _ABOVE, _BELOW = 0.70, 0.42, 0.55  # inches around a panel
_RIGHT, _LABELLED = 0.25, 1.75  # inches beside it, without labels and with them
_TALL = 2.6  # inches of a panel itself
_LABEL = 0.062  # of a panel's height between two labels


@dataclass(frozen=True)
class Line:
    """Points in order, and how they look.

    Attributes:
        label: its name, written at its last point; where no line has one, panels are wider.
        x: where the points are.
        y: where the points are.
        x_bars: an interval at each point; none where empty.
        y_bars: an interval at each point; none where empty.
        shades: how dark each mark is, from 0 to 1; all dark where empty.
        number: which colour, mark and dash; lines of one number look alike.
        strong: whether it stands out.
        hollow: whether its first mark is left out, as where all lines start at one point.
    """

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    x_bars: tuple[Interval, ...] = ()
    y_bars: tuple[Interval, ...] = ()
    shades: tuple[float, ...] = ()
    number: int = 0
    strong: bool = False
    hollow: bool = False


@dataclass(frozen=True)
class Band:
    """A shaded range of x, with a word on what it is."""

    low: float
    high: float
    label: str = ""


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: above it.
        x_label: below it.
        y_label: beside it.
        lines: in the order drawn, the last on top.
        bands: behind the lines.
        start: a point that lines have in common, marked by itself, and its name.
        x_percent: whether x is a share, written in per cent.
        y_percent: whether y is a share, written in per cent.
    """

    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    bands: tuple[Band, ...] = ()
    start: tuple[float, float, str] | None = None
    x_percent: bool = False
    y_percent: bool = False


def line_panels(panels: Sequence[Panel]) -> Picture:
    """Return panels one above the other."""
    each = _TALL + _ABOVE + _BELOW
    whole = each * len(panels)

    def draw(figure: Figure) -> None:
        wide = figure.get_figwidth()
        labelled = any(line.label for panel in panels for line in panel.lines)
        room = wide - _LEFT - (_LABELLED if labelled else _RIGHT)
        for place, panel in enumerate(panels):
            bottom = (len(panels) - 1 - place) * each + _BELOW
            box = (_LEFT / wide, bottom / whole, room / wide, _TALL / whole)
            _draw_panel(figure.add_axes(box), panel)

    return drawn(draw, whole)


def _draw_panel(axes: Axes, panel: Panel) -> None:
    axes.set_title(panel.title)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    for band in panel.bands:
        axes.axvspan(band.low, band.high, color=FAINT, alpha=0.6, linewidth=0, zorder=0)
    for line in panel.lines:
        _draw_line(axes, line)
    if panel.start is not None:
        axes.plot(*panel.start[:2], "o", color="black", markersize=6, zorder=5)
    axes.margins(0.06, 0.08)
    for axis, percent in ((axes.xaxis, panel.x_percent), (axes.yaxis, panel.y_percent)):
        if percent:
            axis.set_major_formatter(percent_of)
    _label_bands(axes, panel.bands)
    _label_ends(axes, panel)


def _draw_line(axes: Axes, line: Line) -> None:
    colour = colour_of(line.number)
    width = 2.0 if line.strong else 1.1
    axes.plot(
        line.x, line.y, linestyle=dash_of(line.number), color=colour, linewidth=width, alpha=0.8, zorder=2
    )
    bars: dict[str, Any] = {"color": colour, "linewidth": 0.7, "alpha": 0.45, "zorder": 1}
    for place, (x, y) in enumerate(zip(line.x, line.y, strict=True)):
        if line.hollow and place == 0:
            continue
        if line.y_bars:
            axes.plot((x, x), line.y_bars[place], **bars)
        if line.x_bars:
            axes.plot(line.x_bars[place], (y, y), **bars)
        face = shaded(colour, line.shades[place] if line.shades else 1.0)
        axes.plot(
            x, y, mark_of(line.number), color=face, markeredgecolor=colour, markeredgewidth=0.8,
            markersize=6.5 if line.strong else 5, zorder=4,
        )  # fmt: skip


def _label_bands(axes: Axes, bands: tuple[Band, ...]) -> None:
    for band in bands:
        axes.annotate(
            band.label, ((band.low + band.high) / 2, 1), xycoords=("data", "axes fraction"), xytext=(0, -3),
            textcoords="offset points", ha="center", va="top", fontsize=7.5, color=GREY,
        )  # fmt: skip


def _label_ends(axes: Axes, panel: Panel) -> None:
    """Write the name of each line beside the panel, as high as the line ends, with a thread to it."""
    ends = [(line.label, line.x[-1], line.y[-1], colour_of(line.number), line.strong) for line in panel.lines]
    if panel.start is not None:
        ends.append((panel.start[2], *panel.start[:2], "black", False))
    ends = [end for end in ends if math.isfinite(end[1]) and math.isfinite(end[2]) and end[0]]
    low, high = axes.get_ylim()
    wanted = [(y - low) / (high - low) for _, _, y, _, _ in ends]
    places = spread(wanted, _LABEL, 0.0, 1.0)
    thread: dict[str, Any] = {"arrowstyle": "-", "linewidth": 0.6, "alpha": 0.35, "shrinkA": 1, "shrinkB": 4}
    for (label, x, y, colour, strong), place in zip(ends, places, strict=True):
        axes.annotate(
            label, (x, y), xytext=(1.03, place), textcoords="axes fraction", ha="left", va="center",
            color=colour, fontsize=8, fontweight="bold" if strong else "normal", annotation_clip=False,
            arrowprops={**thread, "color": colour},
        )  # fmt: skip
    axes.set_ylim(low, high)
