"""What commands ask the database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from ..api import UnknownNameError
from ..metrics.evaluation import Figure
from ..metrics.intervals import Interval
from ..metrics.parts import PartFigure
from ..status import Check, Status, checks_of


@dataclass(frozen=True)
class Estimate:
    """A stored figure with its interval."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class RunRow:
    """One line of the table of runs."""

    run_id: str
    variant: str
    dataset: str
    protocol: str
    unranked: str | None
    """Why it is compared with nothing; None if it may be ranked."""
    split: int
    seed: int
    created: str
    device: str
    status: Status
    """How far it can be believed."""
    roc_auc: Estimate | None
    rates: dict[str, dict[str, Estimate]]
    """Sensitivity and specificity by threshold rule, task "all"."""


def run_rows(db: duckdb.DuckDBPyConnection) -> list[RunRow]:
    """Every run, by dataset, protocol, model, split and seed."""
    found = db.execute("""
        select run_id, variant, dataset, protocol, unranked, split, seed, strftime(created, '%Y-%m-%dT%H:%M:%SZ'), device, status
        from run order by dataset, protocol, unranked is not null, variant, split, seed, created""").fetchall()
    areas: dict[str, Estimate] = {}
    rates: dict[str, dict[str, dict[str, Estimate]]] = {}
    for run_id, rule, name, *estimate in db.execute("""
        select run_id, rule, name, value, low, high from metric
        where task = 'all' and (name = 'roc_auc' or name in ('sensitivity', 'specificity'))""").fetchall():
        if name == "roc_auc":
            areas[run_id] = Estimate(*estimate)
        else:
            rates.setdefault(run_id, {}).setdefault(rule, {})[name] = Estimate(*estimate)
    facts = [dict(zip(RunRow.__dataclass_fields__, row, strict=False)) for row in found]
    return [RunRow(**row, roc_auc=areas.get(row["run_id"]), rates=rates.get(row["run_id"], {})) for row in facts]


def find_run_id(db: duckdb.DuckDBPyConnection, beginning: str) -> str:
    """The one run whose id begins so.

    Raises:
        UnknownNameError: if there is none, or more than one.
    """
    ids = [
        str(row[0])
        for row in db.execute("select run_id from run where starts_with(run_id, ?) order by 1", [beginning]).fetchall()
    ]
    if beginning in ids:
        return beginning
    if len(ids) != 1:
        hint = "see: adbench results list" if not ids else f"it may be {', '.join(ids[:5])}"
        raise UnknownNameError(f"{len(ids) or 'no'} runs begin with {beginning!r}; {hint}")
    return ids[0]


def manifest_of(db: duckdb.DuckDBPyConnection, run_id: str) -> dict[str, Any]:
    """A run's manifest as plain data."""
    row = db.execute("select manifest from run where run_id = ?", [run_id]).fetchone()
    assert row is not None
    manifest: dict[str, Any] = json.loads(row[0])
    return manifest


def status_of(db: duckdb.DuckDBPyConnection, run_id: str) -> tuple[Status, Sequence[Check]]:
    """How far a run can be believed, and what was checked of it, the newest last."""
    row = db.execute("select status, checks from run where run_id = ?", [run_id]).fetchone()
    assert row is not None
    return row[0], checks_of(row[1])


def figures_of(db: duckdb.DuckDBPyConnection, run_id: str) -> list[Figure]:
    """A run's figures, in the order they were computed."""
    columns = "task, rule, name, value, low, high, method"
    rows = db.execute(f"select {columns} from metric where run_id = ? order by rowid", [run_id]).fetchall()
    return [Figure(task, rule, name, value, _interval(*rest)) for task, rule, name, value, *rest in rows]


def part_figures_of(db: duckdb.DuckDBPyConnection, run_id: str) -> list[tuple[str, PartFigure]]:
    """Figures of the parts of a run's test set, each with its task, in the order they were computed."""
    columns = "task, part, rule, name, value, low, high, method"
    rows = db.execute(f"select {columns} from part_metric where run_id = ? order by rowid", [run_id]).fetchall()
    return [(task, PartFigure(part, rule, name, value, _interval(*rest))) for task, part, rule, name, value, *rest in rows]


def _interval(low: float | None, high: float | None, method: str | None) -> Interval | None:
    return Interval(low, high, method or "") if low is not None and high is not None else None
