from __future__ import annotations

from typing import Any

import pytest

from adbench_harness.api import StoreError
from adbench_harness.home import Results
from adbench_harness.locking import held
from adbench_harness.store import database, intake
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import Ingested
from adbench_harness.store.intake import Intake


def kept(results: Results) -> list[str]:
    with reading(results.database) as db:
        return [run_id for (run_id,) in db.execute("select run_id from run order by 1").fetchall()]


def test_runs_wait_for_one_another_and_go_in_at_the_latest_in_the_end(
    results: Results, make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("adbench_harness.store.intake.time.monotonic", lambda: now[0])
    waiting = Intake(results, pytest.fail)
    for number in range(3):
        make_run(f"r{number}")
        waiting.add(f"r{number}", None)
        now[0] += 0.5
    assert kept(results) == ["r0"]
    now[0] += intake.SECONDS
    make_run("r3")
    waiting.add("r3", None)
    assert kept(results) == ["r0", "r1", "r2", "r3"]
    make_run("r4")
    waiting.add("r4", None)
    waiting.write()
    assert kept(results)[-1] == "r4"


def test_a_slow_database_is_written_rarely(results: Results, make_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("adbench_harness.store.intake.time.monotonic", lambda: now[0])
    written: list[int] = []

    def slow(results: Results, made: Any) -> Any:
        written.append(len(made))
        now[0] += 3  # twenty times that would be a minute
        return Ingested()

    monkeypatch.setattr(intake, "ingest", slow)
    waiting = Intake(results, pytest.fail)
    for number in range(130):
        waiting.add(f"r{number}", None)
        now[0] += 1
    assert written == [1, 30, 30, 30, 30]


def test_a_run_that_can_t_be_taken_in_is_a_warning(results: Results, make_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run("r1")
    warnings: list[str] = []
    waiting = Intake(results, warnings.append)
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.05)
    with held(results.database.with_name(f".{results.database.name}.lock")):
        waiting.add("r1", None)
    (words,) = warnings
    assert "is writing" in words
    assert "runs are kept, the next command takes them in" in words
    make_run("r2")
    (results.runs / "r2" / "scores.parquet").write_bytes(b"altered")
    waiting.add("r2", None)
    waiting.write()
    assert kept(results) == ["r1"]
    assert warnings[1].startswith("r2 is not in the database: ")


def test_why_the_database_can_t_be_written_is_said_once_until_it_can(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    reasons: list[str | None] = ["held", "held", "full", "held", None, "held", "held"]

    def write(results: Results, made: Any) -> Ingested:
        if (reason := reasons.pop(0)) is not None:
            raise StoreError(reason)
        return Ingested()

    monkeypatch.setattr(intake, "ingest", write)
    warnings: list[str] = []
    waiting = Intake(results, warnings.append)
    for number in range(7):
        waiting.add(f"r{number}", None)
        waiting.write()
    assert reasons == []
    assert warnings == ["held", "full", "held", "held"]
