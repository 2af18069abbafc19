"""Two commands at once on one results folder."""

from __future__ import annotations

import json

import pytest

from .conftest import IN_PROCESS, MATRIX, Place, until

WAIT_IN_TRAINING = """
before("adbench_harness.training:Training._maybe_save", wait(MARK), 3, lambda training, *rest: training.seed == 0)
"""
OTHER = (*MATRIX[:-1], "2,1,0")


WAYS = [pytest.param(IN_PROCESS, id="in its process"), pytest.param(("--jobs", "2"), id="in processes", marks=pytest.mark.slow)]


@pytest.mark.parametrize("way", WAYS)
def test_both_succeed_and_every_run_is_made_once(place: Place, way: tuple[str, ...]) -> None:
    first = place.start(*MATRIX, *way, fault=WAIT_IN_TRAINING)
    place.reached(first)
    second = place.start(*OTHER, *IN_PROCESS)
    until(lambda: len(place.finished()) >= 2 or second.process.poll() is not None)
    assert second.process.poll() is None, second.stderr  # it waits for the run of the other
    before = place.finished()
    place.mark.unlink()
    assert (first.process.wait(), second.process.wait()) == (0, 0), first.stderr + second.stderr
    for command in (first, second):
        assert "warning" not in command.stderr
        assert "Traceback" not in command.stderr
    place.check(before)
    place.finish(*MATRIX, *way)


def test_one_that_can_t_have_the_database_leaves_its_runs_and_says_so(place: Place) -> None:
    first = place.start(*MATRIX[:-1], "0", fault='before("adbench_harness.store.database:_change", wait(MARK))')
    place.reached(first)
    impatient = "import adbench_harness.store.database as d; d.LOCK_SECONDS = 0.1"
    second = place.run(*MATRIX, *IN_PROCESS, fault=impatient)
    assert second.returncode == 0, second.stderr
    assert f"warning: another adbench process (process {first.process.pid} on " in second.stderr
    assert "runs are kept, the next command takes them in" in second.stderr
    before = place.finished()
    assert len(before) == 3
    place.mark.unlink()
    assert first.process.wait() == 0
    listed = place.run("results", "list", "--json")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert {row["run_id"] for row in json.loads(listed.stdout)} == place.undisturbed.keys()
    place.check(before)
    place.finish(*MATRIX, *IN_PROCESS)


@pytest.mark.parametrize("answer", ["ENOSYS", pytest.param("ENOLCK", marks=pytest.mark.slow)])
@pytest.mark.parametrize("way", WAYS)
def test_a_file_system_without_locks_is_no_hindrance(place: Place, way: tuple[str, ...], answer: str) -> None:
    met = place.folder / "met"
    made = place.run(*MATRIX, *way, fault=f"no_locks({answer!r}, {str(met)!r})")
    assert met.exists()
    assert made.returncode == 0, made.stderr
    assert "warning" not in made.stderr
    assert "Traceback" not in made.stderr
    place.check(place.finished())
    place.finish(*MATRIX, *way)


@pytest.mark.slow
def test_two_commands_without_locks_leave_whole_runs(place: Place) -> None:
    without = f"no_locks('ENOSYS', {str(place.folder / 'met')!r})\n"
    first = place.start(*MATRIX, *IN_PROCESS, fault=without + WAIT_IN_TRAINING)
    place.reached(first)
    second = place.run(*MATRIX, *IN_PROCESS, fault=without)
    assert second.returncode == 0, second.stderr
    before = place.finished()
    place.mark.unlink()
    assert first.process.wait() == 0, first.stderr
    place.check(before)
    place.finish(*MATRIX, *IN_PROCESS)
