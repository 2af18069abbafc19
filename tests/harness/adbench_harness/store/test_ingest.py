from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from adbench_harness.api import StoreError, UnknownNameError
from adbench_harness.home import Results
from adbench_harness.store import database, migrations
from adbench_harness.store.database import reading, writing
from adbench_harness.store.ingest import ingest, rebuild
from adbench_harness.store.queries import Estimate, figures_of, find_run_id, manifest_of, run_rows


def ask(results: Results, query: str) -> list[tuple[Any, ...]]:
    with reading(results.database) as db:
        return db.execute(query).fetchall()


def test_new_runs_are_taken_in_once(results: Results, make_run: Any) -> None:
    make_run("r1")
    assert ingest(results).added == ["r1"]
    assert ingest(results).added == []
    make_run("r2")
    assert ingest(results).added == ["r2"]
    assert ask(results, "select run_id, count(*) from score group by 1 order by 1") == [("r1", 4), ("r2", 4)]
    assert ask(
        results, "select image, label, subtype, group_id, subset, score from score where run_id = 'r1' and image = 'a2'"
    ) == [("a2", 1, "blot", "g2", "test", 0.8)]
    assert ask(results, "select phase, name, value from curve where run_id = 'r1'") == [("fit", "loss", 0.5)]
    assert ask(results, "select task, subtype from task where run_id = 'r1'") == [("spots", "spot")]


def test_figures_are_kept_and_can_be_had_from_the_scores(results: Results, make_run: Any) -> None:
    make_run("r1")
    ingest(results)
    area = """with p as (select s.score a, n.score b from score s, score n where s.label = 1 and n.label = 0)
              select avg(case when a > b then 1.0 when a = b then 0.5 else 0 end) from p"""
    kept = ask(results, "select value from metric where task = 'all' and name = 'roc_auc'")
    assert kept[0][0] == pytest.approx(float(ask(results, area)[0][0]))
    oracle = ask(results, "select distinct rule, oracle from metric where rule <> 'none' order by 1")
    assert oracle == [("all-positive", False), ("youden", True)]


def test_a_run_that_was_made_again_replaces_the_old_one(results: Results, make_run: Any) -> None:
    make_run("r1")
    ingest(results)
    shutil.rmtree(results.runs / "r1")
    make_run("r1", created="2026-02-02T00:00:00Z")
    assert ingest(results, {"r1": None}).added == ["r1"]
    assert ask(results, "select count(*), max(created)::varchar from run") == [(1, "2026-02-02 00:00:00")]
    assert ask(results, "select count(*) from score") == [(4,)]


def test_a_spoilt_folder_is_left_out_and_said_and_the_rest_goes_in(results: Results, make_run: Any) -> None:
    make_run("r1")
    make_run("r2")
    (results.runs / "r1" / "scores.parquet").write_bytes(b"no parquet")
    done = ingest(results)
    assert done.added == ["r2"]
    assert "scores.parquet is not the file that the run wrote" in done.refused["r1"]


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": {"title": "no fingerprint"}},
        {"dataset": {"fingerprint": "f", "tasks": [1]}},
        {"protocol": {"name": "p"}},
        {"protocol": {"version": 1, "evaluation": {"thresholds": ["of-tomorrow"]}, "evaluation_digest": "e", "overrides": {}}},
        {"created": "yesterday"},
        {"model": {"parameters": None}},
    ],
)
def test_whatever_a_manifest_says_the_other_runs_go_in(results: Results, make_run: Any, changes: dict[str, Any]) -> None:
    make_run("r1", **changes)
    make_run("r2")
    for done in (ingest(results), rebuild(results)):
        assert done.added == ["r2"]
        assert list(done.refused) == ["r1"]
    assert ask(results, "select distinct run_id from score") == [("r2",)]


def test_a_folder_name_is_no_pattern(tmp_path: Path, make_run: Any, results: Results) -> None:
    make_run("r1")
    starred = Results(tmp_path / "r*")
    shutil.copytree(results.runs, starred.runs)
    assert ingest(starred).added == ["r1"]
    assert ask(starred, "select count(*) from score") == [(4,)]


def test_runs_whose_folder_is_gone_are_forgotten(results: Results, make_run: Any) -> None:
    make_run("r1")
    make_run("r2")
    ingest(results)
    shutil.rmtree(results.runs / "r1")
    ingest(results)
    assert ask(results, "select run_id, count(*) from score group by 1") == [("r2", 4)]


def test_a_renamed_folder_is_refused(results: Results, make_run: Any) -> None:
    make_run("r1")
    (results.runs / "r1").rename(results.runs / "r9")
    assert "rename the folder back" in ingest(results).refused["r9"]


def test_rebuild_makes_the_same_database_from_whatever_was_there(results: Results, make_run: Any) -> None:
    make_run("r1")
    ingest(results)
    before = ask(results, "select * from metric order by all")
    results.database.write_bytes(b"this is no database")
    assert rebuild(results).added == ["r1"]
    assert ask(results, "select * from metric order by all") == before


def test_a_damaged_database_is_told_by_who_reads_and_mended_by_who_writes(results: Results, make_run: Any) -> None:
    make_run("r1")
    results.database.write_bytes(b"this is no database")
    with pytest.raises(StoreError, match="adbench results rebuild"), reading(results.database):
        pass
    done = ingest(results)
    assert done.added == ["r1"]
    (warning,) = done.warnings
    assert warning.endswith("it is made anew from the runs, and the old file is kept as adbench.duckdb.damaged")
    assert results.database.with_name("adbench.duckdb.damaged").read_bytes() == b"this is no database"
    assert ask(results, "select count(*) from run") == [(1,)]
    assert ingest(results).warnings == []


def test_without_a_database_one_is_told_to_make_a_run(results: Results) -> None:
    with pytest.raises(StoreError, match="make a run first"), reading(results.database):
        pass


HOLD = "import duckdb, sys; db = duckdb.connect(sys.argv[1]); db.execute('create table if not exists t (x int)'); print('held', flush=True); sys.stdin.read()"


def test_a_database_that_another_program_holds_is_told_and_runs_wait(results: Results, make_run: Any) -> None:
    make_run("r1")
    ingest(results)
    make_run("r2")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(results.database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(StoreError, match=rf"another program .*process {other.pid}.* holds .*close it"):
            ingest(results)
        with pytest.raises(StoreError, match="for writing; close it"), reading(results.database):
            pass
        other.stdin.close()
    assert ingest(results).added == ["r2"]


def test_an_adbench_that_is_ingesting_is_waited_for_then_named(
    results: Results, make_run: Any, monkeypatch: pytest.MonkeyPatch, warm: Any
) -> None:
    make_run("r1")
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.05)
    with writing(results.database):
        code = f"""
from pathlib import Path
from adbench_harness.store import database
database.LOCK_SECONDS = 0.05
try:
    with database.writing(Path({str(results.database)!r})): pass
except Exception as error: print(type(error).__name__, error)
"""
        said = warm.run([sys.executable, "-c", code], check=True).stdout
    assert said.startswith("StoreError another adbench process")
    assert "the next command takes them in" in said


def test_readers_keep_what_they_opened_while_a_run_comes_in(results: Results, make_run: Any, warm: Any) -> None:
    make_run("r1")
    ingest(results)
    with reading(results.database) as db:
        make_run("r2")
        code = f"from pathlib import Path; from adbench_harness.home import Results; from adbench_harness.store.ingest import ingest; ingest(Results(Path({str(results.root)!r})))"
        warm.run([sys.executable, "-c", code], check=True)
        assert db.execute("select count(*) from run").fetchall() == [(1,)]
    assert ask(results, "select count(*) from run") == [(2,)]


def test_a_failure_in_the_middle_leaves_the_old_database(results: Results, make_run: Any) -> None:
    make_run("r1")
    ingest(results)
    before = results.database.read_bytes()

    def change() -> None:
        with writing(results.database) as db:
            db.execute("delete from run")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change()
    assert results.database.read_bytes() == before
    assert [path.name for path in results.root.glob("*.tmp*")] == []


def test_older_duckdb_can_read_the_file(results: Results, make_run: Any) -> None:
    make_run("r1")
    ingest(results)
    with reading(results.database) as db:
        row = db.execute("select tags from duckdb_databases() where database_name = 'adbench'").fetchone()
    assert row is not None
    assert "v1.2.0" in str(row[0])


def test_migrations_are_numbered_and_applied_once(tmp_path: Path) -> None:
    db = duckdb.connect()
    migrations.migrate(db)
    migrations.migrate(db)
    assert db.execute("select number, name from migration").fetchall() == [
        (number, step.__name__) for number, step in enumerate(migrations.MIGRATIONS, 1)
    ]
    assert all(step.__name__.startswith(f"m{number:03}_") for number, step in enumerate(migrations.MIGRATIONS, 1))


def test_a_database_that_knew_only_off_protocol_learns_why_a_run_is_unranked(monkeypatch: pytest.MonkeyPatch) -> None:
    db = duckdb.connect()
    with monkeypatch.context() as past:
        past.setattr(migrations, "MIGRATIONS", (migrations.m001_initial,))
        migrations.migrate(db)
    for run_id, on_protocol in (("on", True), ("off", False)):
        db.execute(
            "insert into run values (?, 'm', 'm', '{}', 'd', 'f', 'p', 1, 'x', 'y', ?, 0, 0, now()::timestamp, 'cpu', 1, 1, '{}')",
            [run_id, on_protocol],
        )
    migrations.migrate(db)
    assert db.execute("select run_id, unranked from run order by run_id").fetchall() == [("off", "off protocol"), ("on", None)]


def test_an_older_database_gets_the_newest_schema_even_if_it_lacks_no_run(results: Results, make_run: Any) -> None:
    make_run("r1")
    ingest(results)
    with writing(results.database) as db:
        db.execute("alter table run drop column unranked")
        db.execute("alter table run add column on_protocol boolean default true")
        db.execute("drop table finding")
        db.execute("drop table audit")
        db.execute("drop table part_metric")
        for table, column in (
            ("metric", "low"),
            ("metric", "high"),
            ("metric", "method"),
            ("score", "attributes"),
            ("run", "evaluation"),
            ("run", "status"),
            ("run", "checks"),
        ):
            db.execute(f"alter table {table} drop column {column}")
        db.execute("delete from migration where number >= 2")
    with pytest.raises(StoreError, match="of an older adbench and waits to be brought up to date"), reading(results.database):
        pass
    assert ingest(results).added == ["r1"]  # evaluated anew: it had no intervals
    assert ask(results, "select run_id, unranked, status, checks from run") == [("r1", None, "run here", None)]
    assert ask(results, "select count(*) from metric where name = 'roc_auc' and low is not null") == [(2,)]


def test_a_migration_that_fails_leaves_nothing_and_a_newer_schema_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def m002_fails(db: duckdb.DuckDBPyConnection) -> None:
        db.execute("create table half (x int)")
        raise RuntimeError

    db = duckdb.connect()
    monkeypatch.setattr(migrations, "MIGRATIONS", (migrations.m001_initial, m002_fails))
    with pytest.raises(RuntimeError):
        migrations.migrate(db)
    assert db.execute("select max(number) from migration").fetchall() == [(1,)]
    assert db.execute("select count(*) from duckdb_tables() where table_name = 'half'").fetchall() == [(0,)]
    db.execute("insert into migration values (99, 'm099', now()::timestamp)")
    with pytest.raises(StoreError, match="newer adbench"):
        migrations.migrate(db)


def test_queries_find_a_run_by_the_beginning_of_its_id(results: Results, make_run: Any) -> None:
    make_run("pca-1a")
    make_run("pca-1b")
    ingest(results)
    with reading(results.database) as db:
        assert find_run_id(db, "pca-1a") == find_run_id(db, "pca-1a") == "pca-1a"
        with pytest.raises(UnknownNameError, match="2 runs begin with 'pca-1'; it may be pca-1a, pca-1b"):
            find_run_id(db, "pca-1")
        with pytest.raises(UnknownNameError, match="no runs begin with 'x'"):
            find_run_id(db, "x")
        assert manifest_of(db, "pca-1a")["cell"]["dataset"] == "made"
        assert {figure.rule for figure in figures_of(db, "pca-1a")} == {"none", "youden", "all-positive"}
        rows = run_rows(db)
    assert [row.run_id for row in rows] == ["pca-1a", "pca-1b"]
    assert rows[0].rates["all-positive"] == {"sensitivity": Estimate(1.0, 1.0, 1.0), "specificity": Estimate(0.0, 0.0, 0.0)}
    assert rows[0].roc_auc is not None
    assert rows[0].roc_auc.value == 0.75
