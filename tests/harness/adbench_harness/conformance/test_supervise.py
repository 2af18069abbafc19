"""Checks in a process of their own, as the command line runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from adbench_harness.cli import cli


def check(*words: str) -> tuple[int, list[dict[str, Any]]]:
    done = CliRunner().invoke(cli, ["models", "check", *words, "--device", "cpu", "--json"])
    return done.exit_code, json.loads(done.stdout)


def statuses(report: dict[str, Any]) -> dict[str, str]:
    return {result["check"]: result["status"] for result in report["results"]}


def test_a_check_that_never_ends_is_ended(broken: Path) -> None:
    status, (report,) = check("broken-hangs", "--time-limit", "2", "--only", "training-data", "--only", "scores")
    assert status == 1
    assert statuses(report) == {"builds": "passed", "training-data": "failed", "scores": "skipped"}
    assert report["results"][1]["message"] == "it took longer than 2 s (--time-limit)"


def test_a_detector_that_ends_the_process_fails_one_check_and_the_others_are_looked_at(broken: Path) -> None:
    status, (report,) = check("broken-exits", "--only", "pictures", "--only", "files")
    assert status == 1
    assert report["failed"] == ["pictures"]
    assert statuses(report)["files"] == "passed"
    assert "exit status 7" in next(result["message"] for result in report["results"] if result["check"] == "pictures")


def test_what_a_person_reads(broken: Path) -> None:
    done = CliRunner().invoke(cli, ["models", "check", "broken-described", "--only", "described", "--device", "cpu"])
    assert done.exit_code == 1
    assert "FAILED  described" in done.stdout
    assert done.stdout.endswith("broken-described on cpu: 1 of 1 checks failed: described\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nobody"], "no model is called 'nobody'"),
        (["sound", "--only", "batches"], "no check is called 'batches'; did you mean batch"),
        (["sound", "--set", "size=3"], "unknown option 'size'"),
    ],
    ids=["model", "check", "option"],
)
def test_unknown_names_are_said_before_anything_is_run(broken: Path, words: list[str], message: str) -> None:
    done = CliRunner().invoke(cli, ["models", "check", *words])
    assert message in str(done.exception)
