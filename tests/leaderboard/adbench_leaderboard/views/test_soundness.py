from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from adbench_harness.home import Results
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest
from adbench_leaderboard import queries
from adbench_leaderboard.tables import DatasetKey, boards
from adbench_leaderboard.views import soundness

MakeRun = Callable[..., str]
FINDING: dict[str, object] = {
    "kind": "near-duplicate",
    "severity": "serious",
    "title": "pairs <b>across</b>",
    "detail": "All: (one, two).",
    "images": ["one", "two"],
    "numbers": {"pairs": 1},
}


def audit(results: Results, findings: list[dict[str, object]]) -> None:
    folder = results.runs.parent / "audits"
    folder.mkdir(exist_ok=True)
    found = {"format": 1, "dataset": "phantom", "fingerprint": "d" * 16, "findings": findings}
    (folder / f"phantom-{'d' * 16}.json").write_text(json.dumps(found), encoding="utf-8")


def test_an_audit_that_found_nothing_is_known_as_one(results: Results, make_run: MakeRun) -> None:
    make_run("a")
    audit(results, [])
    ingest(results)
    with reading(results.database) as db:
        assert soundness.audits(db) == {DatasetKey("phantom", "d" * 16): []}


def test_findings_are_told_the_most_serious_first_and_as_text(
    results: Results, make_run: MakeRun, render: Callable[[], Path]
) -> None:
    make_run("a")
    audit(results, [{**FINDING, "severity": "note", "kind": "small"}, FINDING])
    site = render()
    with reading(results.database) as db:
        (found,) = soundness.audits(db).values()
    assert [(one.severity, one.named) for one in found] == [("serious", ["one", "two"]), ("note", ["one", "two"])]
    page = (site.parent / "dataset" / "phantom.html").read_text(encoding="utf-8")
    assert "pairs &lt;b&gt;across" in page
    assert "2 images concerned" in page


def test_areas_without_leaks_stand_beside_all(results: Results, make_run: MakeRun) -> None:
    make_run("a")
    ingest(results)
    with duckdb.connect(str(results.database)) as db:
        for name, value in (("roc_auc", 0.5), ("n_abnormal", 2), ("n_normal", 4)):
            row = ["a", "without duplicates of training images", "all", "none", False, name, value, 0.25, 0.75, "by test"]
            db.execute("insert into part_metric values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        (board,) = boards(queries.runs(db))
        found = soundness.without_leaks(board, board.datasets[0], soundness.leaks(db))["pca"]
    assert (found.without, found.interval, found.left_out, found.runs) == (0.5, (0.25, 0.75), (1, 1), 1)
    assert found.every == pytest.approx(11 / 12)
