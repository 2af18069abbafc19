"""A command's runs through whichever executor: orders go out, and what comes back is stored here and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ..api import (
    AdbenchError,
    BusyRunError,
    DataError,
    Ended,
    ExecutorSpec,
    InterruptedRunError,
    Make,
    Options,
    PluginError,
    Task,
    TrainingError,
)
from ..data.listing import Listing
from ..plan import RunRequest, plan
from ..registry import Plugin, blamed
from ..result import find_run, run_folders
from ..runner import Conditions, Outcome
from . import ordering
from .attempts import Attempt
from .ordering import Order, sign, taken

Heard = Callable[[int, str, int, int], None]
"""Is told how far a run is, by its place among the requests: phase, done, in all; the phase is empty as it begins."""


@dataclass
class Command:
    """What an executor is told of the command; see ``api.Execution``."""

    device: str
    jobs: int | None
    folder: Path
    asked_to_stop: Callable[[], bool]
    show: Heard
    make: Make = ordering.make

    def stop(self) -> bool:
        """Whether the user has asked to stop."""
        return self.asked_to_stop()

    def say(self, words: str) -> None:
        """Tell the user something."""
        sys.stderr.write(f"adbench: {words}\n")
        sys.stderr.flush()

    def heard(self, task: Task, phase: str, done: int, total: int) -> None:
        """Show how far a task is."""
        self.show(task.number, phase, done, total)


@dataclass(frozen=True)
class Driver:
    """An executor, and what it is to be told."""

    executor: Plugin[ExecutorSpec]
    options: Options
    jobs: int | None = None

    def attempts(
        self, requests: Sequence[RunRequest], conditions: Conditions, heard: Heard = lambda number, phase, done, total: None
    ) -> Iterator[tuple[int, Attempt]]:
        """Make each run; attempts come as they are done, with the place of the request. One that fails does not stop the others, a stop by the user does.

        A run that another command makes is waited for, once all else is done.

        Raises:
            InterruptedRunError: if the user has asked to stop, once each run has saved a checkpoint.
            AdbenchError: if the executor can't carry out anything.
        """
        if not requests:
            return
        command = self._command(requests, conditions, heard)
        numbers, name = list(range(len(requests))), sign(conditions.results)
        for number, attempt in _done(requests, conditions):  # no process is started, and nothing queued, only to find it so
            numbers.remove(number)
            yield number, attempt
        for wait in (False, True):
            told = replace(conditions, wait=wait)
            busy: list[int] = []
            tasks = [_task(number, Order.of(requests[number], told, name)) for number in numbers]
            yield from self._made(tasks, requests, command, told, busy)
            numbers = busy

    def script(self, requests: Sequence[RunRequest], conditions: Conditions) -> str | None:
        """What the executor would hand to a scheduler; None if it hands nothing to one."""
        if self.executor.spec.script is None:
            return None
        tasks = [_task(number, Order.of(request, conditions, "")) for number, request in enumerate(requests)]
        command = self._command(requests, conditions, lambda number, phase, done, total: None)
        with self._blamed():
            return self.executor.spec.script(tasks, self.options, command)

    def _command(self, requests: Sequence[RunRequest], conditions: Conditions, heard: Heard) -> Command:
        folder = conditions.results.executors / self.executor.source.name
        return Command(requests[0].device, self.jobs, folder, conditions.stop, heard)

    def _made(
        self,
        tasks: Sequence[Task],
        requests: Sequence[RunRequest],
        command: Command,
        conditions: Conditions,
        busy: list[int],
    ) -> Iterator[tuple[int, Attempt]]:
        """Attempts of tasks; those of runs that another command makes are added to ``busy`` in place."""
        interrupted: list[InterruptedRunError] = []
        left = len(tasks)
        for ended in self._endings(tasks, command):
            left -= 1
            for attempt in _attempts(ended, requests[ended.task.number], conditions, interrupted):
                if isinstance(attempt.error, BusyRunError) and not conditions.wait:
                    busy.append(ended.task.number)
                else:
                    yield ended.task.number, attempt
        if interrupted or (left and conditions.stop()):
            raise (
                interrupted[0]
                if len(interrupted) == 1
                else InterruptedRunError("stopped; the same command goes on with what is left")
            )
        if left:
            raise PluginError(f"executor {self.executor.source.qualified} gave back {len(tasks) - left} of {len(tasks)} runs")

    def _endings(self, tasks: Sequence[Task], command: Command) -> Iterator[Ended]:
        if not tasks:
            return
        with self._blamed():
            endings = iter(self.executor.spec.execute(tasks, self.options, command))
        try:
            while True:
                with self._blamed():  # not while whoever asked works with what it got
                    ended = next(endings, None)
                if ended is None:
                    return
                yield ended
        finally:
            if isinstance(endings, Generator):
                endings.close()

    def _blamed(self) -> AbstractContextManager[None]:
        return blamed("executor", self.executor.source.qualified, "to carry out runs")


def _done(requests: Sequence[RunRequest], conditions: Conditions) -> Iterator[tuple[int, Attempt]]:
    """Runs that are there. What can't be told here is left to where runs are made."""
    listings: dict[str, Listing] = {}
    stored = [path.name for path in run_folders(conditions.results.runs)]
    models = {request.model: f"{request.model.rpartition(':')[2]}-" for request in requests}
    with_runs = {model for model, start in models.items() if any(name.startswith(start) for name in stored)}
    for number, request in enumerate(requests):
        if request.eval_dataset is not None or request.model not in with_runs or conditions.stop():
            continue
        with suppress(AdbenchError):
            made = plan(request, conditions.home, listings, _left_to_others)
            if (manifest := find_run(conditions.results.runs, made.run_id)) is not None:
                outcome = Outcome(manifest, conditions.results.runs / made.run_id, already_done=True)
                yield number, Attempt(made.request, outcome)


def _left_to_others(done: int, total: int) -> None:
    """Images that nobody has compared yet are compared where runs are made, and seen to be, not in silence here."""
    raise DataError("images were not compared yet")


def _task(number: int, order: Order) -> Task:
    return Task(number, order.request.title, order.to_bytes())


def _attempts(
    ended: Ended, request: RunRequest, conditions: Conditions, interrupted: list[InterruptedRunError]
) -> Iterator[Attempt]:
    """What became of a request; that it was stopped is added to ``interrupted`` in place."""
    if ended.outcome is None:
        yield Attempt(request, None, ended.error or TrainingError("it was lost, and nobody says why; run it again"))
        return
    try:
        made = taken(ended.outcome, conditions.results)
    except AdbenchError as error:
        yield Attempt(request, None, error)
        return
    yield from made.attempts
    if made.interrupted is not None:
        interrupted.append(made.interrupted)
