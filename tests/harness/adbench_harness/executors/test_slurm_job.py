from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from adbench_harness.executors import slurm_job
from adbench_harness.executors.slurm_job import Job, outcome_file

from .conftest import pretended

pytest.importorskip("submitit", reason="needs pip install 'adbench-harness[slurm]'")


def test_a_job_makes_what_is_not_there(tmp_path: Path) -> None:
    outcome_file(tmp_path, "there").write_bytes(b"before")
    handler = signal.getsignal(signal.SIGTERM)
    Job(pretended, tmp_path)({"there": b"told", "one": b"1", "two": b"2"})
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.outcome")} == {
        "there.outcome": b"before",
        "one.outcome": b"outcome of 1",
        "two.outcome": b"outcome of 2",
    }
    assert {path.stem for path in tmp_path.glob("*.begun")} == {"one", "two"}
    assert slurm_job.progress_of(tmp_path, "one") == ("fit", 1, 2)
    assert slurm_job.progress_of(tmp_path, "three") is None
    assert signal.getsignal(signal.SIGTERM) is handler


class Gone(BaseException):
    """In place of a process that has ended."""


@pytest.mark.parametrize(
    ("squeue", "scontrol", "asked", "waits"),
    [
        ("echo RUNNING", "", "requeue 12_3", False),
        ("echo RUNNING", "exit 1", "requeue 12_3", True),
        ("echo COMPLETING", "", None, False),
        ("exit 1", "", None, True),
    ],
    ids=["pre-empted", "not begun again here", "cancelled", "nobody answers"],
)
def test_a_job_that_has_to_go(
    tmp_path: Path,
    program: Callable[[str, str], Path],
    monkeypatch: pytest.MonkeyPatch,
    squeue: str,
    scontrol: str,
    asked: str | None,
    waits: bool,
) -> None:
    def gone(status: int) -> None:
        raise Gone(status)

    waited: list[float] = []
    monkeypatch.setattr("os._exit", gone)
    monkeypatch.setattr("time.sleep", waited.append)
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "12")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    program("squeue", squeue)
    calls = program("scontrol", scontrol)
    with pytest.raises(Gone, match="143"):
        Job(pretended, tmp_path)({"one": b"1", "two": b"told", "three": b"3"})
    assert [path.name for path in tmp_path.glob("*.outcome")] == ["one.outcome"]
    assert (calls.read_text().strip() if calls.exists() else None) == asked
    assert (slurm_job.WAIT_SECONDS in waited) is waits


def test_the_id_of_a_job_that_is_no_array(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    assert slurm_job.job_id() == "12"
