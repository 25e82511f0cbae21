"""Pictures inside the page: the SVG of `plots`, with colours that follow the page's and names of their own.

The drawings come from this package alone; nothing of a stranger's is put into a page as markup.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from weightarith.plots import Picture
from weightarith.plots.style import COLOURS, FAINT, GREY

if TYPE_CHECKING:
    from markupsafe import Markup

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_VARIABLES = {
    "#ffffff": "none",
    "#000000": "var(--ink)",
    "#333333": "var(--ink)",
    GREY.lower(): "var(--quiet)",
    FAINT.lower(): "var(--rule)",
    **{colour.lower(): f"var(--c{place}, {colour.lower()})" for place, colour in enumerate(COLOURS)},
}
_COLOUR = re.compile("#[0-9a-f]{6}(?![0-9a-f])")
_REFERENCE = re.compile(r"url\(#([^)]*)\)")
_FONT = re.compile(r"font-family: [^;]*")


@dataclass(frozen=True)
class Figure:
    """A drawing and the words below it."""

    markup: Markup
    caption: str


def inline(picture: Picture, key: str, title: str) -> Markup:
    """Return a drawing as markup to stand in a page.

    Args:
        picture: drawn by `plots`.
        key: what its names begin with, so that no two drawings share one.
        title: what is read out in its place.
    """
    from markupsafe import Markup

    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", XLINK)
    root = ET.fromstring(picture.svg)  # our own drawing, and no file
    for child in root.findall(f"{{{SVG}}}metadata"):
        root.remove(child)
    for defined in root.iter(f"{{{SVG}}}defs"):
        for style in defined.findall(f"{{{SVG}}}style"):  # it would hold for the whole page
            defined.remove(style)
    for element in root.iter():
        _renamed(element, key)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    label = ET.Element(f"{{{SVG}}}title", {"id": f"{key}-title"})
    label.text = title
    root.insert(0, label)
    root.attrib |= {"role": "img", "aria-labelledby": f"{key}-title"}
    return Markup(ET.tostring(root, encoding="unicode"))  # what is text in it, ElementTree has escaped


def _renamed(element: ET.Element, key: str) -> None:
    """Put `key` before every name an element has or refers to, and the page's colours for the drawing's."""
    for name, value in element.attrib.items():
        if name == "id":
            element.attrib[name] = f"{key}-{value}"
        elif name == f"{{{XLINK}}}href":
            element.attrib[name] = f"#{key}-{value.removeprefix('#')}"
        elif name == "style":
            coloured = _COLOUR.sub(lambda found: _VARIABLES.get(found[0], found[0]), value)
            element.attrib[name] = _FONT.sub("font-family: var(--plot)", coloured)
        elif "url(#" in value:
            element.attrib[name] = _REFERENCE.sub(rf"url(#{key}-\1)", value)
