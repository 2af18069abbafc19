"""What scores normal and abnormal test images got, a panel a model, with the thresholds of every rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from adbench_harness.metrics.ranking import Values

from .. import wording
from ..queries import Run
from .curves import LINES
from .figure import POINTS, CellValue, Figure, Point, specification
from .shown import Shown, wrapped
from .theme import GROUND, INK, SENS, SPEC

if TYPE_CHECKING:
    from adbench_harness.store.scored import ScoredTogether

BINS: Final = 24
WIDTH: Final = 160
HEIGHT: Final = 110
SKEWED: Final = 10.0
"""From how many times the median score on the highest one lies where a logarithmic axis shows more."""
SHAPES: Final = ("triangle-down", "circle", "square", "diamond", "cross", "triangle-up", "triangle-left", "triangle-right")
"""Of rules, in the order of the protocol."""
KINDS: Final = ("normal", "abnormal")


@dataclass(frozen=True)
class Scores:
    """The scores of one run."""

    run: Run
    normal: Values
    abnormal: Values
    held_out: Values
    """Of normal images that chose a threshold; empty where none were held out."""

    @property
    def every(self) -> Values:
        """All of them."""
        return np.concatenate([self.normal, self.abnormal, self.held_out])


def scores(shown: Shown, images: ScoredTogether, held_out: Mapping[str, Sequence[float]]) -> Mapping[str, Scores]:
    """By label, the scores of each model's run with the lowest seed."""
    rows = {run: number for number, run in enumerate(images.runs)}
    first = {shown.labels[model]: runs[0] for model, runs in shown.models.items()}
    return {
        label: Scores(
            run,
            images.scores[rows[run.run_id], images.labels == 0],
            images.scores[rows[run.run_id], images.labels == 1],
            np.asarray(held_out.get(run.run_id, ()), dtype=float),
        )
        for label, run in first.items()
    }


def distributions(name: str, shown: Shown, found: Mapping[str, Scores], rules: Sequence[str], oracles: frozenset[str]) -> Figure:
    """The figure: normal images above the line, abnormal ones below.

    Args:
        name: of the page's part, for the anchor.
        shown: the models.
        found: their scores by label.
        rules: those whose thresholds are drawn, as stored for all abnormal images.
        oracles: rules that saw test labels.

    """
    log = _is_skewed(found.values())
    titles = {rule: _title(rule, oracles) for rule in rules}
    edges = {label: _edges(one, log) for label, one in found.items()}
    points = [row for label, one in found.items() for row in _points(wrapped(label), one, edges[label], titles)]
    any_held_out = any(len(one.held_out) for one in found.values())
    beyond = [
        f"{label}: {titles[rule]}" for label, one in found.items() for rule, value in _stored(one, rules) if np.isinf(value)
    ]
    seeds = sorted({one.run.seed for one in found.values()})
    return Figure(
        id=f"scores-{name}",
        title="Scores of normal and abnormal images",
        description=f"{wording.plural(len(found), 'panel')}, one a model: how scores of normal images (bars upwards) and of abnormal images "
        "(bars downwards) are spread; the further to the right, the more anomalous. " + " ".join(_said(found)),
        spec=specification(_chart(tuple(titles.values()), log, any_held_out, False), points),
        explored=specification(_chart(tuple(titles.values()), log, any_held_out, True), points),
        columns=["Model", "What", "From", "To", "Normal", "Abnormal", "Held-out normal"],
        rows=list(_rows(found, edges, titles)),
        heads=2,
        note=f"One run a model: split {shown.split}, seed {wording.plain(', '.join(map(str, seeds)))}. A bar is a share of the normal "
        "images (upwards) or of the abnormal ones (downwards), so that both fill the same area; marked lines are thresholds: what "
        "lies to the right is called abnormal."
        + (" Outlined: the held-out normal images, which an honest rule takes its threshold from." if any_held_out else "")
        + (" Scores on a logarithmic axis." if log else "")
        + (f" Not drawn, since it calls all images the same: {'; '.join(beyond)}." if beyond else ""),
    )


def _title(rule: str, oracles: frozenset[str]) -> str:
    return f"{wording.rule_title(rule)} (oracle)" if rule in oracles else wording.rule_title(rule)


def _said(found: Mapping[str, Scores]) -> Iterator[str]:
    for label, one in found.items():
        middle = (float(np.median(values)) for values in (one.normal, one.abnormal))
        yield "{}: median of normal images {}, of abnormal ones {}.".format(label, *map(wording.number, middle))


def _is_skewed(found: Iterable[Scores]) -> bool:
    every = [one.every for one in found]
    positive = all(values.min() > 0 for values in every)
    return positive and any(values.max() > SKEWED * np.median(values) for values in every)


def _stored(one: Scores, rules: Sequence[str]) -> Iterator[tuple[str, float]]:
    for rule in rules:
        value = one.run.figure("threshold", rule)
        if value is not None:
            yield rule, value


def _thresholds(one: Scores, rules: Sequence[str]) -> Mapping[str, float]:
    """Thresholds that lie somewhere."""
    return {rule: value for rule, value in _stored(one, rules) if np.isfinite(value)}


def _edges(one: Scores, log: bool) -> Values:
    """Ends of the bins, (BINS + 1,), which hold every score."""
    low, high = float(one.every.min()), float(one.every.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges: Values = np.geomspace(low, high, BINS + 1) if log else np.linspace(low, high, BINS + 1)
    edges[0], edges[-1] = low, high
    return edges


def _counts(one: Scores, edges: Values) -> tuple[Values, Values, Values]:
    found = (np.histogram(values, edges)[0] for values in (one.normal, one.abnormal, one.held_out))
    normal, abnormal, held_out = found
    return normal, abnormal, held_out


def _points(label: str, one: Scores, edges: Values, titles: Mapping[str, str]) -> Iterator[Point]:
    normal, abnormal, held_out = _counts(one, edges)
    tallest = max((values / max(values.sum(), 1)).max() for values in (normal, abnormal))
    for number in range(BINS):
        place = {"m": label, "x": float(edges[number]), "x2": float(edges[number + 1])}
        for kind, values, sign in (("normal", normal, 1), ("abnormal", abnormal, -1)):
            if values[number]:
                share = values[number] / values.sum()
                yield {**place, "k": kind, "y": sign * _short(share / tallest), "n": int(values[number]), "s": _short(share)}
        if held_out[number]:
            share = held_out[number] / held_out.sum()
            yield {
                **place,
                "k": "held out",
                "y": min(_short(share / tallest), 1.15),
                "n": int(held_out[number]),
                "s": _short(share),
            }
    for rule, value in _thresholds(one, list(titles)).items():
        yield {"m": label, "k": "threshold", "r": titles[rule], "x": value}


def _short(value: float) -> float:
    return round(float(value), 4)


def _rows(found: Mapping[str, Scores], edges: Mapping[str, Values], titles: Mapping[str, str]) -> Iterator[Sequence[CellValue]]:
    for label, one in found.items():
        for rule, value in _stored(one, list(titles)):
            yield (label, f"threshold, {titles[rule]}", wording.number(value), None, None, None, None)
        counted = zip(edges[label][:-1], edges[label][1:], *_counts(one, edges[label]), strict=True)
        for low, high, *counts in counted:
            yield (label, "scores", float(low), float(high), *(int(value) for value in counts))


@cache
def _chart(titles: Sequence[str], log: bool, held_out: bool, explored: bool) -> Mapping[str, Any]:
    import altair as alt

    scale = alt.Scale(type="log", nice=False, padding=4) if log else alt.Scale(nice=False, zero=False, padding=4)
    base = alt.Chart(alt.NamedData(POINTS)).encode(
        x=alt.X("x:Q", title="Score", scale=scale, axis=alt.Axis(tickCount=4, format="~g", grid=False, labelOverlap=True))
    )
    height = alt.Y("y:Q", title=None, axis=None, scale=alt.Scale(domain=[-1, 1.25], nice=False))
    colour = alt.Color(
        "k:N",
        title=None,
        scale=alt.Scale(domain=list(KINDS), range=[SPEC, SENS]),
        legend=alt.Legend(orient="top", direction="horizontal", symbolType="square"),
    )
    bars = base.transform_filter("datum.k === 'normal' || datum.k === 'abnormal'")
    tips = [alt.Tooltip("m:N", title="Model"), alt.Tooltip("k:N", title="Images"), alt.Tooltip("n:Q", title="Number")]
    tips += [
        alt.Tooltip("s:Q", title="Share", format=".1%"),
        alt.Tooltip("x:Q", title="From", format=".4~g"),
        alt.Tooltip("x2:Q", title="To", format=".4~g"),
    ]
    layers = [
        bars.mark_rect(opacity=0.8).encode(
            x2="x2:Q", y=height, y2=alt.Y2Datum(0), color=colour, **({"tooltip": tips} if explored else {})
        )
    ]
    if held_out:
        layers.append(
            base.transform_filter("datum.k === 'held out'")
            .mark_rect(filled=False, stroke=INK, strokeWidth=0.75)
            .encode(x2="x2:Q", y=height, y2=alt.Y2Datum(0))
        )
    shape = alt.Shape(
        "r:N",
        title="Thresholds",
        scale=alt.Scale(domain=list(titles), range=[SHAPES[number % len(SHAPES)] for number in range(len(titles))]),
        legend=alt.Legend(orient="top", direction="vertical", symbolFillColor=INK, symbolStrokeWidth=0, symbolSize=45),
    )
    lines = base.transform_filter("datum.k === 'threshold'")
    layers.append(lines.mark_rule(color=INK, strokeWidth=1).encode(y=alt.YDatum(-1), y2=alt.Y2Datum(1.15)))
    marks = lines.mark_point(fill=INK, stroke=GROUND, strokeWidth=0.75, size=55, opacity=1).encode(
        y=alt.YDatum(1.15), shape=shape
    )
    if explored:
        marks = marks.encode(tooltip=[alt.Tooltip("r:N", title="Threshold"), alt.Tooltip("x:Q", title="Score", format=".4~g")])
    layers.append(marks)
    panels = alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)
    head = alt.Facet("m:N", title=None, sort=None, header=alt.Header(labelExpr=LINES))
    faceted = panels.facet(facet=head, columns=2, spacing={"row": 14, "column": 24}).resolve_scale(x="independent")
    checked: dict[str, Any] = faceted.to_dict()
    return checked
