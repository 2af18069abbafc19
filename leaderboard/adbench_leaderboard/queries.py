"""What the site asks the database: each question a file of SQL, each answer a frozen record."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any, Final

import duckdb

from adbench_harness.api import StoreError
from adbench_harness.status import Status
from adbench_harness.store.figures import Rulebook

ALL: Final = "all"
"""The task of all abnormal images."""
NO_RULE: Final = "none"
"""Stands in the place of a rule for figures that need no threshold."""
BATCH: Final = 50
"""Of so many runs the details are asked for at once: a question costs milliseconds, however little it asks for."""

Figures = Mapping[tuple[str, str, str], float]
"""Values by (task, rule, name)."""
Intervals = Mapping[tuple[str, str, str], tuple[float, float]]
"""Ends of 95 % intervals by (task, rule, name)."""


@dataclass(frozen=True)
class Run:
    """A run with all its figures."""

    run_id: str
    model: str
    variant: str
    options: str
    """Canonical JSON."""
    dataset: str
    fingerprint: str
    protocol: str
    protocol_version: int
    fit_digest: str
    evaluation_digest: str
    unranked: str | None
    """Why it is compared with nothing; None if it may be ranked."""
    split: int
    seed: int
    created: str
    """UTC, ISO 8601."""
    device: str
    seconds: float
    parameters: int
    manifest_json: str
    newest: bool
    """Whether it represents its cell."""
    status: Status
    """How far it can be believed: run here, or sent by others and then checked or not."""
    checks_json: str | None
    """What was checked of a run that others sent."""
    figures: Figures
    intervals: Intervals
    rules: tuple[str, ...]
    """Threshold rules of the run's protocol, as it is today, in its order."""
    oracles: frozenset[str]
    """Rules that saw test labels."""

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        """Everything the run says of itself; below the first level it may be anything, so it is only ever shown."""
        found: Mapping[str, Any] = json.loads(self.manifest_json)
        return found

    @property
    def is_partial(self) -> bool:
        """Whether the data was a copy that is not the original."""
        return bool(self.mapping("dataset").get("partial"))

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """Tasks with figures, "all" first, the others by name."""
        return tuple(sorted({task for task, _, _ in self.figures}, key=lambda task: (task != ALL, task)))

    def figure(self, name: str, rule: str = NO_RULE, task: str = ALL) -> float | None:
        """A figure, or None where the run has none."""
        return self.figures.get((task, rule, name))

    def interval(self, name: str, rule: str = NO_RULE, task: str = ALL) -> tuple[float, float] | None:
        """The ends of a figure's 95 % interval, or None where it has none."""
        return self.intervals.get((task, rule, name))

    def mapping(self, *path: str) -> Mapping[str, Any]:
        """The mapping at a place of the manifest; empty if there is none."""
        found: object = self.manifest
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    def text(self, *path: str) -> str:
        """The text or number at a place of the manifest; empty if there is none."""
        found = self.mapping(*path[:-1]).get(path[-1])
        return str(found) if isinstance(found, str | int | float) else ""


@dataclass(frozen=True)
class Curve:
    """One named value of a training phase over epochs; only finite points."""

    phase: str
    name: str
    points: Sequence[tuple[int, float]]

    @property
    def first(self) -> tuple[int, float]:
        """The earliest point."""
        return self.points[0]

    @property
    def last(self) -> tuple[int, float]:
        """The latest point."""
        return self.points[-1]

    @property
    def lowest(self) -> tuple[int, float]:
        """The point of the smallest value, the earliest of equals."""
        return min(self.points, key=lambda point: point[1])


@dataclass(frozen=True)
class PartRow:
    """A figure of a part of a run's test images."""

    part: str
    task: str
    rule: str
    name: str
    value: float
    low: float | None
    high: float | None
    runs: tuple[float, float] | None = None
    """Lowest and highest of several runs, whose mean the value is."""


@dataclass(frozen=True)
class ScoreSummary:
    """Scores of one kind of image."""

    subset: str
    label: int
    subtype: str
    count: int
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Details:
    """What only the page of a run shows."""

    curves: Sequence[Curve]
    """In the order in which they were logged."""
    parts: Sequence[PartRow]
    """In the order in which they were computed."""
    scores: Sequence[ScoreSummary]
    """Normal images first."""


def runs(db: duckdb.DuckDBPyConnection) -> list[Run]:
    """Every run, by dataset, model, split and seed, the newest first."""
    figures: dict[str, dict[tuple[str, str, str], float]] = {}
    intervals: dict[str, dict[tuple[str, str, str], tuple[float, float]]] = {}
    oracles: dict[str, set[str]] = {}
    for run_id, task, rule, name, value, low, high, oracle in db.execute(_sql("figures")).fetchall():
        figures.setdefault(run_id, {})[task, rule, name] = value
        if low is not None and high is not None:
            intervals.setdefault(run_id, {})[task, rule, name] = (low, high)
        if oracle:
            oracles.setdefault(run_id, set()).add(rule)
    found = [dict(zip(Run.__dataclass_fields__, row, strict=False)) for row in db.execute(_sql("runs")).fetchall()]
    rulebook = Rulebook()
    return [
        Run(
            **facts,
            rules=_rules(rulebook, facts),
            figures=figures.get(facts["run_id"], {}),
            intervals=intervals.get(facts["run_id"], {}),
            oracles=frozenset(oracles.get(facts["run_id"], ())),
        )
        for facts in found
    ]


def _rules(rulebook: Rulebook, facts: Mapping[str, Any]) -> tuple[str, ...]:
    stated = json.loads(facts["manifest_json"]).get("protocol", {}).get("evaluation")
    try:
        return rulebook.look_up(facts["protocol"], facts["protocol_version"], stated).rules
    except StoreError:
        return ()


def details(db: duckdb.DuckDBPyConnection, runs: Sequence[Run]) -> Iterator[tuple[Run, Details]]:
    """Each of the runs, in their order, with what only its own page shows."""
    for start in range(0, len(runs), BATCH):
        batch = runs[start : start + BATCH]
        logged = curves(db, batch)
        wanted = [[run.run_id for run in batch]]
        parts, scores = (_by_run(db.execute(_sql(name), wanted)) for name in ("parts", "scores"))
        for run in batch:
            yield (
                run,
                Details(
                    logged[run.run_id],
                    [PartRow(*row) for row in parts[run.run_id]],
                    [ScoreSummary(*row) for row in scores[run.run_id]],
                ),
            )


def curves(db: duckdb.DuckDBPyConnection, runs: Sequence[Run]) -> Mapping[str, Sequence[Curve]]:
    """Training curves by run, in the order in which they were logged; nothing for a run that logged nothing."""
    rows = _by_run(db.execute(_sql("curves"), [[run.run_id for run in runs]]))
    return {
        run.run_id: [Curve(phase, name, list(zip(*points, strict=True))) for phase, name, *points in rows[run.run_id]]
        for run in runs
    }


def model_parts(db: duckdb.DuckDBPyConnection, runs: Sequence[Run]) -> Mapping[tuple[str, str], Sequence[PartRow]]:
    """Figures of parts of test images over some runs, on a dataset all of one split, by dataset and fingerprint; of parts that each has."""
    counts = Counter((run.dataset, run.fingerprint) for run in runs)
    found = defaultdict[tuple[str, str], list[PartRow]](list)
    for dataset, fingerprint, part, task, rule, name, count, value, low, high, least, most in db.execute(
        _sql("model_parts"), [[run.run_id for run in runs]]
    ).fetchall():
        if count == counts[dataset, fingerprint]:
            found[dataset, fingerprint].append(PartRow(part, task, rule, name, value, low, high, (least, most)))
    return found


def _by_run(found: duckdb.DuckDBPyConnection) -> defaultdict[str, list[tuple[Any, ...]]]:
    """Rows by their first column."""
    rows = defaultdict[str, list[tuple[Any, ...]]](list)
    for run_id, *row in found.fetchall():
        rows[run_id].append(tuple(row))
    return rows


def _sql(name: str) -> str:
    return (files(__package__) / "sql" / f"{name}.sql").read_text(encoding="utf-8")
