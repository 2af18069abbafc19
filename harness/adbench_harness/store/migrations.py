"""The schema's history, read from top to bottom. Each step runs in one transaction and is never changed once released."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import duckdb

from ..api import StoreError

Migration = Callable[[duckdb.DuckDBPyConnection], None]


def m001_initial(db: duckdb.DuckDBPyConnection) -> None:
    """Runs, their scores, curves and figures."""
    db.execute("""
        create table run (
            run_id varchar primary key,
            model varchar not null, variant varchar not null, options varchar not null,
            dataset varchar not null, fingerprint varchar not null,
            protocol varchar not null, protocol_version integer not null,
            fit_digest varchar not null, evaluation_digest varchar not null, on_protocol boolean not null,
            split bigint not null, seed bigint not null,
            created timestamp not null, device varchar not null, seconds double not null,
            parameters bigint not null, manifest varchar not null
        )""")
    db.execute("""
        create table score (
            run_id varchar not null, image varchar not null, label tinyint not null, subtype varchar not null,
            group_id varchar, subset varchar not null, score double not null check (isfinite(score))
        )""")
    db.execute(
        "create table curve (run_id varchar not null, phase varchar not null, epoch bigint not null, name varchar not null, value double)"
    )
    db.execute("""
        create table metric (
            run_id varchar not null, task varchar not null, rule varchar not null, oracle boolean not null,
            name varchar not null, value double not null
        )""")
    db.execute("create table task (run_id varchar not null, task varchar not null, subtype varchar not null)")


def m002_unranked(db: duckdb.DuckDBPyConnection) -> None:
    """Why a run is never ranked: off protocol, or transductive. Null where it may be."""
    db.execute("alter table run add column unranked varchar")
    db.execute("update run set unranked = 'off protocol' where not on_protocol")
    db.execute("alter table run drop column on_protocol")


def m003_audit(db: duckdb.DuckDBPyConnection) -> None:
    """Which audits were taken in, by file and content, and what they found; images and numbers are JSON."""
    db.execute(
        "create table audit (file varchar primary key, sha256 varchar not null, dataset varchar not null, fingerprint varchar not null)"
    )
    db.execute("""
        create table finding (
            dataset varchar not null, fingerprint varchar not null, kind varchar not null, severity varchar not null,
            title varchar not null, detail varchar not null, images varchar not null, numbers varchar not null
        )""")


def m004_intervals(db: duckdb.DuckDBPyConnection) -> None:
    """Intervals of figures, figures of parts of a test set, facts about images, and by which rules a run was evaluated.

    Runs of before have no ``evaluation`` and are evaluated anew.
    """
    for column in ("low double", "high double", "method varchar"):
        db.execute(f"alter table metric add column {column}")
    db.execute("""
        create table part_metric (
            run_id varchar not null, part varchar not null, task varchar not null, rule varchar not null, oracle boolean not null,
            name varchar not null, value double not null, low double, high double, method varchar
        )""")
    db.execute("alter table score add column attributes varchar")
    db.execute("alter table run add column evaluation varchar")


def m005_status(db: duckdb.DuckDBPyConnection) -> None:
    """How far a run can be believed, and what was checked of one that came in a bundle: its ``status.json`` as it is."""
    db.execute("alter table run add column status varchar")
    db.execute("update run set status = 'run here'")
    db.execute("alter table run add column checks varchar")


MIGRATIONS: Final[tuple[Migration, ...]] = (m001_initial, m002_unranked, m003_audit, m004_intervals, m005_status)


def applied(db: duckdb.DuckDBPyConnection) -> int:
    """How many migrations a database has seen."""
    row = db.execute("select coalesce(max(number), 0) from migration").fetchone()
    assert row is not None
    return int(row[0])


def migrate(db: duckdb.DuckDBPyConnection) -> None:
    """Bring a database to the newest schema.

    Raises:
        StoreError: if it was written by a newer adbench.
    """
    db.execute(
        "create table if not exists migration (number integer primary key, name varchar not null, applied timestamp not null)"
    )
    seen = applied(db)
    if seen > len(MIGRATIONS):
        raise StoreError("the database was written by a newer adbench; upgrade: pip install --upgrade adbench-harness")
    for number, migration in enumerate(MIGRATIONS[seen:], seen + 1):
        db.begin()
        try:
            migration(db)
            db.execute("insert into migration values (?, ?, current_timestamp::timestamp)", [number, migration.__name__])
            db.commit()
        except BaseException:
            db.rollback()
            raise
