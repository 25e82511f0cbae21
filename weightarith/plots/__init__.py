"""Pictures from plain numbers, as SVG and PNG: equal numbers give equal bytes.

Colours are told apart by people with any colour vision, every line has marks of its own shape and its name
beside it, and an interval stands on whatever has one.
"""

from weightarith.plots.bars import Series, bars
from weightarith.plots.heat import heat_map
from weightarith.plots.lines import Band, Line, Panel, line_panels
from weightarith.plots.picture import Picture

__all__ = ["Band", "Line", "Panel", "Picture", "Series", "bars", "heat_map", "line_panels"]
