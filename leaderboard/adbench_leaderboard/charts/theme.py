"""How every figure looks: colours are names of the page's, so that a figure follows the page into the dark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

INK: Final = "currentColor"
QUIET: Final = "var(--quiet)"
LINE: Final = "var(--line)"
GROUND: Final = "var(--ground)"
SENS: Final = "var(--sens)"
SPEC: Final = "var(--spec)"
SERIES: Final = tuple(f"var(--series-{number})" for number in range(1, 9))
"""Hues that colour-blind readers can tell apart; a figure says by shape or place what it says by colour."""

FONT: Final = "Liberation Sans"
"""Text is measured with it, since vl-convert brings it along: the same places on every machine. Pages set their own."""

CONFIG: Final[Mapping[str, Any]] = {
    # The SVG is one image with a title and a description of our own.
    "aria": False,
    "background": None,
    "font": FONT,
    "padding": 2,
    "view": {"stroke": None, "fill": None, "continuousWidth": 300, "continuousHeight": 200},
    "axis": {
        "labelColor": QUIET,
        "titleColor": INK,
        "domainColor": QUIET,
        "tickColor": QUIET,
        "gridColor": LINE,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "titlePadding": 6,
        "labelLimit": 150,
        "tickSize": 4,
    },
    "header": {"labelColor": INK, "titleColor": INK, "labelFontSize": 11.5, "labelFontWeight": "bold", "labelLimit": 170},
    "legend": {
        "labelColor": INK,
        "titleColor": INK,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "labelLimit": 220,
        "symbolOpacity": 1,
        "layout": {"top": {"direction": "vertical", "anchor": "start"}},
    },
    "title": {"color": INK, "fontSize": 12, "anchor": "start"},
    "text": {"color": INK, "fontSize": 11},
    "line": {"strokeWidth": 1.75, "strokeJoin": "round"},
    "rule": {"color": QUIET},
    "range": {"category": list(SERIES)},
}
