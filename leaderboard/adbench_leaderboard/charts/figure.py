"""What a figure is: a Vega-Lite specification with words and a table that say the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from .. import names
from ..site import File
from .theme import CONFIG

if TYPE_CHECKING:
    import altair

POINTS: Final = "points"
"""The name of a figure's data: charts are built on ``altair.NamedData(POINTS)``."""

CellValue = str | int | float | None
Point = Mapping[str, object]
"""A row of a figure's data: text, numbers and nothing else."""


@dataclass(frozen=True)
class Figure:
    """A chart of a page, with what stands for it where it can't be seen."""

    id: str
    """Of its anchor: plain letters, digits and hyphens, once a page."""
    title: str
    description: str
    """What one would see, for those who don't: axes, what is drawn, the main figures."""
    spec: Mapping[str, Any]
    """See ``specification``."""
    columns: Sequence[str]
    """Heads of the table behind it."""
    rows: Sequence[Sequence[CellValue]]
    """The table: text is shown as it is, a whole number as a count, a float with four digits."""
    heads: int = 1
    """How many leading columns name their row; the others hold figures."""
    note: str = ""
    """What a reader must know to read it, below the chart."""
    explored: Mapping[str, Any] | None = None
    """The specification of the interactive version where it has more, what a pointer meets for instance."""


def specification(chart: altair.TopLevelMixin | Mapping[str, Any], points: Iterable[Point]) -> dict[str, Any]:
    """A chart that altair has checked, with its data and the look of the site.

    Args:
        chart: built on ``altair.NamedData(POINTS)``: altair would check every row of inline data, which takes longer than all else.
            Or what its ``to_dict`` gave before, for figures that differ by their data alone.
        points: rows with the fields that the chart names; what a plugin says must be in them, never in a name of a field.

    """
    rows = [
        {field: names.printable(value) if isinstance(value, str) else value for field, value in row.items()} for row in points
    ]
    checked = chart if isinstance(chart, Mapping) else chart.to_dict()
    return {**checked, "config": CONFIG, "datasets": {POINTS: rows}}


def data_path(page: str) -> str:
    """Where the specifications of a page's figures lie."""
    return f"data/{page.removesuffix('.html')}.figures.js"


def data(page: str, figures: Iterable[Figure]) -> File:
    """The specifications of a page's figures, in a script that puts them where the interactive version looks."""
    specs = {figure.id: figure.explored or figure.spec for figure in figures}
    return File(data_path(page), f"window.adbenchFigures = {_script(specs)};\n".encode())


def _script(value: object) -> str:
    """Plain data as ASCII that is JavaScript and has no markup in it."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
