"""Training curves of a model, the study's Figure 9: a figure a dataset, a panel a logged value, a thin line a seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from .. import names, wording
from ..queries import Curve, Run
from ..views.courses import thinned
from .figure import POINTS, CellValue, Figure, specification
from .shown import wrapped

PANELS: Final = 8
"""Logged values of a figure; more would be neither read nor drawn in time."""
PLACES: Final = 40
"""Points of a line: a line is 150 pixels wide."""
ROOM: Final = 34
"""Pixels for the numbers of an axis, the same for all, so that panels stand in rows and columns."""
Logged = Sequence[tuple[Run, Sequence[Curve]]]


def training(number: int, dataset: str, logged: Logged, whole: bool) -> Figure:
    """The figure.

    Args:
        number: of the figure on its page, for the anchor.
        dataset: on which the runs learnt.
        logged: runs with what they logged, at least one of which logged something.
        whole: whether these are all the runs.

    """
    panels = list(dict.fromkeys(_panel(curve) for _, curves in logged for curve in curves))
    shown = panels[:PANELS]
    runs = wording.plural(len(logged), "run")
    left_out = f" {len(panels) - len(shown)} more values are on the pages of the runs." if len(panels) > len(shown) else ""
    return Figure(
        id=f"training-{number}",
        title=f"Training on {names.printable(dataset)}",
        description=f"A panel for each of {wording.plural(len(shown), 'logged value')}, over epochs, on a scale of its own; "
        f"a thin line for each of {runs}. " + " ".join(_said(logged, shown)),
        spec=specification(_chart(), _points(logged, shown)),
        columns=["Phase: value", "Split", "Seed", "First", "Lowest", "Last", "Epochs"],
        rows=[
            (_panel(curve), str(run.split), str(run.seed), curve.first[1], curve.lowest[1], curve.last[1], len(curve.points))
            for panel in shown
            for run, curves in logged
            for curve in curves
            if _panel(curve) == panel
        ],
        heads=3,
        note=f"Over epochs; a line a run{'' if whole else f', the first {runs}'}: the same model from other seeds or on other splits. "
        f"Losses of a network that plays against another need not fall.{left_out}",
    )


def _panel(curve: Curve) -> str:
    return f"{curve.phase}: {curve.name}"


def _said(logged: Logged, shown: Sequence[str]) -> Iterator[str]:
    for panel in shown:
        found = [curve for _, curves in logged for curve in curves if _panel(curve) == panel]
        first, last = (sum(values) / len(found) for values in ([c.first[1] for c in found], [c.last[1] for c in found]))
        yield f"{panel}: from {wording.number(first)} to {wording.number(last)} on average."


def _points(logged: Logged, shown: Sequence[str]) -> Iterator[Mapping[str, CellValue]]:
    for panel in shown:
        for run, curves in logged:
            for curve in curves:
                if _panel(curve) == panel:
                    for epoch, value in thinned(curve.points, PLACES):
                        yield {
                            "p": wrapped(panel),
                            "n": shown.index(panel),
                            "r": f"split {run.split}, seed {run.seed}",
                            "e": epoch,
                            "v": float(f"{value:.4g}"),
                        }


@cache
def _chart() -> Mapping[str, Any]:
    import altair as alt  # takes half a second

    line = (
        alt.Chart(alt.NamedData(POINTS))
        .mark_line(strokeWidth=1, opacity=0.75, color="var(--series-1)")
        .encode(
            x=alt.X("e:Q", title=None, axis=alt.Axis(tickCount=4, tickMinStep=1, format="d", grid=False)),
            y=alt.Y(
                "v:Q",
                title=None,
                scale=alt.Scale(zero=False, nice=True),
                axis=alt.Axis(tickCount=4, minExtent=ROOM, maxExtent=ROOM),
            ),
            detail="r:N",
            tooltip=[alt.Tooltip("r:N", title="run"), alt.Tooltip("e:Q", title="epoch"), alt.Tooltip("v:Q", title="value")],
        )
        .properties(width=150, height=90)
    )
    panels = alt.Facet("p:N", title=None, sort=alt.EncodingSortField("n", op="min"), header=alt.Header(labelAnchor="start"))
    chart = line.facet(panels, columns=2, bounds="flush", spacing={"row": 46, "column": ROOM + 16})
    chart = chart.resolve_scale(x="independent", y="independent")
    found: dict[str, Any] = chart.to_dict()
    return found
