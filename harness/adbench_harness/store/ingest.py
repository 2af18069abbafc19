"""Run folders and audits into the database, one transaction a run; figures are computed here, once, and kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from ..api import StoreError
from ..home import Results
from ..manifest import Manifest
from ..result import check_files, read_curves, read_learnt, read_manifest, read_scores, run_folders
from ..status import checks_text, doubt, read_checks, status_of
from .audits import AuditFile, audit_files, audit_name, known_audits, same, take_in
from .database import reading, writing
from .figures import Rulebook, check_counts, figure_table, figures, part_figures, part_table, tasks
from .leaks import links


@dataclass
class Ingested:
    """What an ingest did."""

    added: list[str] = field(default_factory=list)
    """Ids of runs."""
    refused: dict[str, str] = field(default_factory=dict)
    """Run folders and audits that can't be taken in, and why."""


def ingest(results: Results, again: str | None = None) -> Ingested:
    """Take in every run folder that the database lacks, and ``again``, which was just rewritten; forget those that are gone.

    Audits are compared by content: new and changed ones are taken in, those whose file is gone are forgotten. A run whose
    protocol has other evaluation rules now, or whose dataset was audited anew, is evaluated again from its scores; of one that was
    checked anew only the status changes.

    A database with the schema of an older adbench gets the newest one, even if it lacks no run.

    Raises:
        StoreError: if the database can't be written.
    """
    state, rules = _state(results.database), Rulebook()
    there = {folder.name for folder in run_folders(results.runs)}
    files, refused = audit_files(results.audits)
    stale = {run.run_id for run in state.runs if run.run_id not in there or run.run_id == again or _outdated(run, files, rules)}
    known = {run.run_id for run in state.runs}
    stale |= {run.run_id for run in state.runs if run.checks != checks_text(results.runs / run.run_id)}
    if state.current and not stale and there <= known and same(files, state.audits):
        return Ingested(refused=refused)
    with writing(results.database) as db:
        # Once more: another process may have done it while this one waited, or the database could not be read before.
        there = {folder.name for folder in run_folders(results.runs)}
        files, refused = audit_files(results.audits)
        for run in _known(db):
            if run.run_id not in there or run.run_id == again or _outdated(run, files, rules):
                _forget(db, run.run_id)
            elif run.checks != checks_text(results.runs / run.run_id):
                _check_again(db, results.runs / run.run_id)
        done = _add_missing(db, results.runs, files, rules)
        done.refused |= refused | take_in(db, files)
        return done


def rebuild(results: Results) -> Ingested:
    """Make the database anew from the run folders. Raises StoreError if it can't be written."""
    with writing(results.database, fresh=True) as db:
        files, refused = audit_files(results.audits)
        done = _add_missing(db, results.runs, files, Rulebook())
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


def _add_missing(db: duckdb.DuckDBPyConnection, runs: Path, files: Mapping[str, AuditFile], rules: Rulebook) -> Ingested:
    done = Ingested()
    present = {str(row[0]) for row in db.execute("select run_id from run").fetchall()}
    for folder in run_folders(runs):
        if folder.name in present:
            continue
        try:
            _add(db, folder, files, rules)
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
    for table in ("run", "score", "curve", "metric", "part_metric", "task"):
        db.execute(f"delete from {table} where run_id = ?", [run_id])


def _add(db: duckdb.DuckDBPyConnection, folder: Path, files: Mapping[str, AuditFile], rules: Rulebook) -> None:
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    if manifest.run_id != folder.name:
        raise StoreError(f"{folder} holds run {manifest.run_id}; rename the folder back")
    standing = _standing(manifest, folder)
    scores, learnt = read_scores(folder), read_learnt(folder)
    check_counts(manifest, scores)
    audit = files.get(audit_name(manifest.cell.dataset, str(manifest.dataset["fingerprint"])))
    judged = rules.of(manifest)
    key = judged.key(audit.sha256 if audit is not None else None)
    parts = part_figures(manifest, scores, judged.rules, learnt, links(audit.content) if audit is not None else None)
    tables = {
        "incoming_score": scores.table(),
        "incoming_curve": read_curves(folder),
        "incoming_metric": figure_table(figures(manifest, scores, judged.rules)),
        "incoming_part_metric": part_table(parts),
    }
    db.begin()
    try:
        row = [*_run_row(manifest, judged.digest), standing["unranked"], key, standing["status"], standing["checks"]]
        db.execute(f"insert into run values ({', '.join('?' * len(row))})", row)
        for name, table in tables.items():  # as tables, since SQL would take a path for a pattern
            db.register(name, table)
            columns = ", ".join(table.column_names)
            into = name.removeprefix("incoming_")
            db.execute(f"insert into {into} (run_id, {columns}) select ?, {columns} from {name}", [manifest.run_id])
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


def _standing(manifest: Manifest, folder: Path) -> dict[str, str | None]:
    """How far a run can be believed, and whether that keeps it from being ranked. Raises StoreError for a file that can't be read."""
    checks = read_checks(folder, manifest.run_id)
    unranked = "; ".join(filter(None, (doubt(manifest, checks), manifest.unranked))) or None
    return {"unranked": unranked, "status": status_of(manifest, checks), "checks": checks_text(folder)}


def _check_again(db: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Take in what was checked of a run since; one that can't be told any longer is forgotten, and refused when it is added."""
    try:
        found = _standing(read_manifest(folder), folder)
    except StoreError:
        _forget(db, folder.name)
        return
    db.execute(f"update run set {', '.join(f'{name} = ?' for name in found)} where run_id = ?", [*found.values(), folder.name])


def _run_row(manifest: Manifest, evaluation_digest: str) -> list[object]:
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
        evaluation_digest,
        cell.split,
        cell.seed,
        manifest.created.removesuffix("Z"),
        manifest.compute["device_name"],
        sum(manifest.timings.values()),
        manifest.model["parameters"],
        manifest.model_dump_json(),
    ]
