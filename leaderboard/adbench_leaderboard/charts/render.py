"""A figure as an SVG that can stand inside a page: no style, no script, no address, colours of the page."""

from __future__ import annotations

import json
import re
from typing import Final
from xml.etree import ElementTree

from markupsafe import Markup

from .figure import Figure

ELEMENTS: Final = frozenset({"svg", "g", "path", "line", "rect", "circle", "text", "tspan", "defs", "clipPath"})
ATTRIBUTES: Final = frozenset(
    {
        *("d", "x", "y", "x1", "y1", "x2", "y2", "r", "cx", "cy", "dx", "dy", "width", "height", "rx", "ry", "transform"),
        *(
            "fill",
            "fill-opacity",
            "stroke",
            "stroke-opacity",
            "stroke-width",
            "stroke-dasharray",
            "stroke-linecap",
            "stroke-linejoin",
        ),
        *("stroke-miterlimit", "opacity", "clip-path", "id", "font-size", "font-weight", "font-style", "text-anchor"),
    }
)
"""What is kept. Not the font: text has the page's. Not roles and labels: the whole is one image."""
SCALE: Final = 1.2
"""Where there is room: figures are laid out for phones, with letters that are small on a desk."""
DEFAULTS: Final = frozenset({("opacity", "1"), ("stroke-width", "1"), ("transform", "translate(0,0)")})
DECIMALS: Final = re.compile(r"-?\d+\.\d{2,}(?:e-?\d+)?")
REFERENCE: Final = re.compile(r"url\(#([\w-]+)\)")


def svg(figure: Figure) -> Markup:
    """The figure drawn by vl-convert; the same bytes for the same figure.

    Raises:
        ValueError: vl-convert can't draw the specification, or draws with what no page may hold.

    """
    import vl_convert  # starts a JavaScript engine

    drawn: str = vl_convert.vegalite_to_svg(json.dumps(figure.spec), allowed_base_urls=[])
    root = ElementTree.fromstring(drawn)
    clean = _Cleaner(f"{figure.id}-").clean(root)
    if clean is None:
        raise ValueError(f"{figure.id}: nothing was drawn")
    size = {name: f"{float(root.attrib[name]) * SCALE:.0f}" for name in ("width", "height")}
    labels = {"role": "img", "aria-labelledby": f"{figure.id}-title", "aria-describedby": f"{figure.id}-desc"}
    clean.attrib = {"id": f"{figure.id}-svg", "class": "drawn", **labels, "viewBox": root.attrib["viewBox"], **size}
    for place, (tag, words) in enumerate((("title", figure.title), ("desc", figure.description))):
        element = ElementTree.Element(tag, {"id": f"{figure.id}-{tag}"})
        element.text = words
        clean.insert(place, element)
    # Made by a serialiser from a tree of known elements and attributes.
    return Markup(ElementTree.tostring(clean, encoding="unicode"))


class _Cleaner:
    """Copies what is seen of a drawing, with ids that are unique in the page."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.ids: dict[str, str] = {}
        """By Vega's id, which counts on from drawing to drawing."""

    def clean(self, element: ElementTree.Element, shows: bool = True) -> ElementTree.Element | None:
        """A copy of what is seen of an element, or None if nothing is; ``shows`` unless it only cuts others."""
        tag = element.tag.rpartition("}")[2]
        if tag not in ELEMENTS:
            raise ValueError(f"a chart drew <{tag}>")
        kept = ((name, self.value(name, value)) for name, value in element.attrib.items() if name in ATTRIBUTES)
        copy = ElementTree.Element(tag, {name: value for name, value in kept if (name, value) not in DEFAULTS})
        copy.text = element.text if tag in ("text", "tspan") else None
        children = (self.clean(child, shows and tag != "clipPath") for child in element)
        copy.extend(child for child in children if child is not None)
        return copy if not shows or _is_seen(copy) else None

    def value(self, name: str, value: str) -> str:
        """An attribute's value: ids are ours, numbers are short, and nothing points out of the drawing."""
        if name == "id":
            return self.renamed(value)
        if "url(" in value:
            found = REFERENCE.fullmatch(value)
            if not found:
                raise ValueError(f"a chart points to {value}")
            return f"url(#{self.renamed(found[1])})"
        # A tenth of a pixel is finer than any eye, and half the bytes.
        return DECIMALS.sub(_tenths, value)

    def renamed(self, name: str) -> str:
        """An id of Vega as one of ours."""
        return self.ids.setdefault(name, f"{self.prefix}{len(self.ids)}")


def _is_seen(element: ElementTree.Element) -> bool:
    if element.tag in ("g", "svg", "defs"):
        return len(element) > 0
    # Vega's root fills with nothing; "display" marks paths that have none.
    return element.tag not in ("path", "rect") or (bool(element.get("fill") or element.get("stroke")) and element.get("d") != "")


def _tenths(found: re.Match[str]) -> str:
    # Adding zero takes the sign off a negative one.
    return f"{round(float(found[0]), 1) + 0.0:.6g}"
