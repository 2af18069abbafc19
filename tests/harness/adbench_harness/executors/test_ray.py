from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from filelock import Timeout

from adbench_harness.api import InterruptedRunError, OptionError, PluginError
from adbench_harness.executors import driving
from adbench_harness.executors.attempts import Attempt
from adbench_harness.home import Home, Results
from adbench_harness.locking import held
from adbench_harness.plan import RunRequest, plan
from adbench_harness.result import read_manifest, run_folders
from adbench_harness.runner import Conditions

from .conftest import TINY, check_scores, driver, seeds

ray = pytest.importorskip("ray", reason="needs pip install 'adbench-harness[ray]'")

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own

LONG = {"epochs": "500"}
"""Some seconds of training."""


@dataclass
class Nodes:
    """Machines, as far as Ray can tell; that of the command makes no runs."""

    cluster: Any
    machines: list[Any]

    def replace_all(self, *sites: Path) -> None:
        """One machine in place of the others, on which other distributions are installed."""
        self.cluster.add_node(num_cpus=1, env_vars={"PYTHONPATH": ":".join(map(str, sites))})
        for machine in self.machines:
            self.cluster.remove_node(machine)

    def kill_one(self) -> None:
        """With all that runs there."""
        self.cluster.remove_node(self.machines[0], allow_graceful=False)


@pytest.fixture
def nodes(found_by_processes: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    """Two machines of one core."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        machines = [cluster.add_node(num_cpus=1) for _ in range(2)]
        cluster.wait_for_nodes()
        yield Nodes(cluster, machines)
    finally:
        cluster.shutdown()


def made(
    nodes: Nodes, requests: list[RunRequest], conditions: Conditions, heard: Any = lambda *_: None, **words: str
) -> dict[int, Attempt]:
    return dict(driver("ray", None, address=nodes.cluster.address, **words).attempts(requests, conditions, heard))


@contextmanager
def as_soon_as(seen: Callable[[], bool], act: Callable[[], None]) -> Iterator[None]:
    """Do something beside, once something is seen."""

    def watch() -> None:
        while not ended.wait(0.1):
            if seen():
                act()
                return

    ended = threading.Event()
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.slow
def test_runs_on_two_machines_and_a_second_time_nothing(nodes: Nodes, home: Home, results: Results, tmp_path: Path) -> None:
    heard: list[tuple[int, str]] = []
    conditions = Conditions(home, results)
    requests = [*seeds(0, 1, 2), replace(TINY, settings=LONG), replace(TINY, dataset="head-ct")]
    found = made(nodes, requests, conditions, lambda number, phase, *_: heard.append((number, phase)))
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert "adbench datasets import head-ct" in str(found[4].error)
    assert (3, "both") in heard
    check_scores([found[number] for number in range(4)], home, tmp_path / "alone")
    again = made(nodes, requests[:4], conditions)
    assert [again[n].outcome.already_done for n in range(4)] == [True] * 4  # type: ignore[union-attr]


@pytest.mark.slow
def test_a_machine_that_is_killed_costs_no_run(nodes: Nodes, home: Home, results: Results, tmp_path: Path) -> None:
    requests = [replace(one, settings=LONG) for one in seeds(0, 1, 2, 3)]
    training = set[int]()
    with as_soon_as(lambda: len(training) == 2, nodes.kill_one):
        found = made(
            nodes,
            requests,
            Conditions(home, results),
            lambda number, phase, *_: training.add(number) if phase == "both" else None,
        )
    assert sorted(found) == [0, 1, 2, 3]
    assert len(list(run_folders(results.runs))) == 4
    check_scores(list(found.values()), home, tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.parametrize("new", [False, True], ids=["a cluster that is there", "a new one"])
def test_a_command_that_is_killed_and_given_again(nodes: Nodes, home: Home, results: Results, tmp_path: Path, new: bool) -> None:
    requests = [replace(one, settings=LONG) for one in seeds(0, 1)]
    words = ["run", "-m", TINY.model, "-d", TINY.dataset, "--protocol", TINY.protocol, "--seed", "0,1", "--set", "epochs=500"]
    place = ["--device", "cpu", "--home", str(home.root), "--results", str(results.root), "--executor", "ray"]
    address = [] if new else ["--address", nodes.cluster.address]
    main = "from adbench_harness.cli import main; main()"
    with (tmp_path / "told").open("w") as told:
        command = subprocess.Popen([sys.executable, "-c", main, *words, *place, *address], stdout=told, stderr=told)
    locks = [results.lock(plan(one, home).run_id) for one in requests]
    _wait(lambda: command.poll() is not None or all(map(_is_claimed, locks)))
    assert command.poll() is None, (tmp_path / "told").read_text()
    command.kill()
    command.wait()
    _wait(lambda: not any(map(_is_claimed, locks)))  # its runs end with it
    finished = len(list(run_folders(results.runs)))
    found = made(nodes, requests, Conditions(home, results))
    assert sum(attempt.outcome.already_done for attempt in found.values() if attempt.outcome) == finished
    assert len(list(run_folders(results.runs))) == 2
    check_scores(list(found.values()), home, tmp_path / "alone")


def _is_claimed(lock: Path) -> bool:
    if not lock.exists():
        return False
    try:
        with held(lock):
            return False
    except Timeout:
        return True


def _wait(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not true():
        assert time.monotonic() < end, "it has not come"
        time.sleep(0.1)


@pytest.mark.slow
def test_a_process_that_is_killed_is_begun_again_so_often(
    nodes: Nodes,
    fake_detector: Callable[..., None],
    tiny: Path,
    home: Home,
    results: Results,
    tmp_path: Path,
) -> None:
    dying = tmp_path / "died"
    fake_detector("dying", fit=f"open({str(dying)!r}, 'a').write('x'); os.kill(os.getpid(), signal.SIGKILL)")
    nodes.replace_all(tiny, tmp_path / "fake-site")
    found = made(nodes, [replace(TINY, model="dying"), TINY], Conditions(home, results), retries="2")
    assert "it was lost with its process or machine, each time that it was tried (--retries)" in str(found[0].error)
    assert dying.read_text() == "xxx"
    assert found[1].outcome is not None


@pytest.mark.slow
def test_a_machine_with_another_version_of_a_plugin_is_refused_and_named(
    nodes: Nodes, tiny: Path, home: Home, results: Results, tmp_path: Path
) -> None:
    other = shutil.copytree(tiny, tmp_path / "other")
    (info,) = other.glob("*.dist-info")
    text = (info / "METADATA").read_text()
    (info / "METADATA").write_text(text.replace("Version: 1.2.3", "Version: 1.2.4"))
    nodes.replace_all(other)
    found = made(nodes, [TINY], Conditions(home, results))
    assert isinstance(found[0].error, PluginError)
    assert "of adbench-tiny 1.2.4, revision 1, and the command was given with that of adbench-tiny 1.2.3" in str(found[0].error)
    assert not list(run_folders(results.runs))


@pytest.mark.slow
def test_a_stop_by_the_user_keeps_checkpoints_and_begins_nothing_more(nodes: Nodes, home: Home, results: Results) -> None:
    asked = set[int]()
    requests = [replace(one, settings={"epochs": "100000"}) for one in seeds(0, 1, 2, 3)]
    with pytest.raises(InterruptedRunError, match="the same command goes on with what is left"):
        made(
            nodes,
            requests,
            Conditions(home, results, stop=lambda: len(asked) == 2),
            lambda number, phase, *_: asked.add(number) if phase == "both" else None,
        )
    checkpoints = [results.checkpoint(plan(one, home).run_id).exists() for one in requests]
    assert sum(checkpoints) == 2
    assert not list(run_folders(results.runs))


@pytest.mark.slow
def test_runs_come_back_as_bytes_from_machines_that_lack_the_folder(
    nodes: Nodes, home: Home, results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driving, "sign", lambda results: "of-another-folder.sign")
    found = made(nodes, seeds(0, 1), Conditions(home, results))
    for attempt in found.values():
        assert attempt.outcome is not None
        assert read_manifest(attempt.outcome.folder) == attempt.outcome.manifest
    assert sorted(path.name for path in results.root.iterdir()) == ["runs"]
    check_scores(list(found.values()), home, tmp_path / "alone")


@pytest.mark.slow
def test_what_no_machine_has_is_said(found_by_processes: Callable[..., None], home: Home, results: Results) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(OptionError, match=r"a run asks for 1 cores and 3 GPUs \(--cpus, --gpus\), and no machine of the cluster"):
        list(driver("ray", gpus="3").attempts([TINY], Conditions(home, results)))
    assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(OptionError, match=r"the Ray cluster at 127.0.0.1:1 can't be joined \(.*; start one: ray start --head"):
        list(driver("ray", address="127.0.0.1:1").attempts([TINY], Conditions(home, results)))


@pytest.mark.parametrize(("word", "value"), [("gpus", "-1"), ("cpus", "0"), ("retries", "many"), ("partition", "gpu")])
def test_options_are_looked_at(word: str, value: str) -> None:
    with pytest.raises(OptionError, match=word):
        driver("ray", None, **{word: value})


def test_without_ray_it_is_said_how_to_have_it(tiny: Path, home: Home, results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adbench_harness.executors.ray.find_spec", lambda name: None)
    with pytest.raises(PluginError, match=r"Ray is not installed here; type: pip install 'adbench-harness\[ray\]'"):
        list(driver("ray").attempts([TINY], Conditions(home, results)))


def test_how_far_a_run_is_goes_to_the_command_beside_it() -> None:
    from adbench_harness.executors.ray import _Teller

    teller = _Teller()
    assert teller.tell(3, ("both", 1, 9)) is False
    assert teller.tell(3, ("both", 2, 9)) is False
    assert teller.news() == {3: ("both", 2, 9)}
    assert teller.news() == {}
    teller.stop()
    assert teller.tell(4, ("both", 1, 9)) is True
    assert teller.begun() == {3, 4}
