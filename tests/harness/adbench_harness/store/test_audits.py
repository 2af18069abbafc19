from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adbench_harness.home import Results
from adbench_harness.store import ingest as module
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest, rebuild

FINDING: dict[str, Any] = {
    "kind": "byte-equal",
    "severity": "warning",
    "title": "one group",
    "detail": "in words",
    "images": ["a", "b"],
    "numbers": {"groups": 1, "what": "files"},
}


def write(results: Results, dataset: str = "made", fingerprint: str = "f1", **changes: Any) -> Path:
    folder = results.root / "audits"
    folder.mkdir(parents=True, exist_ok=True)
    audit = {"format": 1, "dataset": dataset, "fingerprint": fingerprint, "findings": [FINDING], "shortcuts": [], **changes}
    path = folder / f"{dataset}-{fingerprint}.json"
    path.write_text(json.dumps(audit))
    return path


def ask(results: Results, query: str) -> list[tuple[Any, ...]]:
    with reading(results.database) as db:
        return db.execute(query).fetchall()


def test_findings_are_taken_in_without_any_run(results: Results) -> None:
    write(results)
    done = ingest(results)
    assert done.added == []
    assert done.refused == {}
    (row,) = ask(results, "select * from finding")
    assert row[:6] == ("made", "f1", "byte-equal", "warning", "one group", "in words")
    assert json.loads(row[6]) == ["a", "b"]
    assert json.loads(row[7]) == {"groups": 1, "what": "files"}
    assert ask(results, "select images->>'$[1]', numbers->'groups' from finding") == [("b", "1")]


def test_nothing_is_written_if_nothing_changed(results: Results, make_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run("r1")
    write(results)
    write(results, "clean", findings=[])
    ingest(results)
    monkeypatch.setattr(module, "writing", lambda *_, **__: pytest.fail("the database was opened for writing"))
    assert ingest(results).refused == {}


def test_an_audit_made_again_replaces_the_old_one_and_no_other(results: Results) -> None:
    write(results)
    write(results, fingerprint="f2")
    write(results, "other")
    ingest(results)
    write(results, findings=[{**FINDING, "title": "another"}, {**FINDING, "title": "and more"}])
    ingest(results)
    assert ask(results, "select dataset, fingerprint, title from finding order by all") == [
        ("made", "f1", "and more"),
        ("made", "f1", "another"),
        ("made", "f2", "one group"),
        ("other", "f1", "one group"),
    ]


def test_an_audit_whose_file_is_gone_is_forgotten(results: Results) -> None:
    write(results)
    gone = write(results, fingerprint="f2")
    ingest(results)
    gone.unlink()
    ingest(results)
    assert ask(results, "select fingerprint from finding") == [("f1",)]
    assert ask(results, "select file from audit") == [("made-f1.json",)]


def test_rebuild_takes_audits_in(results: Results, make_run: Any) -> None:
    make_run("r1")
    write(results)
    assert rebuild(results).added == ["r1"]
    assert ask(results, "select count(*) from finding") == [(1,)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no json", "is no audit of adbench: Invalid JSON"),
        ("[]", "is no audit of adbench"),
        ('{"format": 1, "dataset": "made", "fingerprint": "f1", "findings": [{"kind": 1}]}', "findings.0.kind"),
        ('{"format": 9, "dataset": "made", "fingerprint": "f1", "findings": []}', "written by a newer adbench"),
        ('{"format": 1, "dataset": "x", "fingerprint": "f1", "findings": []}', "holds the audit of x f1; rename the file back"),
    ],
)
def test_a_damaged_audit_is_said_and_the_rest_goes_in(results: Results, make_run: Any, text: str, reason: str) -> None:
    make_run("r1")
    write(results, "other")
    write(results).write_text(text)
    for done in (ingest(results), rebuild(results)):
        assert list(done.refused) == ["audits/made-f1.json"]
        assert reason in done.refused["audits/made-f1.json"]
    assert ask(results, "select dataset from finding") == [("other",)]
    assert ask(results, "select count(*) from run") == [(1,)]


def test_a_good_audit_that_is_damaged_later_is_forgotten(results: Results) -> None:
    path = write(results)
    ingest(results)
    path.write_text("no json")
    assert list(ingest(results).refused) == ["audits/made-f1.json"]
    assert ask(results, "select count(*) from finding") == [(0,)]


def test_what_cannot_be_read_is_said(results: Results) -> None:
    write(results)
    (results.root / "audits" / "folder.json").mkdir()
    assert list(ingest(results).refused) == ["audits/folder.json"]
    assert ask(results, "select count(*) from finding") == [(1,)]


def test_unfinished_files_are_left_alone(results: Results) -> None:
    path = write(results)
    path.rename(path.with_name(f".{path.name}"))
    assert ingest(results).refused == {}
