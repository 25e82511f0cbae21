"""Pictures of a training watched: cosines or gaps over its steps, and the band that chance stays in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightarith.errors import RecipeError
from weightarith.plots.picture import Picture, drawn
from weightarith.plots.style import FAINT, GREY, colour_of, mark_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_EACH = 2.9  # inches of a panel with its title and axis
_THIN = 0.9


@dataclass(frozen=True)
class Course:
    """What is followed over the steps of one training, a number a step in each.

    Attributes:
        label: the vector's.
        quantity: what is drawn: its cosine, or the gap to its opposite.
        steps: of the checkpoints.
        values: what is drawn.
        bands: what chance stays below.
        thresholds: what must be exceeded for an alarm.
        alarms: which of the checkpoints sound one.
        controls: the same number of each control.
    """

    label: str
    quantity: str
    steps: tuple[int, ...]
    values: tuple[float, ...]
    bands: tuple[float, ...]
    thresholds: tuple[float, ...]
    alarms: tuple[bool, ...]
    controls: tuple[float, ...]


def monitoring_curves(courses: Sequence[Course]) -> Picture:
    """Return a panel for each course: the band is grey, the threshold dashed, and an alarm is ringed.

    Raises:
        RecipeError: there is nothing to draw.
    """
    drawable = [one for one in courses if one.steps]
    if not drawable:
        raise RecipeError("there is nothing to draw: no checkpoint has moved")

    def draw(figure: Figure) -> None:
        figure.set_layout_engine("constrained")
        for place, one in enumerate(drawable):
            _draw(figure.add_subplot(len(drawable), 1, place + 1), one, place)

    return drawn(draw, _EACH * len(drawable))


def _draw(axes: Axes, one: Course, number: int) -> None:
    colour = colour_of(number)
    axes.set_title(one.label)
    axes.set_xlabel("step")
    axes.set_ylabel(one.quantity)
    low = [-each for each in one.bands]
    axes.fill_between(one.steps, low, one.bands, color=FAINT, alpha=0.7, linewidth=0, label="chance")
    if len(one.steps) == 1:  # an area of one point is not seen
        axes.plot(one.steps * 2, (low[0], one.bands[0]), color=GREY, linewidth=6, alpha=0.4)
    axes.axhline(0, color=GREY, linewidth=_THIN)
    for place, value in enumerate(one.controls):
        shown = "controls" if place == 0 else "_more"
        axes.axhline(value, color=GREY, linewidth=_THIN, linestyle="dotted", label=shown)
    axes.plot(one.steps, one.values, color=colour, marker=mark_of(number), markersize=5, label=one.label)
    top = max(map(abs, (*one.values, *one.bands)))
    near = [each if each <= 3 * top else float("nan") for each in one.thresholds]  # or it hides the rest
    axes.plot(
        one.steps, near, color="black", linestyle="dashed", linewidth=_THIN, marker="_", label="alarm above"
    )
    loud = [
        (step, value) for step, value, alarm in zip(one.steps, one.values, one.alarms, strict=True) if alarm
    ]
    if loud:
        steps, values = zip(*loud, strict=True)
        axes.plot(
            steps, values, "o", markersize=11, markerfacecolor="none", markeredgecolor="black", label="alarm"
        )
    axes.legend(fontsize=7.5, frameon=False, loc="best", ncols=2)
