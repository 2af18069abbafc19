"""Runs as jobs of a real cluster: whatever ends a job, a node or the command, no run is lost, and none is made twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.slurm_cluster import NODES, SlurmCluster, slurm_cluster, why_not

from adbench_harness.api import InterruptedRunError, Make, Task, Tell, TimeLimitError
from adbench_harness.executors import driving, slurm
from adbench_harness.executors.attempts import Attempt
from adbench_harness.home import Home, Results
from adbench_harness.plan import RunRequest, plan
from adbench_harness.result import run_folders
from adbench_harness.runner import Conditions

from .conftest import TINY, check_scores, driver, seeds

pytestmark = [pytest.mark.slow, pytest.mark.skipif(why_not() is not None, reason=why_not() or "")]

LONG = {"epochs": "2000"}
"""Training takes about a minute of one core."""
OPTIONS = {"partition": "normal", "walltime": "10m"}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    with slurm_cluster(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture
def cluster(
    started: SlurmCluster, found_by_processes: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[SlurmCluster]:
    """What processes that start now submit to; without jobs of another test."""
    for name, word in started.environment.items():
        monkeypatch.setenv(name, word)
    monkeypatch.setattr(slurm, "ASK_SECONDS", 2.0)
    yield started
    started.run("scancel", "--user=root")
    started.wait_for_nodes(*NODES)


@dataclass
class Command:
    """Runs that are asked for, and what is seen of them."""

    home: Home
    results: Results
    training: set[int] = field(default_factory=set)
    """Which are being trained, by number."""

    def attempts(
        self, requests: list[RunRequest], act: Callable[[], object] = lambda: None, jobs: int | None = None, **words: str
    ) -> dict[int, Attempt]:
        """What comes back, by number; once all that are made at a time are trained, something is done."""
        first = jobs or len(requests)

        def heard(number: int, phase: str, done: int, total: int) -> None:
            if phase == "both" and number not in self.training:
                self.training.add(number)
                if len(self.training) == first:
                    act()

        conditions = Conditions(self.home, self.results, stop=lambda: self.stopped)
        return dict(driver("slurm", jobs, **OPTIONS, **words).attempts(requests, conditions, heard))

    stopped: bool = False

    def stop(self) -> None:
        """As the user does."""
        self.stopped = True

    def jobs(self) -> list[str]:
        """All that were submitted."""
        files = self.results.executors.glob("slurm/*/submission.json")
        return [job for path in files for job in json.loads(path.read_text())["jobs"]]

    def submissions(self) -> set[str]:
        """Folders of submissions."""
        return {path.name for path in (self.results.executors / "slurm").iterdir()}


@pytest.fixture
def command(home: Home, results: Results) -> Command:
    return Command(home, results)


def resumed(attempt: Attempt) -> object:
    assert attempt.outcome is not None, attempt.error
    return attempt.outcome.manifest.training["resumed"]


def urgent(cluster: SlurmCluster) -> None:
    """A job of others, that takes all nodes."""
    cluster.run("sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 2")


def test_an_array_of_runs_one_of_which_fails_and_a_second_time_nothing(
    cluster: SlurmCluster, command: Command, tmp_path: Path
) -> None:
    requests = [*seeds(0, 1, 2), replace(TINY, dataset="head-ct")]
    shown = driver("slurm", None, **OPTIONS, memory="0.5").script(requests, Conditions(command.home, command.results))
    assert not (command.results.executors / "slurm").exists()
    found = command.attempts(requests, memory="0.5")
    assert sorted(found) == [0, 1, 2, 3]
    assert "adbench datasets import head-ct" in str(found[3].error)
    check_scores([found[number] for number in range(3)], command.home, tmp_path / "alone")
    assert all(found[number].evaluated is not None for number in range(3))
    (submission,) = command.submissions()
    (submitted,) = (
        path.read_text() for path in command.results.executors.glob("slurm/*/*_submission.sh") if not path.is_symlink()
    )
    assert shown is not None
    assert shown.replace("SUBMISSION", submission).rsplit("\n#", 1)[0].strip() == submitted.strip()
    again = command.attempts(requests[:3])
    assert [attempt.outcome.already_done for attempt in again.values() if attempt.outcome] == [True] * 3
    assert command.submissions() == {submission}


def test_several_runs_in_a_job(cluster: SlurmCluster, command: Command, tmp_path: Path) -> None:
    found = command.attempts([*seeds(0, 1, 2), *(replace(one, split=1) for one in seeds(0))], runs_per_job="3")
    assert sorted(found) == [0, 1, 2, 3]
    assert len(command.jobs()) == 2
    check_scores(list(found.values()), command.home, tmp_path / "alone")


def test_a_job_that_is_cancelled_and_the_same_command_again(cluster: SlurmCluster, command: Command) -> None:
    long = replace(TINY, settings=LONG)
    found = command.attempts([long], lambda: cluster.run("scancel", *command.jobs()))
    (job,) = command.jobs()
    words = str(found[0].error)
    assert words.startswith(f"its SLURM job {job} was cancelled; its log is ")
    assert Path(words.split("its log is ")[1].split(";")[0]).is_file()
    assert command.results.checkpoint(plan(long, command.home).run_id).exists()
    assert resumed(command.attempts([long])[0]) == 1
    assert len(list(run_folders(command.results.runs))) == 1


def test_jobs_that_have_to_make_way_go_on_later(cluster: SlurmCluster, command: Command, tmp_path: Path) -> None:
    found = command.attempts([replace(one, settings=LONG) for one in seeds(0, 1)], lambda: urgent(cluster))
    assert [resumed(found[number]) for number in (0, 1)] == [1, 1]
    assert len(list(run_folders(command.results.runs))) == 2
    check_scores([found[1]], command.home, tmp_path / "alone")


def test_a_job_that_has_to_make_way_while_it_starts(cluster: SlurmCluster, command: Command) -> None:
    def make_way() -> None:
        cluster.wait(lambda: "RUNNING" in cluster.run("squeue", "--noheader", "--format=%T"), "a job runs")
        urgent(cluster)

    thread = threading.Thread(target=make_way)
    thread.start()
    found = command.attempts([TINY])
    thread.join()
    # Its process had no time to take the signal: SLURM starts it again, or, when it waits longer, finds it ended well.
    assert len(command.jobs()) == 1
    assert found[0].outcome is not None, found[0].error


def test_a_run_that_takes_longer_than_a_job(cluster: SlurmCluster, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "SIGNAL_SECONDS", 60)
    found = command.attempts([replace(TINY, settings={"epochs": "12000"})], sbatch="time=2")
    times = resumed(found[0])  # on a busy machine it takes more jobs
    assert isinstance(times, int)
    assert times >= 1


DRIVER = """
import sys
from pathlib import Path
from adbench_harness import registry
from adbench_harness.executors.driving import Driver
from adbench_harness.home import Home, Results
from adbench_harness.plan import RunRequest
from adbench_harness.runner import Conditions

def heard(number, phase, done, total):
    if phase == "both":
        print(number, file=sys.__stdout__, flush=True)

plugin = registry.executor("slurm")
requests = [
    RunRequest("tiny-autoencoder", "tiny-discs", "tiny-protocol", seed=seed, device="cpu", settings={"epochs": sys.argv[3]})
    for seed in (0, 1)
]
driver = Driver(plugin, plugin.spec.options.parse({"partition": "normal", "walltime": "10m"}))
list(driver.attempts(requests, Conditions(Home(Path(sys.argv[1])), Results(Path(sys.argv[2]))), heard))
"""


def test_a_command_that_is_killed_and_given_again_finds_its_jobs(cluster: SlurmCluster, command: Command, tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    words = [sys.executable, str(script), str(command.home.root), str(command.results.root), LONG["epochs"]]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline().strip() in ("0", "1")
        first.kill()
    assert first.returncode == -signal.SIGKILL
    before, jobs = command.submissions(), command.jobs()
    assert len(jobs) == 2
    found = command.attempts([replace(one, settings=LONG) for one in seeds(0, 1)])
    assert [resumed(found[number]) for number in (0, 1)] == [0, 0]
    assert command.submissions() == before
    assert len(list(run_folders(command.results.runs))) == 2


@contextmanager
def lost_node(cluster: SlurmCluster) -> Iterator[Callable[[], None]]:
    """Kills the node of the only job; in the end it is there again."""
    lost: list[str] = []

    def kill() -> None:
        lost.append(cluster.run("squeue", "--noheader", "--states=RUNNING", "--format=%N"))
        cluster.kill_node(lost[0])

    try:
        yield kill
    finally:
        for name in lost:
            cluster.start_node(name)
        cluster.wait_for_nodes(*NODES)


def test_a_run_whose_node_is_lost_is_made_on_the_other(cluster: SlurmCluster, command: Command) -> None:
    with lost_node(cluster) as kill:
        found = command.attempts([replace(TINY, settings=LONG)], kill)
        (job,) = command.jobs()
        assert "Restarts=1" in cluster.run("scontrol", "show", "job", job)
    assert found[0].outcome is not None
    assert len(list(run_folders(command.results.runs))) == 1


def test_a_stop_by_the_user_keeps_checkpoints_and_leaves_no_job(cluster: SlurmCluster, command: Command) -> None:
    requests = [replace(one, settings=LONG) for one in seeds(0, 1, 2, 3)]
    with pytest.raises(InterruptedRunError, match="the same command goes on with what is left"):
        command.attempts(requests, command.stop, jobs=2)
    checkpoints = [command.results.checkpoint(plan(one, command.home).run_id).exists() for one in requests]
    assert sum(checkpoints) == 2
    assert not list(run_folders(command.results.runs))
    assert cluster.run("squeue", "--noheader") == ""


def told_to_make(make: Make, results: Results) -> driving.Command:
    """What the executor is told of a command, with something in place of runs."""
    return driving.Command("cpu", None, results.executors / "slurm", lambda: False, lambda number, phase, done, total: None, make)


def test_a_run_whose_process_ends_at_its_time_limit(cluster: SlurmCluster, results: Results) -> None:
    def make(content: bytes, tell: Tell, stop: Callable[[], bool]) -> bytes:
        if content == b"hangs":
            os._exit(124)  # as ``time_limit.within`` does
        return content

    tasks = [Task(number, "", content) for number, content in enumerate((b"before", b"hangs", b"after"))]
    options = slurm.SlurmOptions.parse({**OPTIONS, "runs_per_job": "3"})
    before, over, after = slurm.execute(tasks, options, told_to_make(make, results))
    assert before.outcome == b"before"
    assert isinstance(over.error, TimeLimitError)
    assert "it was not begun: its SLURM job " in str(after.error)
    assert "(--time-limit) of a run before it; its log is " in str(after.error)


def test_a_command_that_wants_no_more_leaves_no_job(cluster: SlurmCluster, results: Results) -> None:
    def make(content: bytes, tell: Tell, stop: Callable[[], bool]) -> bytes:
        while content == b"long" and not stop():
            time.sleep(0.1)
        return content

    tasks = [Task(number, "", content) for number, content in enumerate((b"short", b"long"))]
    endings = slurm.execute(tasks, slurm.SlurmOptions.parse(OPTIONS), told_to_make(make, results))
    assert isinstance(endings, Generator)
    assert next(endings).outcome == b"short"
    endings.close()
    cluster.wait(lambda: cluster.run("squeue", "--noheader") == "", "no job is left")
