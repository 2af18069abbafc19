from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adbench_harness.api import InterruptedRunError, OptionError, TimeLimitError
from adbench_harness.executors.processes import Pool, devices
from adbench_harness.home import Home, Results
from adbench_harness.plan import RunRequest, plan
from adbench_harness.result import read_scores, run_folders
from adbench_harness.runner import Conditions, run_one
from adbench_harness.training import Moment

TINY = RunRequest("tiny-autoencoder", "tiny-discs", "tiny-protocol", device="cpu")

DYING = """
if self.way == "kill": os.kill(os.getpid(), signal.SIGKILL)
os._exit(int(self.way))
"""


@pytest.fixture
def found_by_processes(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installed distributions that a process which starts now finds as this one does."""

    def tell(*sites: Path) -> None:
        monkeypatch.setenv("PYTHONPATH", ":".join(map(str, (tiny, *sites))))

    tell()
    return tell


def test_one_that_dies_fails_its_run_alone(
    found_by_processes: Callable[..., None], fake_detector: Callable[..., None], home: Home, results: Results, tmp_path: Path
) -> None:
    fake_detector("dying", fit=DYING)
    found_by_processes(tmp_path / "fake-site")
    dying = [replace(TINY, model="dying", settings={"way": way}) for way in ("kill", "3", str(TimeLimitError.exit_code))]
    missing = replace(TINY, dataset="head-ct")
    heard: list[tuple[str, Moment | None]] = []
    pool = Pool(Conditions(home, results), ["cpu", "cpu"], lambda request, moment: heard.append((request.title, moment)))
    attempts = list(pool.execute([TINY, *dying, missing, replace(TINY, seed=1)]))
    done = {a.request.seed: a.outcome for a in attempts if a.outcome is not None}
    failed = {a.request.title: str(a.error) for a in attempts if a.error is not None}
    assert len(attempts) == 6
    assert sorted(done) == [0, 1]
    assert [len(words) for words in (done, failed)] == [2, 4]
    killed, ended, late = (failed[request.title] for request in dying)
    assert killed == (
        "its process was ended by SIGKILL, as a system that is out of memory does; the same command goes on from its checkpoint, if "
        "there is one"
    )
    assert ended.startswith("its process ended by itself, with status 3; the same command")
    assert late.startswith("the time limit is over (--time-limit), and its process had to be ended")
    assert "adbench datasets import head-ct" in failed[missing.title]
    begun = Counter(title for title, moment in heard if moment is None)
    assert set(begun.values()) == {1}
    assert any(moment is not None and moment.phase == "both" for _, moment in heard)
    alone = run_one(plan(TINY, home), Conditions(home, Results(tmp_path / "alone")))
    first = done[0]
    assert first is not None
    np.testing.assert_array_equal(read_scores(first.folder).score, read_scores(alone.folder).score)


def test_a_process_that_is_ended_between_two_runs_is_replaced(
    found_by_processes: Callable[..., None], home: Home, results: Results
) -> None:
    pool = Pool(Conditions(home, results), ["cpu"])
    attempts = pool.execute([TINY, replace(TINY, seed=1), replace(TINY, seed=2)])
    first = next(attempts)
    (worker,) = pool._workers.values()
    while worker.request is not None:  # until it has said that it waits
        list(pool._words(worker))
    worker.process.kill()
    worker.process.join()
    rest = list(attempts)
    assert [attempt.request.seed for attempt in (first, *rest)] == [0, 1, 2]
    assert all(attempt.outcome is not None for attempt in rest)


def test_a_stop_by_the_user_keeps_a_checkpoint_and_gives_out_nothing_more(
    found_by_processes: Callable[..., None], home: Home, results: Results
) -> None:
    asked = [False]

    def heard(request: RunRequest, moment: Moment | None) -> None:
        asked[0] = asked[0] or (moment is not None and moment.phase == "both")

    slow = replace(TINY, settings={"epochs": "100000"})
    pool = Pool(Conditions(home, results, stop=lambda: asked[0]), ["cpu"], heard)
    with pytest.raises(
        InterruptedRunError, match=r"stopped in phase both, epoch \d+ of 100000, .* the same command goes on from there"
    ):
        list(pool.execute([slow, replace(slow, seed=1)]))
    assert results.checkpoint(plan(slow, home).run_id).exists()
    assert not list(run_folders(results.runs))


DRIVER = """
import os, sys
from dataclasses import replace
from pathlib import Path
from adbench_harness.executors.processes import Pool
from adbench_harness.home import Home, Results
from adbench_harness.plan import RunRequest
from adbench_harness.runner import Conditions

def heard(request, moment):
    if moment is not None and moment.phase == "both":
        print(os.getpid(), *(worker.process.pid for worker in pool._workers.values()), flush=True)

if __name__ == "__main__":
    request = RunRequest("tiny-autoencoder", "tiny-discs", "tiny-protocol", device="cpu", settings={"epochs": "100000"})
    pool = Pool(Conditions(Home(Path(sys.argv[1])), Results(Path(sys.argv[2]))), ["cpu"], heard)
    list(pool.execute([request]))
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
    assert devices("cpu", None) == ["cpu"]
    assert devices("cpu", 3) == ["cpu"] * 3
    with pytest.raises(OptionError):
        devices("cuda:99", 2)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert devices("auto", None) == ["cuda:0", "cuda:1"]
    assert devices("cuda", 3) == ["cuda:0", "cuda:1", "cuda:0"]
    assert devices("cuda:1", 2) == ["cuda:1", "cuda:1"]
