"""Pictures of vectors: their norms along the layers, and how many directions hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from weightarith.errors import RecipeError
from weightarith.plots.lines import Line, Panel, line_panels
from weightarith.plots.picture import Picture


def layer_norms(norms: Mapping[str, Mapping[str, float]], *, title: str = "Norm by layer") -> Picture:
    """Return norms along the layers, a line for each vector; what is outside of them is left aside.

    Args:
        norms: of each vector by its label, the norm of each layer by its number.
        title: above it.

    Raises:
        RecipeError: no vector has a layer.
    """
    lines = [_line(number, label, layers) for number, (label, layers) in enumerate(norms.items())]
    if not any(line.x for line in lines):
        raise RecipeError("there are no layers to draw", hint="the vectors move nothing inside of layers")
    return line_panels([Panel(title, "layer", "norm", tuple(line for line in lines if line.x))])


def kept_shares(
    shares: Mapping[str, Sequence[float]], *, title: str = "Squared norm in the strongest directions"
) -> Picture:
    """Return the share of each vector that the first directions of its matrices hold, as lines.

    Args:
        shares: of each vector by its label, the share that the first i directions hold, i from 1.
        title: above it.

    Raises:
        RecipeError: no vector has a matrix.
    """
    lines = [_held(number, label, held) for number, (label, held) in enumerate(shares.items()) if held]
    if not lines:
        raise RecipeError("there is no matrix to draw the directions of")
    axes = "directions of each matrix", "share of the squared norm"
    return line_panels([Panel(title, *axes, tuple(lines), y_percent=True)])


def _line(number: int, label: str, layers: Mapping[str, float]) -> Line:
    placed = sorted((int(layer), norm) for layer, norm in layers.items() if layer.isdigit())
    return Line(label, tuple(float(x) for x, _ in placed), tuple(y for _, y in placed), number=number)


def _held(number: int, label: str, held: Sequence[float]) -> Line:
    places = _places(len(held))
    return Line(label, tuple(map(float, places)), tuple(held[i - 1] for i in places), number=number)


def _places(count: int) -> list[int]:
    """Return up to 64 places from 1 to `count`, evenly spread, the first and the last among them."""
    if count <= _MARKS:
        return list(range(1, count + 1))
    return sorted({1 + round(step * (count - 1) / (_MARKS - 1)) for step in range(_MARKS)})


_MARKS = 64
