"""Charts: figures made of Vega-Lite at build time, and the sparklines of run pages."""

from .bundle import NOTICE, vega
from .drawing import Drawings
from .figure import CellValue, Figure, data, data_path, specification
from .render import svg
from .spark import HEIGHT, MARGIN, WIDTH, polyline, share

__all__ = [
    "HEIGHT",
    "MARGIN",
    "NOTICE",
    "WIDTH",
    "CellValue",
    "Drawings",
    "Figure",
    "data",
    "data_path",
    "polyline",
    "share",
    "specification",
    "svg",
    "vega",
]
