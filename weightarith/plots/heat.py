"""Tables of numbers as colours, with the numbers in them where there is room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weightarith.errors import RecipeError
from weightarith.plots.picture import Picture, drawn
from weightarith.plots.style import WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WRITTEN = 16
"""Most columns in which numbers are written into the cells."""
_LEVELS = 65
"""Colours of a scale: an odd number, so that the middle is one of them."""
_DARK, _LIGHT = "#010101", "#FEFEFE"
"""Inks inside of cells, whose colour is the same on a dark page and on a bright one."""
_SEAMLESS: dict[str, Any] = {"edgecolors": "face", "linewidth": 0.3}
"""Shapes side by side with no thread of the page between them."""
_TILTED: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}


@dataclass(frozen=True)
class Heat:
    """One table.

    Attributes:
        values: numbers, row by row; NaN is left white.
        rows: their names.
        columns: their names.
        title: above it.
        legend: beside the colour scale: what the numbers are.
        limits: the numbers at the two ends of the scale; the least and the largest by default.
        diverging: whether the middle of the scale is white, as for cosines between −1 and 1.
        form: how numbers are written into the cells, as in `format`.
    """

    values: Sequence[Sequence[float]]
    rows: Sequence[str]
    columns: Sequence[str]
    title: str = ""
    legend: str = ""
    limits: tuple[float, float] | None = None
    diverging: bool = False
    form: str = ".2f"

    @property
    def height(self) -> float:
        """How many inches it takes."""
        return min(1.6 + 0.3 * len(self.rows), 2 * WIDTH)


def heat_map(
    values: Sequence[Sequence[float]],
    rows: Sequence[str],
    columns: Sequence[str],
    *, title: str = "", legend: str = "", limits: tuple[float, float] | None = None,
    diverging: bool = False, form: str = ".2f",
) -> Picture:  # fmt: skip
    """Return a heat map; its arguments are those of `Heat`.

    Raises:
        RecipeError: the table is empty or not as wide and high as its names say.
    """
    return heat_maps([Heat(values, rows, columns, title, legend, limits, diverging, form)])


def heat_maps(maps: Sequence[Heat]) -> Picture:
    """Return heat maps one below the other, each with a colour scale of its own, as shapes and not as pixels.

    Raises:
        RecipeError: there is none, or one is empty or not as wide and high as its names say.
    """
    if not maps:
        raise RecipeError("there is no table to draw")
    for one in maps:
        widths = [len(row) for row in one.values]
        if not one.rows or not one.columns or widths != [len(one.columns)] * len(one.rows):
            raise RecipeError(
                f"a heat map of {len(one.rows)} × {len(one.columns)} names, and other numbers than that"
            )
    heights = [one.height for one in maps]

    def draw(figure: Figure) -> None:
        figure.set_layout_engine("constrained")
        grid = figure.add_gridspec(len(maps), height_ratios=heights)
        for place, one in enumerate(maps):
            _draw(figure, figure.add_subplot(grid[place]), one)

    return drawn(draw, sum(heights))


def _draw(figure: Figure, axes: Axes, one: Heat) -> None:
    import matplotlib as mpl

    low, high = one.limits or _limits(one.values)
    colours = mpl.colormaps["RdBu_r" if one.diverging else "cividis"].resampled(_LEVELS)
    places = ([number - 0.5 for number in range(len(side) + 1)] for side in (one.columns, one.rows))
    image = axes.pcolormesh(*places, one.values, cmap=colours, vmin=low, vmax=high, **_SEAMLESS)
    axes.set_ylim(len(one.rows) - 0.5, -0.5)
    axes.grid(visible=False)
    axes.set_title(one.title)
    axes.set_xticks(range(len(one.columns)), list(one.columns), **_TILTED)
    axes.set_yticks(range(len(one.rows)), list(one.rows))
    scale = figure.colorbar(image, ax=axes, label=one.legend)
    if scale.solids is not None:
        scale.solids.set(rasterized=False, **_SEAMLESS)
    if len(one.columns) <= _WRITTEN:
        _write(axes, image, one.values, one.form)


def _limits(values: Sequence[Sequence[float]]) -> tuple[float, float]:
    finite = [value for row in values for value in row if value == value]
    return (min(finite), max(finite)) if finite else (0.0, 1.0)


def _write(axes: Any, image: Any, values: Sequence[Sequence[float]], form: str) -> None:
    for row, cells in enumerate(values):
        for column, value in enumerate(cells):
            if value != value:
                continue
            red, green, blue, _ = image.cmap(image.norm(value))
            ink = _DARK if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else _LIGHT
            said = format(value, form).replace("-", "−")
            axes.text(column, row, said, ha="center", va="center", color=ink, fontsize=7)
