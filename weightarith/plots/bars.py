"""Bars from zero, a row for each name, with an interval on those that have one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightarith.errors import RecipeError
from weightarith.plots.picture import Picture, drawn
from weightarith.plots.style import GREY, colour_of, percent_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW = 0.24  # inches of a bar and its gap


@dataclass(frozen=True)
class Series:
    """A number for each name; intervals (low, high) where there are some, None where one has none."""

    label: str
    values: tuple[float, ...]
    intervals: tuple[tuple[float, float] | None, ...] = ()


def bars(
    names: Sequence[str], series: Sequence[Series], *, title: str = "", label: str = "",
    percent: bool = False, mark: float | None = None,
) -> Picture:  # fmt: skip
    """Return horizontal bars, the first name on top; several series stand below one another at each name.

    Args:
        names: what each row is.
        series: numbers for all names, at least one series.
        title: above it.
        label: what the numbers are.
        percent: whether they are shares, written in per cent.
        mark: a number that all are to be seen beside, as a dashed line.

    Raises:
        RecipeError: there is nothing to draw, or a series has another length than `names`.
    """
    if not names or not series or any(len(one.values) != len(names) for one in series):
        raise RecipeError(f"bars of {len(names)} names, and other numbers than that")

    def draw(figure: Figure) -> None:
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        _draw(axes, series, len(names))
        axes.set_yticks(range(len(names)), list(names))
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.axvline(0, color=GREY, linewidth=0.8)
        if mark is not None:
            axes.axvline(mark, color="black", linewidth=0.8, linestyle="dashed")
        axes.grid(visible=False, axis="y")
        axes.set_title(title)
        axes.set_xlabel(label)
        if percent:
            axes.xaxis.set_major_formatter(percent_of)
        if len(series) > 1:
            figure.legend(fontsize=8, frameon=False, loc="outside lower right", ncols=len(series))

    return drawn(draw, 1.1 + _ROW * len(names) * max(1, len(series) * 0.7))


def _draw(axes: Axes, series: Sequence[Series], rows: int) -> None:
    thick = 0.8 / len(series)
    for number, one in enumerate(series):
        places = [row + (number - (len(series) - 1) / 2) * thick for row in range(rows)]
        axes.barh(places, one.values, thick * 0.9, color=colour_of(number), label=one.label)
        for place, interval in zip(places, one.intervals, strict=False):
            if interval is not None:
                axes.plot(interval, (place, place), color="black", linewidth=0.9)
