"""What a monitored training looks like in a picture, as plain numbers."""

from __future__ import annotations

from weightarith.monitor.watching import Monitored
from weightarith.plots.monitoring import Course, monitoring_curves
from weightarith.plots.picture import Picture


def picture(found: Monitored) -> Picture:
    """Return the course of each watched vector, a panel for each training in the folder.

    Raises:
        RecipeError: no checkpoint has moved.
    """
    return monitoring_curves(courses(found))


def courses(found: Monitored) -> list[Course]:
    """Return the course of each watched vector in each training."""
    made = []
    for series in dict.fromkeys(look.saved.series for look in found.looks):
        looks = [look for look in found.looks if look.saved.series == series and look.norm]
        for number, one in enumerate(found.known.watched):
            scores = [look.scores[number] for look in looks]
            made.append(
                Course(
                    f"{series}: {one.label}" if series else one.label,
                    f"gap to {one.opposite}" if one.opposite else "cosine",
                    tuple(look.saved.step for look in looks),
                    tuple(each.tested or 0.0 for each in scores),
                    tuple(each.band or 0.0 for each in scores),
                    tuple(each.threshold or 0.0 for each in scores),
                    tuple(each.alarm for each in scores),
                    {label: tuple(look.controls[label] for look in looks) for label in _controls(found)},
                )
            )
    return made


def _controls(found: Monitored) -> list[str]:
    return [found.known.labels[place] for place in found.known.controls]
