"""Run folders and audits into the database, one transaction a run; figures are computed here, once, and kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np

from ..api import StoreError
from ..home import Results
from ..metrics.evaluation import Figure, evaluate
from ..metrics.thresholds import RULES
from ..result import Manifest, Scores, check_files, read_curves, read_manifest, read_scores, run_folders
from .audits import audit_files, known_audits, same, take_in
from .database import reading, writing


@dataclass
class Ingested:
    """What an ingest did."""

    added: list[str] = field(default_factory=list)
    """Ids of runs."""
    refused: dict[str, str] = field(default_factory=dict)
    """Run folders and audits that can't be taken in, and why."""


def ingest(results: Results, again: str | None = None) -> Ingested:
    """Take in every run folder that the database lacks, and ``again``, which was just rewritten; forget those that are gone.

    Audits are compared by content: new and changed ones are taken in, those whose file is gone are forgotten.

    A database with the schema of an older adbench gets the newest one, even if it lacks no run.

    Raises:
        StoreError: if the database can't be written.
    """
    known, audits, current = _state(results.database)
    there = {folder.name for folder in run_folders(results.runs)}
    stale = {run_id for run_id in known if run_id not in there or run_id == again}
    files, refused = audit_files(results.audits)
    if current and not stale and there <= known and same(files, audits):
        return Ingested(refused=refused)
    with writing(results.database) as db:
        for run_id in sorted(stale):
            _forget(db, run_id)
        done = _add_missing(db, results.runs)
        done.refused |= refused | take_in(db, files)
        return done


def rebuild(results: Results) -> Ingested:
    """Make the database anew from the run folders. Raises StoreError if it can't be written."""
    with writing(results.database, fresh=True) as db:
        done = _add_missing(db, results.runs)
        files, refused = audit_files(results.audits)
        done.refused |= refused | take_in(db, files)
        return done


def figures(manifest: Manifest, scores: Scores) -> list[Figure]:
    """Every figure of a run under its protocol's evaluation rules."""
    test = np.asarray([subset == "test" for subset in scores.subset])
    rules = manifest.protocol["evaluation"]
    assert isinstance(rules, Mapping)
    thresholds = rules["thresholds"]
    assert isinstance(thresholds, Sequence)
    subtypes = [kind for kind, chosen in zip(scores.subtype, test, strict=True) if chosen]
    return evaluate(scores.label[test], subtypes, scores.score[test], dict(tasks(manifest)), [str(rule) for rule in thresholds])


def tasks(manifest: Manifest) -> Iterator[tuple[str, list[str]]]:
    """The dataset's named sets of abnormal subtypes."""
    stated = manifest.dataset.get("tasks", {})
    assert isinstance(stated, Mapping)
    for task, subtypes in stated.items():
        assert isinstance(subtypes, Sequence)
        yield task, [str(subtype) for subtype in subtypes]


def _state(database: Path) -> tuple[set[str], dict[str, str], bool]:
    """The runs and audits a database holds, and whether it can be read as it is."""
    with suppress(StoreError, duckdb.Error), reading(database) as db:
        return {str(row[0]) for row in db.execute("select run_id from run").fetchall()}, known_audits(db), True
    return set(), {}, not database.exists()


def _add_missing(db: duckdb.DuckDBPyConnection, runs: Path) -> Ingested:
    done = Ingested()
    present = {str(row[0]) for row in db.execute("select run_id from run").fetchall()}
    for folder in run_folders(runs):
        if folder.name in present:
            continue
        try:
            _add(db, folder)
        except (duckdb.FatalException, duckdb.IOException):
            raise  # the database itself, not the folder
        except StoreError as error:
            done.refused[folder.name] = str(error)
        except Exception as error:  # whatever a folder holds, it must not keep the others out
            done.refused[folder.name] = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        else:
            done.added.append(folder.name)
    return done


def _forget(db: duckdb.DuckDBPyConnection, run_id: str) -> None:
    for table in ("run", "score", "curve", "metric", "task"):
        db.execute(f"delete from {table} where run_id = ?", [run_id])


def _add(db: duckdb.DuckDBPyConnection, folder: Path) -> None:
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    if manifest.run_id != folder.name:
        raise StoreError(f"{folder} holds run {manifest.run_id}; rename the folder back")
    scores = read_scores(folder)
    found = figures(manifest, scores)
    tables = {"incoming_scores": scores.table(), "incoming_curves": read_curves(folder)}
    db.begin()
    try:
        db.execute(f"insert into run values ({', '.join('?' * 18)})", _run_row(manifest))
        for name, table in tables.items():  # as tables, since SQL would take a path for a pattern
            db.register(name, table)
        columns = "image, label, subtype, group_id, subset, score"
        db.execute(f"insert into score select ?, {columns} from incoming_scores", [manifest.run_id])
        db.execute("insert into curve select ?, phase, epoch, name, value from incoming_curves", [manifest.run_id])
        db.executemany(
            "insert into metric values (?, ?, ?, ?, ?, ?)",
            [(manifest.run_id, f.task, f.rule, f.rule in RULES and RULES[f.rule].oracle, f.name, f.value) for f in found],
        )
        named = [(manifest.run_id, task, subtype) for task, subtypes in tasks(manifest) for subtype in subtypes]
        if named:
            db.executemany("insert into task values (?, ?, ?)", named)
        db.commit()
    except BaseException:
        db.rollback()
        raise
    finally:
        for name in tables:
            db.unregister(name)


def _run_row(manifest: Manifest) -> list[object]:
    cell, protocol = manifest.cell, manifest.protocol
    return [
        manifest.run_id,
        cell.model,
        manifest.variant,
        json.dumps(cell.options, sort_keys=True),
        cell.dataset,
        manifest.dataset["fingerprint"],
        cell.protocol,
        protocol["version"],
        cell.fit_digest,
        protocol["evaluation_digest"],
        cell.split,
        cell.seed,
        manifest.created.removesuffix("Z"),
        manifest.compute["device_name"],
        sum(manifest.timings.values()),
        manifest.model["parameters"],
        manifest.model_dump_json(),
        manifest.unranked,
    ]
