from __future__ import annotations

import pickle
import shutil
from typing import Any

import pytest

from adbench_harness.api import StoreError
from adbench_harness.home import Results
from adbench_harness.store import evaluated as module
from adbench_harness.store import ingest as ingesting
from adbench_harness.store.audits import AuditFile, audit_name
from adbench_harness.store.database import reading
from adbench_harness.store.evaluated import evaluate_run, key_of
from adbench_harness.store.figures import Rulebook
from adbench_harness.store.ingest import ingest


def everything(results: Results) -> dict[str, list[tuple[Any, ...]]]:
    tables = ("run", "score", "curve", "metric", "part_metric", "task")
    with reading(results.database) as db:
        return {table: sorted(db.execute(f"select * from {table}").fetchall(), key=str) for table in tables}


def test_rows_that_come_with_a_run_are_those_that_would_be_worked_out(
    results: Results, make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run("r1")
    made = pickle.loads(pickle.dumps(evaluate_run(results.runs / "r1", {}, Rulebook())))
    ingest(results)
    worked_out = everything(results)
    shutil.rmtree(results.root / "adbench.duckdb", ignore_errors=True)
    results.database.unlink()
    monkeypatch.setattr(ingesting, "evaluate_run", None)  # what came with the run is taken
    assert ingest(results, {"r1": made}).added == ["r1"]
    assert everything(results) == worked_out


def test_rows_of_another_state_are_worked_out_anew(results: Results, make_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run("r1")
    made = evaluate_run(results.runs / "r1", {}, Rulebook())
    monkeypatch.setattr("adbench_harness.store.figures.VERSION", -1)
    called: list[str] = []

    def again(folder: Any, audits: Any, rules: Any) -> Any:
        called.append(folder.name)
        return evaluate_run(folder, audits, rules)

    monkeypatch.setattr(ingesting, "evaluate_run", again)
    ingest(results, {"r1": made})
    assert called == ["r1"]
    assert ingest(results).added == []  # and is not out of date


def test_an_audit_changes_what_decides_the_figures(results: Results, make_run: Any) -> None:
    manifest = make_run("r1")
    file = AuditFile(b"{}", "0" * 64)
    name = audit_name(manifest.cell.dataset, str(manifest.dataset["fingerprint"]))
    assert key_of(manifest, {}, Rulebook()) != key_of(manifest, {name: file}, Rulebook())


def test_a_folder_of_another_name_and_an_altered_one_are_refused(results: Results, make_run: Any) -> None:
    make_run("r1")
    (results.runs / "r1").rename(results.runs / "r2")
    with pytest.raises(StoreError, match="holds run r1; rename the folder back"):
        module.whole(results.runs / "r2")
    (results.runs / "r2" / "scores.parquet").write_bytes(b"altered")
    with pytest.raises(StoreError, match="is not the file that the run wrote"):
        evaluate_run(results.runs / "r2", {}, Rulebook())
