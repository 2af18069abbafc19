"""Ctrl-C and SIGTERM: the first keeps a checkpoint, the second ends at once."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from adbench_harness.result import find_run

from .conftest import IN_PROCESS, MATRIX, Place, until

WAIT_IN_TRAINING = """
before("adbench_harness.training:Training._maybe_save", wait(MARK), 3, lambda training, *rest: training.seed == 0)
"""
WAYS = {"in its process": IN_PROCESS, "in processes": ("--jobs", "2")}
CALLED = "stopping at the next step (again to stop at once)"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_the_first_keeps_a_checkpoint(place: Place, way: str, number: signal.Signals) -> None:
    command = place.start(*MATRIX, *WAYS[way], fault=WAIT_IN_TRAINING)
    place.reached(command)
    os.kill(command.process.pid, number)
    until(lambda: CALLED in command.stderr)
    place.mark.unlink()
    assert command.process.wait() == 130
    assert "the same command goes on" in command.stderr
    assert "Traceback" not in command.stderr
    assert list(place.results.running.rglob("checkpoint.pt"))
    place.finish(*MATRIX, *WAYS[way])
    manifests = [find_run(place.results.runs, run_id) for run_id in place.undisturbed]
    assert 1 in [manifest.training["resumed"] for manifest in manifests if manifest is not None]


@pytest.mark.parametrize("way", WAYS)
def test_the_second_ends_at_once(place: Place, way: str) -> None:
    command = place.start(*MATRIX, *WAYS[way], fault=WAIT_IN_TRAINING)
    waiting = place.reached(command)
    os.kill(command.process.pid, signal.SIGINT)
    until(lambda: CALLED in command.stderr)
    os.kill(command.process.pid, signal.SIGINT)
    assert command.process.wait() == 130
    assert command.stderr.endswith("adbench: interrupted\n")
    assert "Traceback" not in command.stderr
    until(lambda: not Path(f"/proc/{waiting}").exists())
    place.mark.unlink()
    place.finish(*MATRIX, *WAYS[way])


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_one_that_reaches_every_process_as_they_start_fails_no_run(place: Place, name: str) -> None:
    """A process that is starting has not yet said that it is not its business."""
    command = place.start(
        *MATRIX,
        "--jobs",
        "2",
        fault=f"""
import os, signal
def to_all():
    try:
        os.mkdir(MARK + "-all")
    except FileExistsError:
        return
    os.killpg(os.getpgid(0), signal.{name})
os.setpgid(0, 0)
before("adbench_harness.executors.worker:serve", to_all)
""",
    )
    assert command.process.wait() == 130
    assert "Traceback" not in command.stderr
    assert "failed" not in command.stderr
    place.finish(*MATRIX, "--jobs", "2")


def test_two_at_once_as_a_process_starts_leave_none_behind(place: Place) -> None:
    command = place.start(
        *MATRIX,
        "--jobs",
        "2",
        fault="""
import os, signal
def twice():
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
after("multiprocessing.process:BaseProcess.start", twice, 2)
""",
    )
    assert command.process.wait() == 130
    assert command.stderr.endswith("adbench: interrupted\n")
    place.finish(*MATRIX, "--jobs", "2")
