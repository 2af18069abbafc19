"""ROC and precision-recall curves of a dataset, the study's Figure 8: a panel a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from .. import wording
from .bands import PLACES, Band, Reading, band, precisions, sensitivities
from .figure import POINTS, Figure, Point, specification
from .shown import Shown, wrapped
from .theme import QUIET, SENS, SPEC

if TYPE_CHECKING:
    from adbench_harness.store.scored import ScoredTogether

SIDE: Final = 148
"""Of a panel, in pixels; two beside each other fit a phone."""
LINES: Final = "split(datum.label, '\\n')"
"""A label with line breaks as lines."""


@dataclass(frozen=True)
class Kind:
    """One of the two curves."""

    name: str
    title: str
    x: str
    y: str
    reading: Reading
    figure: str
    """The area that goes with it, as stored."""
    area: str
    colour: str


ROC: Final = Kind("roc", "ROC curves", "False positive rate", "Sensitivity", sensitivities, "roc_auc", "ROC AUC", SENS)
PR: Final = Kind(
    "pr", "Precision-recall curves", "Sensitivity (recall)", "Precision", precisions, "pr_auc", "average precision", SPEC
)


def curves(kind: Kind, name: str, task: str, shown: Shown, images: ScoredTogether) -> Figure:
    """A figure of one kind of curve.

    Args:
        kind: which.
        name: of the page's part, for the anchor.
        task: its name.
        shown: the models.
        images: the task's test images with the scores of all runs that are shown; both classes are there.

    """
    rows = {run: number for number, run in enumerate(images.runs)}
    bands = {
        shown.labels[model]: band(images.labels, images.scores[[rows[run.run_id] for run in runs]], images.codes, kind.reading)
        for model, runs in shown.models.items()
    }
    abnormal, normal = images.counts
    chance = (
        [(0.0, 0.0), (1.0, 1.0)]
        if kind is ROC
        else [(0.0, abnormal / (abnormal + normal)), (1.0, abnormal / (abnormal + normal))]
    )
    several = any(len(runs) > 1 for runs in shown.models.values())
    points = [row for label, found in bands.items() for row in _points(kind, wrapped(label), found, chance, several)]
    ways = "diagonal" if kind is ROC else f"level line at {chance[0][1]:.3f}, the share of abnormal images"
    range_words = " Thin lines: the lowest and the highest of the seeds." if several else ""
    over = "patients" if images.codes is not None else "test images"
    return Figure(
        id=f"{kind.name}-{name}",
        title=f"{kind.title}, {_task(task)}",
        description=f"{wording.plural(len(bands), 'panel')}, one a model: {kind.y.lower()} by {kind.x.lower()}. "
        + " ".join(_said(kind, shown, task))
        + f" Random scores give the dashed {ways}.",
        spec=specification(_chart(kind, False), points),
        explored=specification(_chart(kind, True), points),
        columns=[kind.x, *(f"{label}{part}" for label in bands for part in _parts(several))],
        rows=[[f"{place:.2f}", *_cells(bands, number, several)] for number, place in enumerate(PLACES)],
        note=f"{shown.words}; {abnormal} abnormal and {normal} normal test images. Thick line: mean of the seeds' curves; band: "
        f"pointwise 95 % over draws of {over} (bootstrap).{range_words} Dashed: random scores.",
    )


def _task(task: str) -> str:
    return "all abnormal images" if task == "all" else f"task {task}"


def _said(kind: Kind, shown: Shown, task: str) -> Iterator[str]:
    for model, runs in shown.models.items():
        found = [value for run in runs if (value := run.figure(kind.figure, task=task)) is not None]
        if found:
            yield f"{shown.labels[model]}: {kind.area} {sum(found) / len(found):.3f}."


def _parts(several: bool) -> Sequence[str]:
    return ("", ", 95 % from", ", 95 % to", *((", lowest seed", ", highest seed") if several else ()))


def _cells(bands: Mapping[str, Band], place: int, several: bool) -> Iterator[str]:
    for one in bands.values():
        found = (one.mean, one.low, one.high, *((one.lowest, one.highest) if several else ()))
        yield from (f"{values[place]:.3f}" for values in found)


def _points(kind: Kind, label: str, one: Band, chance: Sequence[tuple[float, float]], several: bool) -> Iterator[Point]:
    if kind is ROC:
        yield {"m": label, "k": "mean", "x": 0.0, "y": 0.0, "lo": 0.0, "hi": 0.0}
    for place, mean, low, high in zip(PLACES, one.mean, one.low, one.high, strict=True):
        yield {"m": label, "k": "mean", "x": _short(place), "y": _short(mean), "lo": _short(low), "hi": _short(high)}
    for name, values in (("lowest", one.lowest), ("highest", one.highest)) if several else ():
        yield from ({"m": label, "k": name, "x": _short(x), "y": _short(y)} for x, y in zip(PLACES, values, strict=True))
    yield from ({"m": label, "k": "chance", "x": x, "y": _short(y)} for x, y in chance)


def _short(value: float) -> float:
    return round(float(value), 3)


@cache
def _chart(kind: Kind, explored: bool) -> Mapping[str, Any]:
    import altair as alt

    share = alt.Scale(domain=[0, 1], nice=False)
    ticks = alt.Axis(values=[0, 0.5, 1], format=".2~f", grid=True)
    base = alt.Chart(alt.NamedData(POINTS)).encode(
        x=alt.X("x:Q", title=kind.x, scale=share, axis=ticks),
        y=alt.Y("y:Q", title=kind.y, scale=share, axis=ticks),
    )
    means = base.transform_filter("datum.k === 'mean'")
    layers = [
        base.transform_filter("datum.k === 'chance'").mark_line(color=QUIET, strokeWidth=1, strokeDash=[3, 3]),
        means.mark_area(color=kind.colour, opacity=0.22).encode(y=alt.Y("lo:Q", title=kind.y), y2="hi:Q"),
        base.transform_filter("datum.k === 'lowest' || datum.k === 'highest'")
        .mark_line(color=kind.colour, strokeWidth=0.75)
        .encode(detail="k:N"),
        means.mark_line(color=kind.colour),
    ]
    if explored:
        tips = [("m", "N", "Model"), ("x", "Q", kind.x), ("y", "Q", kind.y), ("lo", "Q", "95 % from"), ("hi", "Q", "95 % to")]
        layers.append(
            means.mark_circle(size=70, opacity=0).encode(
                tooltip=[alt.Tooltip(f"{field}:{type_}", title=title) for field, type_, title in tips]
            )
        )
    panels = alt.layer(*layers).properties(width=SIDE, height=SIDE)
    head = alt.Facet("m:N", title=None, sort=None, header=alt.Header(labelExpr=LINES))
    # Each panel has its own axes: the last row may lack a panel, where a shared axis would stand below nothing.
    faceted = panels.facet(facet=head, columns=2, spacing={"row": 14, "column": 18})
    checked: dict[str, Any] = faceted.resolve_axis(x="independent", y="independent").to_dict()
    return checked
