from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adbench_harness import time_limit
from adbench_harness.api import InterruptedRunError, TimeLimitError
from adbench_harness.home import Home, Results
from adbench_harness.plan import RunRequest, plan
from adbench_harness.runner import Conditions, run_one
from adbench_harness.time_limit import Stop, within

TINY = RunRequest("tiny-autoencoder", "tiny-discs", "tiny-protocol", device="cpu")
LONG = 60.0


def test_without_a_limit_only_the_user_stops() -> None:
    asked = [False]
    with within(None, lambda: asked[0]) as stop:
        assert not stop()
        asked[0] = True
        assert stop()


def test_work_that_asks_is_stopped_and_says_where_it_was() -> None:
    with pytest.raises(TimeLimitError, match=r"the time limit of 0\.01 s is over \(--time-limit\): stopped in step 3"):
        _work(0.01, lambda: False)


def test_a_user_who_stops_is_not_told_of_a_limit() -> None:
    with pytest.raises(InterruptedRunError):
        _work(LONG, lambda: True)


def _work(seconds: float, stop: Stop) -> None:
    with within(seconds, stop) as asked:
        while not asked():
            pass
        raise InterruptedRunError("stopped in step 3")


def test_work_that_does_not_ask_is_interrupted_though_it_catches_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limit, "GRACE", 0.05)
    before = signal.getsignal(signal.SIGALRM)

    def stubborn() -> None:
        for _ in range(2):
            try:
                time.sleep(LONG)
            except Exception:
                continue

    where = r"did not stop when it was asked to: it was in stubborn \(.*test_time_limit\.py:\d+\)"
    with pytest.raises(TimeLimitError, match=where), within(0.01, lambda: False):
        stubborn()
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_work_in_time_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limit, "GRACE", 0.0)
    with within(0.2, lambda: False) as stop:
        assert not stop()
    time.sleep(0.3)


def test_what_cannot_be_interrupted_ends_with_its_process_and_a_message() -> None:
    code = """
import signal
from adbench_harness import time_limit
time_limit.GRACE = 0.1
with time_limit.within(0.1, lambda: False):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})  # as compiled code that does not come back
    import time
    time.sleep(60)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == TimeLimitError.exit_code
    assert done.stderr == (
        "adbench: error: the time limit of 0.1 s is over (--time-limit), and it can't be interrupted, so its process ends; the same "
        "command goes on\n"
    )


def test_a_run_at_its_limit_keeps_its_checkpoint_and_goes_on(
    tiny: Path, home: Home, results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, clock = plan(TINY, home), [0.0]
    monkeypatch.setattr(time_limit, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def slow(moment: Any) -> None:
        if moment.phase == "both" and moment.done == 2:
            clock[0] = 2 * LONG

    with pytest.raises(TimeLimitError, match="phase both, epoch 3 of 4, step 1 of 2; the same command goes on from there"):
        run_one(made, Conditions(home, results, listen=slow, time_limit=LONG))
    assert results.checkpoint(made.run_id).exists()
    assert run_one(made, Conditions(home, results)).manifest.training["resumed"] == 1


HANGING = """
while True:
    try:
        time.sleep(60)
    except Exception:
        pass
"""


def test_a_detector_that_never_comes_back_is_told_of(
    tiny: Path, home: Home, results: Results, fake_detector: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_detector("hanging", score=HANGING)
    monkeypatch.setattr(time_limit, "GRACE", 0.2)
    made = plan(RunRequest("hanging", "tiny-discs", "tiny-protocol", device="cpu"), home)
    with pytest.raises(TimeLimitError, match=r"it was in score \(.*hanging\.py:\d+\)"):
        run_one(made, Conditions(home, results, time_limit=2.0))
    assert not list(results.runs.iterdir())
