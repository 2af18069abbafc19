"""What can be said against, and with, a dataset: its audit, figures without leaks, and what its test sets can show."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import duckdb

from adbench_harness.api import StoreError, UnknownNameError

from .. import wording
from ..charts.shown import labels
from ..tables import Board, DatasetKey, ModelKey

if TYPE_CHECKING:
    from adbench_harness.store.contenders import StoredRun
    from adbench_harness.store.planning import Planning

Leaks = Mapping[str, Mapping[str, tuple[float, float | None, float | None]]]
"""Figures of test images without leaks, with the ends of their intervals, by run and name; only of runs that have leaks."""


@dataclass(frozen=True)
class Finding:
    """One thing that an audit found."""

    kind: str
    severity: str
    title: str
    detail: str
    named: Sequence[str]
    """Ids of all images that it concerns, of training too."""
    numbers: Mapping[str, object]
    """What was counted."""


Audits = Mapping[DatasetKey, Sequence[Finding]]
"""What was found in each state of a dataset that was audited; empty where there was nothing to find."""


@dataclass(frozen=True)
class LeakFree:
    """A model's area on all test images, and on those that no training image is a duplicate of.

    Means over the seeds of the split that stands for the dataset.
    """

    every: float
    every_interval: tuple[float, float] | None
    """95 %, ends averaged over those seeds."""
    without: float
    interval: tuple[float, float] | None
    """The same, without the duplicates."""
    left_out: tuple[int, int]
    """Fewest and most test images that a run's training images are duplicates of."""
    runs: int


def audits(db: duckdb.DuckDBPyConnection) -> Audits:
    """Everything that audits found, the most serious first."""
    found: dict[DatasetKey, list[Finding]] = {}
    for dataset, fingerprint, kind, severity, title, detail, images, numbers in db.execute(_sql("findings")).fetchall():
        own = found.setdefault(DatasetKey(dataset, fingerprint), [])
        if kind is not None:
            own.append(Finding(kind, severity, title, detail, json.loads(images), json.loads(numbers)))
    return found


def leaks(db: duckdb.DuckDBPyConnection) -> Leaks:
    """What is stored of test images that no training image is a duplicate of."""
    found: dict[str, dict[str, tuple[float, float | None, float | None]]] = {}
    for run, name, *figures in db.execute(_sql("leak_free")).fetchall():
        found.setdefault(run, {})[name] = (figures[0], figures[1], figures[2])
    return found


def without_leaks(board: Board, dataset: DatasetKey, found: Leaks) -> Mapping[str, LeakFree]:
    """By label, the models of a board whose runs have leaks."""
    called = labels([model for model, _ in board.present(dataset)])
    lines = ((called[model], _leak_free(board, model, dataset, found)) for model, _ in board.present(dataset))
    return {label: line for label, line in lines if line is not None}


def _leak_free(board: Board, model: ModelKey, dataset: DatasetKey, found: Leaks) -> LeakFree | None:
    pairs = [
        (run, own, area)
        for run in board.cells[model, dataset].shown
        if (own := found.get(run.run_id)) and "roc_auc" in own and (area := run.figure("roc_auc")) is not None
    ]
    if not pairs:
        return None
    areas = [own["roc_auc"] for _, own, _ in pairs]
    ends = [(low, high) for _, low, high in areas if low is not None and high is not None]
    every_ends = [pair for run, _, _ in pairs if (pair := run.interval("roc_auc")) is not None]
    left_out = [
        round(sum((run.figure(name) or 0) - own.get(name, (0, None, None))[0] for name in ("n_abnormal", "n_normal")))
        for run, own, _ in pairs
    ]
    return LeakFree(
        every=sum(area for _, _, area in pairs) / len(pairs),
        every_interval=_mean_ends(every_ends),
        without=sum(value for value, _, _ in areas) / len(areas),
        interval=_mean_ends(ends),
        left_out=(min(left_out), max(left_out)),
        runs=len(pairs),
    )


def _mean_ends(ends: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    return (sum(low for low, _ in ends) / len(ends), sum(high for _, high in ends) / len(ends)) if ends else None


@dataclass(frozen=True)
class Power:
    """What the test sets of a dataset can show."""

    plannings: Sequence[Planning]
    """By protocol, split and task; empty if nothing can be said."""
    reason: str
    """Why nothing can be said; empty if something can."""


def power(db: duckdb.DuckDBPyConnection, stored: Sequence[StoredRun], dataset: str) -> Power:
    """The smallest difference of two areas that a dataset's test sets can show, by the runs that are stored."""
    from adbench_harness.store.planning import plannings  # with it comes scipy: half a second

    try:
        return Power(plannings(db, stored, dataset, [], None), "")
    except (StoreError, UnknownNameError) as error:
        return Power([], str(error))


def assumptions(one: Planning) -> str:
    """On what a statement about power rests, in words."""
    design = one.design
    if design.variance is None:
        return f"The area, {design.area}, and the correlation of two models' areas, {design.correlation}, are assumed."
    models = "the one stored model" if one.models == 1 else f"{one.models} stored models"
    by = "with patients as units" if one.groups is not None else "as if images were independent"
    area = f"Area {design.area:.3f} and standard error {math.sqrt(design.variance):.3f} ({by}) are the medians of {models}, one seed each"
    pairs = "of the one pair" if one.pairs == 1 else f"of {one.pairs} pairs"
    correlation = (
        f"the correlation of two models' areas, {design.correlation:.3f}, is the median {pairs}"
        if one.pairs
        else f"the correlation of two models' areas, {design.correlation}, is assumed"
    )
    left_out = f" Left out: {wording.plural(one.inverted, 'model')} with an area below 0.5." if one.inverted else ""
    return f"{area}; {correlation}.{left_out}"


def _sql(name: str) -> str:
    return (files("adbench_leaderboard") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
