"""A table of numbers as colours, with the numbers in it where there is room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from weightarith.errors import RecipeError
from weightarith.plots.picture import Picture, drawn
from weightarith.plots.style import WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WRITTEN = 16
"""Most columns in which numbers are written into the cells."""
_TILTED: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}


def heat_map(
    values: Sequence[Sequence[float]],
    rows: Sequence[str],
    columns: Sequence[str],
    *, title: str = "", legend: str = "", limits: tuple[float, float] | None = None,
    diverging: bool = False, form: str = ".2f",
) -> Picture:  # fmt: skip
    """Return a heat map.

    Args:
        values: numbers, row by row; NaN is left white.
        rows: their names.
        columns: their names.
        title: above it.
        legend: beside the colour scale: what the numbers are.
        limits: the numbers at the two ends of the scale; the least and the largest by default.
        diverging: whether the middle of the scale is white, as for cosines between −1 and 1.
        form: how numbers are written into the cells, as in `format`.

    Raises:
        RecipeError: the table is empty or not as wide and high as its names say.
    """
    if not rows or not columns or [len(row) for row in values] != [len(columns)] * len(rows):
        raise RecipeError(f"a heat map of {len(rows)} × {len(columns)} names, and other numbers than that")
    low, high = limits or _limits(values)

    def draw(figure: Figure) -> None:
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        image = axes.imshow(
            values, cmap="RdBu_r" if diverging else "cividis", vmin=low, vmax=high, aspect="auto"
        )
        axes.grid(visible=False)
        axes.set_title(title)
        axes.set_xticks(range(len(columns)), list(columns), **_TILTED)
        axes.set_yticks(range(len(rows)), list(rows))
        figure.colorbar(image, ax=axes, label=legend)
        if len(columns) <= _WRITTEN:
            _write(axes, image, values, form)

    return drawn(draw, min(1.6 + 0.3 * len(rows), 2 * WIDTH))


def _limits(values: Sequence[Sequence[float]]) -> tuple[float, float]:
    finite = [value for row in values for value in row if value == value]
    return (min(finite), max(finite)) if finite else (0.0, 1.0)


def _write(axes: Any, image: Any, values: Sequence[Sequence[float]], form: str) -> None:
    for row, cells in enumerate(values):
        for column, value in enumerate(cells):
            if value != value:
                continue
            red, green, blue, _ = image.cmap(image.norm(value))
            ink = "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
            axes.text(column, row, format(value, form), ha="center", va="center", color=ink, fontsize=7)
