"""adbench results merge, as typed, and the commands that show what it kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from adbench_harness.api import AdbenchError
from adbench_harness.cli import cli
from adbench_harness.manifest import Manifest
from adbench_harness.result import Scores, write_run

Adbench = Callable[..., Result]
Write = Callable[..., Path]


@pytest.fixture
def adbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Adbench:
    """Commands in this process."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Result:
        return CliRunner().invoke(cli, ["results", *words, "--results", "ours"])

    return run


@pytest.fixture
def write(tmp_path: Path, make_manifest: Callable[..., Manifest], scores: Scores) -> Write:
    """Writes a run into a store by name, with this added to the score of one image."""

    def run(store: str, run_id: str, shift: float = 0.0, **changes: Any) -> Path:
        moved = scores.score.copy()
        moved[2] += shift
        manifest = make_manifest(run_id, **changes)
        return write_run(tmp_path / store / "runs", manifest, replace(scores, score=moved), [], None)

    return run


def done(result: Result) -> str:
    assert result.exit_code == 0, (result.exception, result.stderr)
    return result.stdout


def test_stores_are_joined_and_replicates_are_shown_and_never_ranked(adbench: Adbench, write: Write, tmp_path: Path) -> None:
    write("ours", "pca-made-1")
    there = {"device_name": "a GPU", "torch": "2.9.0"}
    write("theirs", "pca-made-1", shift=0.1, compute=there, created="2026-05-02T03:04:05Z", environment={"adbench": "0.2.0"})
    write("theirs", "pca-made-2")
    rehearsed = done(adbench("merge", "theirs", "--dry-run"))
    assert f"would be merged into {tmp_path / 'ours'}: 1 new run, 0 here already, 1 kept as a replicate\n" in rehearsed
    assert sorted(path.name for path in (tmp_path / "ours").iterdir()) == ["runs"]

    said = done(adbench("merge", "theirs"))
    assert f"merged into {tmp_path / 'ours'}: 1 new run, 0 here already, 1 kept as a replicate\n" in said
    kept = next((tmp_path / "ours" / "replicates" / "pca-made-1").iterdir())
    assert said.partition("\n\n")[2].splitlines() == [
        "other scores than the run here (1), the largest difference first:",
        "",
        "pca-made-1",
        "  the largest difference of 4 scores is 0.1, 0.471 of their interquartile range, rank correlation of test images 0.800000",
        "  ROC AUC 0.750 here, 1.000 there; made 2026-01-02 and 2026-05-02",
        "  device: a CPU (2 threads) here, a GPU there; adbench: unknown here, 0.2.0 there; torch: unknown here, 2.9.0 there",
        f"  kept in replicates/pca-made-1/{kept.name}",
    ]
    assert f"kept in replicates/pca-made-1/{kept.name}, as before" in done(adbench("merge", "theirs"))

    for _ in range(2):
        listed = json.loads(done(adbench("list", "--json")))
        assert [(row["run_id"], row["replicates"], row["roc_auc"]["value"]) for row in listed] == [
            ("pca-made-1", 1, 0.75),
            ("pca-made-2", 0, 0.75),
        ]
        assert json.loads(done(adbench("sql", "select count(*) as runs from run", "--json"))) == [{"runs": 2}]
        assert "2 runs in" in done(adbench("rebuild"))
    assert "replicates" in done(adbench("list")).splitlines()[1]
    shown = done(adbench("show", "pca-made-1"))
    assert f"{kept.name}  2026-05-02  1.000  0.471  0.8000  a GPU, adbench 0.2.0, torch 2.9.0" in shown
    (replicate,) = json.loads(done(adbench("show", "pca-made-1", "--json")))["replicates"]
    assert (replicate["scores"], replicate["replicate"]["roc_auc"]) == (kept.name, 1.0)
    assert json.loads(done(adbench("show", "pca-made-2", "--json")))["replicates"] == []
    (kept / "scores.parquet").write_bytes(b"x")
    assert "adbench: warning: replicate left out" in adbench("show", "pca-made-1").stderr


def test_what_is_damaged_is_left_out_with_status_1_and_the_rest_is_merged(adbench: Adbench, write: Write) -> None:
    write("theirs", "pca-made-1")
    (write("theirs", "pca-made-2") / "manifest.json").unlink()
    result = adbench("merge", "theirs", "--json")
    assert result.exit_code == 1
    assert result.stderr.startswith("adbench: error: left out: ")
    assert result.stderr.count("\n") == 1
    answer = json.loads(result.stdout)
    assert [(run["run_id"], run["what"], run["comparison"]) for run in answer["runs"]] == [("pca-made-1", "new", None)]
    assert [Path(path).name for path in answer["refused"]] == ["pca-made-2"]
    assert "1 here already, 0 kept as replicates, 1 left out" in adbench("merge", "theirs").stdout


def test_many_unequal_results_are_told_briefly(adbench: Adbench, write: Write) -> None:
    for number in range(22):
        write("ours", f"r{number:02}")
        write("theirs", f"r{number:02}", shift=0.01 * (number + 1))
    said = done(adbench("merge", "theirs", "--dry-run"))
    told = [line for line in said.splitlines() if line.startswith("r")]
    assert told == [f"r{number:02}" for number in range(21, 1, -1)]
    assert said.endswith("and 2 more: --json has them all\n")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ([], 2, "Missing argument 'OTHER…'"),
        (["none"], 1, "there is no results folder"),
        (["ours"], 1, "is the results folder itself"),
    ],
)
def test_what_is_asked_for_wrongly(adbench: Adbench, write: Write, words: list[str], status: int, message: str) -> None:
    write("ours", "r1")
    result = adbench("merge", *words)
    assert message in f"{result.stderr}{result.exception}"
    assert (result.exception.exit_code if isinstance(result.exception, AdbenchError) else result.exit_code) == status
