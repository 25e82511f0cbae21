"""A drawing as SVG and PNG, without a display, a clock or a setting of the user's in it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightarith.plots.style import PIXELS_PER_INCH, SETTINGS, WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """One drawing in two forms."""

    svg: str
    png: bytes


def drawn(draw: Callable[[Figure], None], height: float) -> Picture:
    """Return what `draw` puts on an empty figure of the usual width and `height` inches."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        figure = Figure(figsize=(WIDTH, height))
        FigureCanvasAgg(figure)
        draw(figure)
        vector, pixels = io.StringIO(), io.BytesIO()
        figure.savefig(vector, format="svg", metadata={"Date": None, "Creator": None})
        figure.savefig(pixels, format="png", dpi=PIXELS_PER_INCH, metadata={"Software": None})
    return Picture(vector.getvalue(), pixels.getvalue())
