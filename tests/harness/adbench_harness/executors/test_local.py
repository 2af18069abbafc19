from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from adbench_harness.api import InterruptedRunError, OptionError, Task, TimeLimitError
from adbench_harness.executors.driving import Command
from adbench_harness.executors.local import Pool, places
from adbench_harness.executors.ordering import Order, taken
from adbench_harness.home import Home, Results
from adbench_harness.plan import plan
from adbench_harness.result import run_folders
from adbench_harness.runner import Conditions

from .conftest import TINY, check_scores, driver, seeds

DYING = """
if self.way == "kill": os.kill(os.getpid(), signal.SIGKILL)
os._exit(int(self.way))
"""


def test_one_that_dies_fails_its_run_alone(
    found_by_processes: Callable[..., None], fake_detector: Callable[..., None], home: Home, results: Results, tmp_path: Path
) -> None:
    fake_detector("dying", fit=DYING)
    found_by_processes(tmp_path / "fake-site")
    dying = [replace(TINY, model="dying", settings={"way": way}) for way in ("kill", "3", str(TimeLimitError.exit_code))]
    missing = replace(TINY, dataset="head-ct")
    heard: list[tuple[int, str]] = []
    requests = [TINY, *dying, missing, replace(TINY, seed=1)]
    made = list(
        driver("local", 2).attempts(requests, Conditions(home, results), lambda number, phase, *_: heard.append((number, phase)))
    )
    assert sorted(number for number, _ in made) == [0, 1, 2, 3, 4, 5]
    failed = {number: str(attempt.error) for number, attempt in made if attempt.error is not None}
    assert sorted(failed) == [1, 2, 3, 4]
    assert failed[1] == (
        "its process was ended by SIGKILL, as a system that is out of memory does; the same command goes on from its checkpoint, if "
        "there is one"
    )
    assert failed[2].startswith("its process ended by itself, with status 3; the same command")
    assert failed[3].startswith("the time limit is over (--time-limit), and its process had to be ended")
    assert "adbench datasets import head-ct" in failed[4]
    assert Counter(number for number, phase in heard if not phase) == Counter(range(6))
    assert (0, "both") in heard
    check_scores([attempt for number, attempt in made if number in (0, 5)], home, tmp_path / "alone")


def test_a_process_that_is_ended_between_two_runs_is_replaced(
    found_by_processes: Callable[..., None], home: Home, results: Results
) -> None:
    conditions = Conditions(home, results)
    command = Command("cpu", 1, results.executors, lambda: False, lambda number, phase, done, total: None)
    pool = Pool(command, [{}])
    endings = pool.execute([Task(n, "", Order.of(one, conditions, None).to_bytes()) for n, one in enumerate(seeds(0, 1, 2))])
    first = next(endings)
    (worker,) = pool._workers.values()
    worker.process.kill()
    worker.process.join()
    rest = list(endings)
    assert [ended.task.number for ended in (first, *rest)] == [0, 1, 2]
    for ended in (first, *rest):
        assert ended.outcome is not None
        (attempt,) = taken(ended.outcome, results).attempts
        assert attempt.outcome is not None


def test_a_stop_by_the_user_keeps_a_checkpoint_and_gives_out_nothing_more(
    found_by_processes: Callable[..., None], home: Home, results: Results
) -> None:
    asked = [False]

    def heard(number: int, phase: str, done: int, total: int) -> None:
        asked[0] = asked[0] or phase == "both"

    slow = replace(TINY, settings={"epochs": "100000"})
    conditions = Conditions(home, results, stop=lambda: asked[0])
    with pytest.raises(
        InterruptedRunError, match=r"stopped in phase both, epoch \d+ of 100000, .* the same command goes on from there"
    ):
        list(driver("local", 1).attempts([slow, replace(slow, seed=1)], conditions, heard))
    assert results.checkpoint(plan(slow, home).run_id).exists()
    assert not list(run_folders(results.runs))


DRIVER = """
import os, sys
from multiprocessing import active_children
from pathlib import Path
from adbench_harness import registry
from adbench_harness.executors.driving import Driver
from adbench_harness.home import Home, Results
from adbench_harness.plan import RunRequest
from adbench_harness.runner import Conditions

def heard(number, phase, done, total):
    if phase == "both":
        print(os.getpid(), *(process.pid for process in active_children()), file=sys.__stdout__, flush=True)

if __name__ == "__main__":
    request = RunRequest("tiny-autoencoder", "tiny-discs", "tiny-protocol", device="cpu", settings={"epochs": "100000"})
    plugin = registry.executor("local")
    conditions = Conditions(Home(Path(sys.argv[1])), Results(Path(sys.argv[2])))
    list(Driver(plugin, plugin.spec.options(), 1).attempts([request], conditions, heard))
"""


def test_no_process_outlives_the_one_that_gave_it_work(
    found_by_processes: Callable[..., None], home: Home, results: Results, tmp_path: Path
) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    with subprocess.Popen([sys.executable, script, home.root, results.root], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        _, worker = map(int, driver.stdout.readline().split())
        driver.kill()
    assert driver.returncode == -signal.SIGKILL
    for _ in range(600):
        if not Path(f"/proc/{worker}").exists() or " Z " in Path(f"/proc/{worker}/stat").read_text():
            break
        time.sleep(0.1)
    else:
        pytest.fail(f"process {worker} goes on")


def test_a_process_a_gpu_or_as_many_as_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert places("cpu", None) == [{}]
    assert places("cpu", 3) == [{"OMP_NUM_THREADS": "2"}] * 3
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert places("cpu", 2) == [{}, {}]
    with pytest.raises(OptionError):
        places("cuda:99", 2)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [place["CUDA_VISIBLE_DEVICES"] for place in places("auto", None)] == ["0", "1"]
    assert [place["CUDA_VISIBLE_DEVICES"] for place in places("cuda", 3)] == ["0", "1", "0"]
    assert places("cuda:1", 2) == [{}, {}]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-7")
    assert [place["CUDA_VISIBLE_DEVICES"] for place in places("auto", None)] == ["4", "GPU-7"]
