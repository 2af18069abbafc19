from __future__ import annotations

import io
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from adbench_harness.api import AdbenchError, BusyRunError, TrainingError
from adbench_harness.cli import progress, running
from adbench_harness.cli.running import make_runs
from adbench_harness.executors import attempts
from adbench_harness.executors.attempts import Attempt
from adbench_harness.home import Home, Results
from adbench_harness.manifest import Manifest
from adbench_harness.plan import RunRequest
from adbench_harness.runner import Conditions, Outcome

REQUESTS = [RunRequest("pca", "a", "p", seed=seed) for seed in range(3)]
TRANSFERS = [replace(request, eval_dataset="b") for request in REQUESTS]


@pytest.fixture
def make(home: Home, results: Results) -> Callable[..., int]:
    """Makes runs; nothing is taken into the database, for none of them is there."""

    def made(requests: list[RunRequest], **also: Any) -> int:
        known: dict[str, Any] = {"fresh": False, "keep_weights": "newest", "quiet": True, "as_json": False}
        return make_runs(requests, home, results, **known, **also)

    return made


@pytest.fixture
def ended(make_manifest: Callable[..., Manifest], results: Results, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Attempt]:
    """An attempt, of a run that is stored nowhere."""
    monkeypatch.setattr(running, "_take_in", lambda attempt, intake: ())

    def end(request: RunRequest, error: AdbenchError | None = None) -> Attempt:
        outcome = Outcome(make_manifest("r"), results.runs / "r", already_done=False)
        return Attempt(request, None if error else outcome, error)

    return end


class Tensor:
    """Something large."""


def test_of_a_run_that_failed_nothing_is_held_while_the_next_is_made(
    make: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[weakref.ref[Tensor]] = []
    seen: list[bool] = []

    def train() -> None:
        tensor = Tensor()
        held.append(weakref.ref(tensor))
        raise RuntimeError("out of memory")

    def fail() -> None:
        tensor = Tensor()
        held.append(weakref.ref(tensor))
        try:
            train()
        except RuntimeError as error:
            raise TrainingError("no memory") from error

    def run_one(*_: object) -> Outcome:
        seen.extend(ref() is None for ref in held)
        fail()
        raise AssertionError

    monkeypatch.setattr(attempts, "plan", lambda request, *_: type("Plan", (), {"request": request}))
    monkeypatch.setattr(attempts, "run_one", run_one)
    assert make(REQUESTS) == TrainingError.exit_code
    assert seen == [True] * 6


class Queue:
    """Carries out requests like an executor: both attempts of a request come together, and the last request first."""

    def __init__(self, made: Callable[[RunRequest], Iterable[Attempt]]) -> None:
        self.made = made

    def attempts(self, requests: list[RunRequest], *_: object) -> Iterator[tuple[int, Attempt]]:
        for number in reversed(range(len(requests))):
            for attempt in self.made(requests[number]):
                yield number, attempt


@pytest.mark.parametrize("at_a_time", [False, True])
def test_a_test_on_another_dataset_is_no_request_of_its_own(
    make: Callable[..., int],
    ended: Callable[..., Attempt],
    at_a_time: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def made(request: RunRequest, *_: object) -> Iterator[Attempt]:
        yield ended(replace(request, eval_dataset=None))
        if request.eval_dataset is not None:
            yield ended(request, TrainingError("no") if request.seed == 1 else None)

    monkeypatch.setattr(attempts, "attempts_of", made)
    board = Console(file=io.StringIO(), force_terminal=True, width=120, height=12)
    monkeypatch.setattr(progress, "console", lambda stderr: board)
    advanced: list[int] = []
    monkeypatch.setattr(progress.MatrixProgress, "ended", lambda _, number: advanced.append(number))
    requests = [*TRANSFERS, REQUESTS[0]]
    status = make(requests, driver=Queue(made) if at_a_time else None)
    assert status == TrainingError.exit_code
    said = capsys.readouterr()
    lines = [line.split()[0] for line in said.out.splitlines()]
    assert lines == (
        ["1/4", "2/4", "2/4", "3/4", "3/4", "4/4", "4/4"] if at_a_time else ["1/4", "1/4", "2/4", "2/4", "3/4", "3/4", "4/4"]
    )
    assert advanced == ([3, 2, 1, 0] if at_a_time else [])
    assert "adbench: 1 of 4 runs failed:" in said.err
    assert make(requests, driver=Queue(made) if at_a_time else None, fail_fast=True) == TrainingError.exit_code
    tried = "1 of 3 runs failed, 1 was not tried" if at_a_time else "1 of 2 runs failed, 2 were not tried"
    assert f"adbench: {tried} (--fail-fast):" in capsys.readouterr().err


def test_runs_that_another_process_makes_count_once(
    make: Callable[..., int],
    ended: Callable[..., Attempt],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def made(request: RunRequest, conditions: Conditions, _: object) -> Iterator[Attempt]:
        if request.seed == 0 and not conditions.wait:  # the run itself
            yield ended(request, BusyRunError("busy"))
            return
        yield ended(replace(request, eval_dataset=None))
        if request.eval_dataset is not None:
            busy = request.seed == 1 and not conditions.wait
            yield ended(request, BusyRunError("busy") if busy else None)

    monkeypatch.setattr(attempts, "attempts_of", made)
    assert make([*TRANSFERS, REQUESTS[2]]) == 0
    lines = [" ".join(line.split(":")[0].split()[i] for i in (0, 8)) for line in capsys.readouterr().out.splitlines()]
    # seed 1 alone; 2 and its test; 2 that is asked for alone; then those that were busy, whole
    assert lines == ["1/4 1", "1/4 2", "1/4 2,", "2/4 2", "3/4 0", "3/4 0,", "4/4 1", "4/4 1,"]
