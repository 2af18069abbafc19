"""``kill -9`` of the command and of its processes, wherever they are."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from adbench_harness.result import find_run

from .conftest import IN_PROCESS, MATRIX, Place, cases, until

JOBS = ("--jobs", "2")
WAIT_IN_TRAINING = """
save_at_every_step()
before("adbench_harness.training:Training._maybe_save", wait(MARK), 9, lambda training, *rest: training.seed == 2)
"""
SPAWNED = "# spawn"
WORKERS = [pytest.param("", id="forked"), pytest.param(SPAWNED, id="spawned", marks=pytest.mark.slow)]


def ended(process: int) -> bool:
    """Whether a process is gone, though perhaps nobody has asked for its status."""
    try:
        return " Z " in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return True


@pytest.mark.parametrize("workers", WORKERS)
def test_of_the_command_ends_its_processes_and_the_next_goes_on(place: Place, workers: str) -> None:
    command = place.start(*MATRIX, *JOBS, fault=WAIT_IN_TRAINING + workers)
    worker = place.reached(command)
    os.kill(command.process.pid, signal.SIGKILL)
    assert command.process.wait() == -signal.SIGKILL
    until(lambda: ended(worker))
    assert list(place.results.running.rglob("checkpoint.pt"))
    assert place.finished()
    place.finish(*MATRIX, *JOBS)
    manifests = [find_run(place.results.runs, run_id) for run_id in place.undisturbed]
    assert 1 in [manifest.training["resumed"] for manifest in manifests if manifest is not None]
    assert not list(place.results.running.rglob("checkpoint.pt"))


@pytest.mark.parametrize("workers", WORKERS)
def test_of_a_process_fails_its_run_alone(place: Place, workers: str) -> None:
    command = place.start(*MATRIX, *JOBS, fault=WAIT_IN_TRAINING + workers)
    os.kill(place.reached(command), signal.SIGKILL)
    assert command.process.wait() == 1
    assert "1 of 3 runs failed" in command.stderr
    assert "seed 2: its process was ended by SIGKILL" in command.stderr
    assert "Traceback" not in command.stderr
    assert len(place.finished()) == 2
    place.mark.unlink()
    place.finish(*MATRIX, *JOBS)


DATABASE = 'when=lambda path, target: Path(target).name == "adbench.duckdb"'
WHERE = {
    "as the database is opened": 'before("adbench_harness.store.database:_change", die)',
    "between two runs": 'take_in_one_by_one(); before("adbench_harness.store.ingest:_insert", die, 2)',
    "before many runs are in the database": 'before("adbench_harness.store.ingest:_insert", die)',
    "before the database is in place": f'before("pathlib:Path.replace", die, {DATABASE})',
    "after the database is in place": f'after("pathlib:Path.replace", die, {DATABASE})',
    "before a manifest is written": 'before("adbench_harness.result:_seal", die, 2)',
    "before a folder is renamed": 'before("adbench_harness.placing:_put", die, 2)',
    "after a folder is renamed": 'after("adbench_harness.placing:_put", die, 2)',
    "while a checkpoint is written": 'save_at_every_step(); before("os:fsync", die, 5)',
    "before a checkpoint is in place": (
        'save_at_every_step(); before("pathlib:Path.replace", die, 3, lambda path, target: Path(target).name == "checkpoint.pt")'
    ),
    "before a checkpoint is removed": 'save_at_every_step(); before("adbench_harness.checkpoint:CheckpointFile.remove", die)',
}


@pytest.mark.parametrize(
    "where",
    cases(
        WHERE,
        ["after the database is in place", "before a folder is renamed", "while a checkpoint is written"],
    ),
)
def test_anywhere_loses_nothing_that_was_done(place: Place, where: str) -> None:
    killed = place.run(*MATRIX, *IN_PROCESS, fault=WHERE[where])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    place.finish(*MATRIX, *IN_PROCESS)
    tidied = place.run("results", "prune")
    assert tidied.returncode == 0, tidied.stderr
    place.check(place.finished())
    assert {path.name for path in place.results.runs.iterdir()} == place.undisturbed.keys()
    assert not [path for path in place.results.running.iterdir() if path.is_dir()]
    assert not list(place.results.root.glob(".adbench.duckdb.*.tmp*"))


def test_while_images_are_prepared_costs_nothing_but_their_preparation(place: Place) -> None:
    place.home = place.folder / "home"
    killed = place.run(*MATRIX, *IN_PROCESS, fault='before("adbench_harness.data.prepare:_put", die)')
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    place.finish(*MATRIX, *IN_PROCESS)
