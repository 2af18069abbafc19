from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adbench_harness import registry
from adbench_harness.api import Ended, Execution, ExecutorSpec, InterruptedRunError, Options, PluginError, Task, TrainingError
from adbench_harness.executors import ordering
from adbench_harness.executors.attempts import Attempt
from adbench_harness.executors.driving import Driver
from adbench_harness.home import Home, Results
from adbench_harness.locking import claimed
from adbench_harness.plan import plan
from adbench_harness.result import find_run, run_folders
from adbench_harness.runner import Conditions

from .conftest import TINY, check_scores, driver, seeds


def made_by(execute: Any) -> Driver:
    """A driver of an executor that does as it likes."""
    source = registry.find("executor", "local")
    return Driver(registry.Plugin(source, ExecutorSpec("local", "", Options, execute), ordering), Options())


def test_what_an_executor_is_told_and_what_comes_back(tiny: Path, home: Home, results: Results, tmp_path: Path) -> None:
    heard: list[tuple[int, str]] = []
    conditions = Conditions(home, results)
    missing = replace(TINY, dataset="head-ct")
    backwards = driver("tiny-queue", backwards="true")
    found = list(backwards.attempts([*seeds(0, 1), missing], conditions, lambda number, phase, *_: heard.append((number, phase))))
    assert [number for number, _ in found] == [2, 1, 0]
    assert [attempt.request.seed for _, attempt in found] == [0, 1, 0]
    assert "adbench datasets import head-ct" in str(found[0][1].error)
    assert [number for number, phase in heard if not phase] == [2, 1, 0]
    check_scores([attempt for _, attempt in found[1:]], home, tmp_path / "alone")
    assert all(attempt.evaluated is not None for _, attempt in found[1:])
    again = [attempt for _, attempt in backwards.attempts(seeds(0, 1), conditions)]
    assert [attempt.outcome.already_done for attempt in again if attempt.outcome] == [True, True]


def test_an_executor_is_not_asked_for_what_is_done(tiny: Path, home: Home, results: Results) -> None:
    conditions = Conditions(home, results)
    assert len(list(driver("tiny-queue").attempts(seeds(0, 1), conditions))) == 2
    asked: list[int] = []

    def refuses(tasks: Sequence[Task], options: Options, execution: Execution) -> Iterator[Ended]:
        asked.extend(task.number for task in tasks)
        yield from (Ended(task, None) for task in tasks)

    found = dict(made_by(refuses).attempts(seeds(1, 2, 0), conditions))
    assert asked == [1]
    assert [found[number].outcome is not None for number in (0, 1, 2)] == [True, False, True]


def test_a_run_of_another_command_is_waited_for_at_the_end(tiny: Path, home: Home, results: Results) -> None:
    conditions = Conditions(home, results)
    other = claimed(plan(TINY, home).run_id, results)
    other.__enter__()
    found: list[int] = []
    for number, attempt in driver("tiny-queue").attempts(seeds(0, 1, 2), conditions):
        assert attempt.outcome is not None
        found.append(number)
        if len(found) == 2:
            other.__exit__(None, None, None)
    assert found == [1, 2, 0]


def test_a_stop_while_waiting_for_another_command(tiny: Path, home: Home, results: Results) -> None:
    waited = [0]

    def stop() -> bool:
        waited[0] += 1
        return waited[0] > 3

    run_id = plan(TINY, home).run_id
    with claimed(run_id, results), pytest.raises(InterruptedRunError, match=f"stopped while another process made run {run_id}"):
        list(driver("tiny-queue").attempts([TINY], Conditions(home, results, stop=stop)))


class OfPluginError(TrainingError):
    """An error that can't be made again from its words."""

    def __init__(self, phase: str, epoch: int) -> None:
        super().__init__(f"{phase} {epoch} went wrong")


def test_an_error_of_a_plugin_s_own_kind_comes_back(
    tiny: Path, home: Home, results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*given: Any) -> Iterator[Any]:
        yield Attempt(TINY, None, OfPluginError("both", 3))

    monkeypatch.setattr(ordering, "attempts_of", fails)
    ((_, attempt),) = driver("tiny-queue").attempts([TINY], Conditions(home, results))
    assert type(attempt.error) is TrainingError
    assert str(attempt.error) == "both 3 went wrong"


@pytest.mark.parametrize("outcome", [b"", b"\x80\x04garbage", pickle.dumps([])[:-3]])
def test_an_outcome_that_cannot_be_read_fails_its_run_alone(tiny: Path, home: Home, results: Results, outcome: bytes) -> None:
    def answers(tasks: Sequence[Task], options: Options, execution: Execution) -> Iterator[Ended]:
        for task in tasks:
            yield Ended(task, outcome if task.number == 0 else ordering.make(task.content, lambda *_: None, lambda: False))

    found = dict(made_by(answers).attempts(seeds(0, 1), Conditions(home, results)))
    assert "what came of it can't be read" in str(found[0].error)
    assert found[1].outcome is not None


def test_a_run_that_is_stopped_where_the_results_are_not_seen_says_that_it_begins_anew(
    tiny: Path, home: Home, results: Results
) -> None:
    content = order(home, results, sign="of-another-folder.sign")
    results.executors.mkdir(parents=True)
    made: ordering.Made = pickle.loads(ordering.make(content, lambda *_: None, lambda: True))
    assert str(made.interrupted).endswith("does not see the results folder, so the run begins anew")
    assert "goes on" not in str(made.interrupted)


def test_an_executor_that_breaks_is_named(tiny: Path, home: Home, results: Results) -> None:
    def raises(tasks: Sequence[Task], options: Options, execution: Execution) -> Iterator[Ended]:
        yield from ()
        raise ValueError("no such place")

    with pytest.raises(PluginError, match=r"executor adbench-harness:local failed to carry out runs: ValueError: no such place"):
        list(made_by(raises).attempts([TINY], Conditions(home, results)))


def test_an_executor_that_loses_runs_without_a_word_is_named(tiny: Path, home: Home, results: Results) -> None:
    with pytest.raises(PluginError, match=r"executor adbench-harness:local gave back 0 of 1 runs"):
        list(made_by(lambda tasks, options, execution: iter(())).attempts([TINY], Conditions(home, results)))


def test_an_executor_that_stands_alone_is_told_by_its_options() -> None:
    assert driver("local").script([TINY], Conditions(Home(Path()), Results(Path()))) is None


def order(home: Home, results: Results, **changed: Any) -> bytes:
    return ordering.Order.of(TINY, Conditions(home, results), None).model_copy(update=changed).to_bytes()


def carried_out(content: bytes) -> ordering.Made:
    made: ordering.Made = pickle.loads(ordering.make(content, lambda phase, done, total: None, lambda: False))
    return made


def test_another_adbench_is_refused_and_named(tiny: Path, home: Home, results: Results) -> None:
    (attempt,) = carried_out(order(home, results, adbench="0.0.9")).attempts
    assert isinstance(attempt.error, PluginError)
    assert "and the command was given to 0.0.9; install the same there: pip install adbench-harness==0.0.9" in str(attempt.error)


@pytest.mark.parametrize(
    "changed", [{"version": "1.2.2"}, {"revision": "7"}, {"distribution": "adbench-other"}], ids=lambda c: next(iter(c))
)
def test_another_version_of_a_plugin_is_refused_and_named(
    tiny: Path, home: Home, results: Results, changed: dict[str, str]
) -> None:
    plugins = ordering.plugins_of(TINY)
    assert set(plugins) == {"model", "dataset", "protocol"}
    plugins["model"] = plugins["model"].model_copy(update=changed)
    (attempt,) = carried_out(order(home, results, plugins=plugins)).attempts
    assert isinstance(attempt.error, PluginError)
    words = str(attempt.error)
    assert "has model tiny-autoencoder of adbench-tiny 1.2.3" in words
    assert "install the same there" in words
    assert next(iter(changed.values())) in words
    assert not list(run_folders(results.runs))


def test_where_the_results_folder_is_not_seen_the_run_comes_back_with_the_answer(
    tiny: Path, home: Home, results: Results, tmp_path: Path
) -> None:
    elsewhere = Results(tmp_path / "never-made")
    content = order(home, elsewhere, sign="of-another-folder.sign")
    outcome = ordering.make(content, lambda phase, done, total: None, lambda: False)
    assert not elsewhere.root.exists()
    (attempt,) = ordering.taken(outcome, results).attempts
    assert attempt.outcome is not None
    assert attempt.outcome.folder == results.runs / attempt.outcome.manifest.run_id
    assert find_run(results.runs, attempt.outcome.manifest.run_id) == attempt.outcome.manifest
    check_scores([attempt], home, tmp_path / "alone")


def test_whoever_sees_the_folder_finds_its_sign(results: Results, tmp_path: Path) -> None:
    name = ordering.sign(results)
    assert ordering.sign(results) == name
    assert (results.executors / name).exists()
    assert ordering.sign(Results(tmp_path / "other")) != name
