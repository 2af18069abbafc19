"""What commands ask the database."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import duckdb

from ..api import UnknownNameError
from ..metrics.evaluation import Figure


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
    roc_auc: float | None
    rates: dict[str, tuple[float | None, float | None]]
    """Sensitivity and specificity by threshold rule, task "all"."""


def run_rows(db: duckdb.DuckDBPyConnection) -> list[RunRow]:
    """Every run, by dataset, protocol, model, split and seed."""
    found = db.execute("""
        select run_id, variant, dataset, protocol, unranked, split, seed, strftime(created, '%Y-%m-%dT%H:%M:%SZ'), device,
               (select any_value(value) from metric m where m.run_id = run.run_id and task = 'all' and name = 'roc_auc')
        from run order by dataset, protocol, unranked is not null, variant, split, seed, created""").fetchall()
    rates: dict[str, dict[str, tuple[float | None, float | None]]] = {}
    for run_id, rule, sensitivity, specificity in db.execute("""
        select run_id, rule, max(value) filter (name = 'sensitivity'), max(value) filter (name = 'specificity')
        from metric where task = 'all' and rule <> 'none' group by run_id, rule""").fetchall():
        rates.setdefault(run_id, {})[rule] = (sensitivity, specificity)
    facts = [dict(zip(RunRow.__dataclass_fields__, row, strict=False)) for row in found]
    return [RunRow(**row, rates=rates.get(row["run_id"], {})) for row in facts]


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


def figures_of(db: duckdb.DuckDBPyConnection, run_id: str) -> list[Figure]:
    """A run's figures, in the order they were computed."""
    return [
        Figure(*row)
        for row in db.execute("select task, rule, name, value from metric where run_id = ? order by rowid", [run_id]).fetchall()
    ]
