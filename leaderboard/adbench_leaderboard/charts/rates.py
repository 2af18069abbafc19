"""Sensitivity and specificity at every rule, the study's Figures 6 and 7: a dot and its interval a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from adbench_harness.metrics.thresholds import TRIVIAL

from .. import wording
from ..tables import Board, Cell, DatasetKey, ModelKey, Spread
from .curves import LINES
from .figure import POINTS, CellValue, Figure, Point, specification
from .shown import labels, wrapped
from .theme import INK, SENS, SPEC

FIGURES: Final[Mapping[str, str]] = {"sensitivity": "Sensitivity", "specificity": "Specificity"}
WIDTH: Final = 240
STEP: Final = 34
LABEL: Final = 130
"""Room for names of models, in pixels: a line of them."""
TICKS: Final = (0, 0.25, 0.5, 0.75, 1)
NAMED: Final = 12
"""Models with runs that decide nothing, of which so many are named a rule."""


def rates(name: str, board: Board, dataset: DatasetKey, oracles: frozenset[str]) -> Figure:
    """The figure: rules below each other, and in each the models.

    Args:
        name: of the page's part, for the anchor.
        board: the comparison.
        dataset: of it, the one that is shown.
        oracles: rules that saw test labels.

    """
    split = board.splits[dataset]
    present = [(model, cell) for model, cell in board.present(dataset) if cell.shown]
    absent = len(board.present(dataset)) - len(present)
    called = labels([model for model, _ in present])
    rules = {
        rule: f"{wording.rule_title(rule)}{' (oracle)' if rule in oracles else ''}" for rule in board.rules if rule != TRIVIAL
    }
    found = list(_found(present, called, rules))
    chance = list(_chance(board.trivial(dataset), rules))
    alike = list(_alike(present, called, rules))
    lines = [wrapped(label) for label in called.values()]
    points = [*_points(found, rules), *_chance_points(chance, lines)]
    return Figure(
        id=f"rates-{name}",
        title="Sensitivity and specificity of each model",
        description=f"Split {split}: dots with 95 % intervals and ticks for the lowest and the highest run, for {wording.plural(len(called), 'model')} at {wording.plural(len(rules), 'threshold rule')}, from 0 to 1. "
        + " ".join((*_said(found), *alike)),
        spec=specification(_chart(tuple(rules.values()), tuple(lines), False), points),
        explored=specification(_chart(tuple(rules.values()), tuple(lines), True), points),
        columns=["Threshold rule", "Model", "Figure", "Mean", "95 % from", "95 % to", "Lowest run", "Highest run", "Runs"],
        rows=[
            *((rule, label, FIGURES[figure], *_cells(spread)) for rule, label, figure, spread in found),
            *((rule, "random scores", FIGURES[figure], *_cells(spread)) for rule, figure, spread in chance),
        ],
        heads=3,
        note=_note(split, absent, alike),
    )


def _note(split: int, absent: int, alike: Sequence[str]) -> str:
    said = [
        f"Circle or square: mean over the seeds of split {split}; line: 95 % interval {wording.ENDS}.",
        "Ends of the dotted line: the lowest and the highest run, of every split and seed; pale tick: random scores at the same rule.",
        *([f"{wording.plural(absent, 'model')} without a run on this split: not drawn."] if absent else []),
        "Sensitivity is the share of abnormal images found, specificity the share of normal images left alone. An oracle rule picks its "
        "threshold with the test labels in view: an upper bound, not what a clinic would get.",
        *alike,
    ]
    return " ".join(said)


Found = tuple[str, str, str, Spread]


def _found(present: Sequence[tuple[ModelKey, Cell]], called: Mapping[ModelKey, str], rules: Mapping[str, str]) -> Iterator[Found]:
    for rule, title in rules.items():
        for model, cell in present:
            for figure in FIGURES:
                spread = cell.spread(figure, rule)
                if spread is not None:
                    yield title, called[model], figure, spread


def _chance(trivial: Cell, rules: Mapping[str, str]) -> Iterator[tuple[str, str, Spread]]:
    for rule, title in rules.items():
        for figure in FIGURES:
            spread = trivial.spread(f"random_{figure}", rule)
            if spread is not None:
                yield title, figure, spread


def _said(found: Sequence[Found]) -> Iterator[str]:
    by_line: dict[tuple[str, str], dict[str, Spread]] = {}
    for rule, label, figure, spread in found:
        by_line.setdefault((rule, label), {})[figure] = spread
    for (rule, label), values in by_line.items():
        yield (
            f"{rule}, {label}: "
            + ", ".join(f"{figure} {spread.mean:.3f}{_range(spread)}" for figure, spread in values.items())
            + "."
        )


def _range(spread: Spread) -> str:
    return f" (runs {spread.low:.3f} to {spread.high:.3f})" if spread.low != spread.high else ""


def _alike(present: Sequence[tuple[ModelKey, Cell]], called: Mapping[ModelKey, str], rules: Mapping[str, str]) -> Iterator[str]:
    """Whose mean hides that runs call all images the same."""
    for rule, title in rules.items():
        numbers = ((called[model], cell.constant(rule), len(cell.shown)) for model, cell in present if len(cell.shown) > 1)
        found = [f"{label} ({number} of {every})" for label, number, every in numbers if number]
        if found:
            more = f" and {wording.plural(len(found) - NAMED, 'other')}" if len(found) > NAMED else ""
            yield f"Seeds that call all test images the same at {title}, which a mean may hide: {', '.join(found[:NAMED])}{more}."


def _cells(spread: Spread) -> Sequence[CellValue]:
    low, high = spread.interval or (None, None)
    return (*(wording.rate(value) for value in (spread.mean, low, high, spread.low, spread.high)), spread.count)


def _points(found: Sequence[Found], rules: Mapping[str, str]) -> Iterator[Point]:
    for rule, label, figure, spread in found:
        low, high = spread.interval or (None, None)
        ends = {"lo": round(low, 4), "hi": round(high, 4)} if low is not None and high is not None else {}
        runs = {"least": round(spread.low, 4), "most": round(spread.high, 4)} if spread.low != spread.high else {}
        yield {"k": "model", "r": rule, "m": wrapped(label), "f": FIGURES[figure], "x": round(spread.mean, 4), **ends, **runs}


def _chance_points(chance: Sequence[tuple[str, str, Spread]], lines: Sequence[str]) -> Iterator[Point]:
    for rule, figure, spread in chance:
        yield from ({"k": "chance", "r": rule, "m": line, "f": FIGURES[figure], "x": round(spread.mean, 4)} for line in lines)


@cache
def _chart(rules: Sequence[str], models: Sequence[str], explored: bool) -> Mapping[str, Any]:
    import altair as alt

    deepest = max(line.count("\n") + 1 for line in models)
    names = alt.Axis(
        labelExpr=LINES, labelLineHeight=12, labelLimit=0, minExtent=LABEL, ticks=False, domain=False, labelColor=INK, grid=False
    )
    base = alt.Chart(alt.NamedData(POINTS)).encode(
        y=alt.Y("m:N", title=None, sort=list(models), axis=names, scale=alt.Scale(paddingInner=0.35, paddingOuter=0.2)),
        yOffset=alt.YOffset("f:N", sort=list(FIGURES.values())),
        x=alt.X("x:Q", title=None, scale=alt.Scale(domain=[0, 1], nice=False), axis=alt.Axis(values=list(TICKS), format=".2~f")),
        color=alt.Color(
            "f:N", title=None, scale=alt.Scale(domain=list(FIGURES.values()), range=[SENS, SPEC]), legend=alt.Legend(orient="top")
        ),
    )
    own = base.transform_filter("datum.k === 'model'")
    dots = own.mark_point(filled=True, size=60, opacity=1).encode(
        shape=alt.Shape("f:N", title=None, scale=alt.Scale(domain=list(FIGURES.values()), range=["circle", "square"]))
    )
    if explored:
        tips = [
            ("r", "N", "Rule"),
            ("m", "N", "Model"),
            ("f", "N", "Figure"),
            ("x", "Q", "Mean"),
            ("lo", "Q", "95 % from"),
            ("hi", "Q", "95 % to"),
            ("least", "Q", "Lowest run"),
            ("most", "Q", "Highest run"),
        ]
        dots = dots.encode(tooltip=[alt.Tooltip(f"{field}:{kind}", title=title) for field, kind, title in tips])
    several = own.transform_filter("isValid(datum.least)")
    layers = [
        base.transform_filter("datum.k === 'chance'").mark_tick(thickness=2, size=11, opacity=0.45),
        several.mark_rule(strokeWidth=1, strokeDash=[1, 2], opacity=0.8).encode(x=alt.X("least:Q", title=None), x2="most:Q"),
        *(several.mark_tick(thickness=1.5, size=6).encode(x=alt.X(f"{end}:Q", title=None)) for end in ("least", "most")),
        own.transform_filter("isValid(datum.lo)").mark_rule(strokeWidth=1.75).encode(x=alt.X("lo:Q", title=None), x2="hi:Q"),
        dots,
    ]
    panels = alt.layer(*layers).properties(width=WIDTH, height=len(models) * (STEP + 12 * max(deepest - 2, 0)))
    head = alt.Header(labelAnchor="start", labelLimit=WIDTH + LABEL, labelPadding=4)
    checked: dict[str, Any] = (
        panels.facet(facet=alt.Facet("r:N", title=None, sort=list(rules), header=head), columns=1, spacing=16)
        .resolve_axis(x="independent")
        .to_dict()
    )
    return checked
