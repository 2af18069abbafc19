"""Run folders and audits into the database, many runs a transaction; figures are worked out once, here or where the run was made."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa

from ..api import StoreError
from ..home import Results
from ..result import read_manifest, run_folders
from ..status import checks_text
from .audits import AuditFile, audit_files, audit_name, known_audits, same, take_in
from .database import reading, writing
from .evaluated import Evaluated, evaluate_run, key_of, standing, whole
from .figures import Rulebook

AT_ONCE: Final = 50
"""Runs in a transaction; of more the rows would be held at a time."""


@dataclass
class Ingested:
    """What an ingest did."""

    added: list[str] = field(default_factory=list)
    """Ids of runs."""
    refused: dict[str, str] = field(default_factory=dict)
    """Run folders and audits that can't be taken in, and why."""
    warnings: list[str] = field(default_factory=list)
    """What was mended."""


def ingest(results: Results, made: Mapping[str, Evaluated | None] | None = None) -> Ingested:
    """Take in every run folder that the database lacks, and those just ``made``, perhaps anew; forget those that are gone.

    Those that were made may bring their figures with them, by run id; those of the others are worked out here.

    Audits are compared by content: new and changed ones are taken in, those whose file is gone are forgotten. A run whose
    protocol has other evaluation rules now, or whose dataset was audited anew, is evaluated again from its scores; of one that was
    checked anew only the status changes.

    A database with the schema of an older adbench gets the newest one, even if it lacks no run; a damaged one is made anew.

    Raises:
        StoreError: if the database can't be written.
    """
    state, rules = _state(results.database), Rulebook()
    again = made or {}
    there = {folder.name for folder in run_folders(results.runs)}
    files, refused = audit_files(results.audits)
    stale = {run.run_id for run in state.runs if run.run_id not in there or run.run_id in again or _outdated(run, files, rules)}
    known = {run.run_id for run in state.runs}
    stale |= {run.run_id for run in state.runs if run.checks != checks_text(results.runs / run.run_id)}
    if state.current and not stale and there <= known and same(files, state.audits):
        return Ingested(refused=refused)
    warnings: list[str] = []
    with writing(results.database, say=warnings.append) as db:
        # Once more: another process may have done it while this one waited, or the database could not be read before.
        there = {folder.name for folder in run_folders(results.runs)}
        files, refused = audit_files(results.audits)
        for run in _known(db):
            if run.run_id not in there or run.run_id in again or _outdated(run, files, rules):
                _forget(db, run.run_id)
            elif run.checks != checks_text(results.runs / run.run_id):
                _check_again(db, results.runs / run.run_id)
        done = _add_missing(db, results.runs, files, rules, again)
        done.refused |= refused | take_in(db, files)
    return replace(done, warnings=warnings)


def rebuild(results: Results) -> Ingested:
    """Make the database anew from the run folders. Raises StoreError if it can't be written."""
    with writing(results.database, fresh=True) as db:
        files, refused = audit_files(results.audits)
        done = _add_missing(db, results.runs, files, Rulebook(), {})
        done.refused |= refused | take_in(db, files)
        return done


@dataclass(frozen=True)
class _Known:
    """A run that the database holds."""

    run_id: str
    protocol: str
    version: int
    dataset: str
    fingerprint: str
    evaluation: str | None
    stated: str | None
    """The evaluation rules in its manifest, JSON."""
    checks: str | None
    """Its ``status.json``."""


@dataclass(frozen=True)
class _State:
    """What a database holds."""

    runs: Sequence[_Known] = ()
    audits: Mapping[str, str] = field(default_factory=dict)
    current: bool = False
    """Whether it can be read as it is."""


def _state(database: Path) -> _State:
    with suppress(StoreError, duckdb.Error), reading(database) as db:
        return _State(_known(db), known_audits(db), current=True)
    return _State(current=not database.exists())


def _known(db: duckdb.DuckDBPyConnection) -> list[_Known]:
    columns = "run_id, protocol, protocol_version, dataset, fingerprint, evaluation, manifest->'$.protocol.evaluation', checks"
    return [_Known(*row) for row in db.execute(f"select {columns} from run").fetchall()]


def _outdated(run: _Known, files: Mapping[str, AuditFile], rules: Rulebook) -> bool:
    """Whether the run's figures are of other rules, or of another audit, than there are now."""
    try:
        judged = rules.look_up(run.protocol, run.version, json.loads(run.stated) if run.stated else None)
    except StoreError:
        return True
    audit = files.get(audit_name(run.dataset, run.fingerprint))
    return run.evaluation != judged.key(audit.sha256 if audit is not None else None)


def _add_missing(
    db: duckdb.DuckDBPyConnection,
    runs: Path,
    files: Mapping[str, AuditFile],
    rules: Rulebook,
    made: Mapping[str, Evaluated | None],
) -> Ingested:
    done = Ingested()
    present = {str(row[0]) for row in db.execute("select run_id from run").fetchall()}
    missing = [folder for folder in run_folders(runs) if folder.name not in present]
    for start in range(0, len(missing), AT_ONCE):
        ready = list[_Ready]()
        for folder in missing[start : start + AT_ONCE]:
            with _refused(folder, done):
                run = made.get(folder.name)
                if run is None or run.manifest != whole(folder) or run.key != key_of(run.manifest, files, rules):
                    run = evaluate_run(folder, files, rules)
                ready.append(_Ready(folder, run, run.row(standing(run.manifest, folder))))
        _add(db, ready, done)
    return done


@dataclass(frozen=True)
class _Ready:
    """A run whose rows are worked out."""

    folder: Path
    run: Evaluated
    row: Sequence[object]
    """Of table ``run``."""


@contextmanager
def _refused(folder: Path, done: Ingested) -> Iterator[None]:
    """Whatever a folder holds, it must not keep the others out."""
    try:
        yield
    except (duckdb.FatalException, duckdb.IOException):
        raise  # the database itself, not the folder
    except StoreError as error:
        done.refused[folder.name] = str(error)
    except Exception as error:
        done.refused[folder.name] = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _add(db: duckdb.DuckDBPyConnection, ready: Sequence[_Ready], done: Ingested) -> None:
    """Insert runs: what a statement costs is nearly the same for one run as for all."""
    try:
        _insert(db, ready)
    except (duckdb.FatalException, duckdb.IOException):
        raise
    except Exception:  # one of them has what the database doesn't take
        if len(ready) > 1:
            for one in ready:
                _add(db, [one], done)
            return
        with _refused(ready[0].folder, done):
            raise
    else:
        done.added += [one.folder.name for one in ready]


def _insert(db: duckdb.DuckDBPyConnection, ready: Sequence[_Ready]) -> None:
    """All of them or none."""
    if not ready:
        return
    names = list(ready[0].run.tables)
    db.begin()
    try:
        db.executemany(f"insert into run values ({', '.join('?' * len(ready[0].row))})", [one.row for one in ready])
        for name in names:  # as tables, since SQL would take a path for a pattern
            tables = [one.run.tables[name] for one in ready]
            ids = np.repeat([one.run.manifest.run_id for one in ready], [table.num_rows for table in tables])
            rows = pa.concat_tables(tables, promote_options="default").append_column("run_id", pa.array(ids, pa.string()))
            db.register("incoming", rows)
            columns = ", ".join(rows.column_names)
            db.execute(f"insert into {name} ({columns}) select {columns} from incoming")
        db.commit()
    except BaseException:
        db.rollback()
        raise
    finally:
        db.unregister("incoming")


def _forget(db: duckdb.DuckDBPyConnection, run_id: str) -> None:
    for table in ("run", "score", "curve", "metric", "part_metric", "task"):
        db.execute(f"delete from {table} where run_id = ?", [run_id])


def _check_again(db: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Take in what was checked of a run since; one that can't be told any longer is forgotten, and refused when it is added."""
    try:
        found = standing(read_manifest(folder), folder)
    except StoreError:
        _forget(db, folder.name)
        return
    db.execute(f"update run set {', '.join(f'{name} = ?' for name in found)} where run_id = ?", [*found.values(), folder.name])
