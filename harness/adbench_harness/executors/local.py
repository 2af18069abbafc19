"""Runs in processes of their own, several at a time: one that crashes or is killed fails its run alone."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle, islice
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.synchronize import Event
from typing import TYPE_CHECKING, Final

from ..api import AdbenchError, Ended, Execution, ExecutorSpec, Options, Task, TimeLimitError, TrainingError, hookimpl
from .worker import Message, serve, uninterrupted

if TYPE_CHECKING:
    from collections.abc import Callable

adbench_api = 1

POLL: Final = 0.2
"""Seconds between two looks whether the user has asked to stop."""
ENDS_WITHIN: Final = 5.0
"""Seconds in which a process that says no more ends by itself."""
THREADS: Final = "OMP_NUM_THREADS"
GPUS: Final = "CUDA_VISIBLE_DEVICES"


class LocalOptions(Options):
    """None: ``--jobs`` and ``--device`` say all."""


@hookimpl
def register_executors(register: Callable[[ExecutorSpec], None]) -> None:
    """Processes on this machine."""
    register(ExecutorSpec("local", "processes on this machine, one a GPU, else one", LocalOptions, execute))


def execute(tasks: Sequence[Task], options: Options, execution: Execution) -> Iterator[Ended]:
    """Carry out tasks in processes; see ``api.ExecutorSpec``. Raises OptionError if there is no such device."""
    return Pool(execution, places(execution.device, execution.jobs)).execute(tasks)


def places(word: str, jobs: int | None) -> list[dict[str, str]]:
    """What each process's environment says more than ours: which GPU it sees, where any may be taken, and how many threads it has.

    Raises:
        OptionError: if there is no such device.
    """
    import torch

    from ..device import choose_device

    made: list[dict[str, str]]
    if choose_device(word).type == "cuda" and ":" not in word:
        named = os.environ.get(GPUS)
        gpus = named.split(",") if named else [str(number) for number in range(torch.cuda.device_count())]
        made = [{GPUS: gpu} for gpu in islice(cycle(gpus), jobs or len(gpus))]
    else:
        made = [{} for _ in range(jobs or 1)]
    if THREADS not in os.environ and len(made) > 1:
        for place in made:
            place[THREADS] = str(max(1, (os.cpu_count() or 1) // len(made)))
    return made


@dataclass
class _Worker:
    """A process, and the task that it is at."""

    place: int
    process: SpawnProcess
    pipe: Connection
    task: Task | None = None


@dataclass
class Pool:
    """Processes that carry out tasks."""

    execution: Execution
    places: Sequence[Mapping[str, str]]
    """One a process: what its environment says more than ours."""
    _workers: dict[int, _Worker] = field(default_factory=dict)

    def execute(self, tasks: Sequence[Task]) -> Iterator[Ended]:
        """Carry out each; they come back as they are done. After a stop those that were not begun don't."""
        context = get_context("spawn")
        stopped, waiting = context.Event(), deque(tasks)
        try:
            while waiting or self._busy():
                if self.execution.stop():
                    stopped.set()
                    waiting.clear()
                self._hand_out(waiting, context, stopped)
                yield from self._listen()
        finally:
            with uninterrupted():
                for worker in self._workers.values():
                    worker.process.kill()  # it waits for work, or nobody waits for its
                    worker.process.join()
                    worker.pipe.close()

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._workers.values() if worker.task is not None]

    def _hand_out(self, waiting: deque[Task], context: SpawnContext, stopped: Event) -> None:
        for place in range(len(self.places)):
            if not waiting:
                return
            worker = self._workers.get(place)
            if worker is None or (worker.task is None and not worker.process.is_alive()):  # ended while it waited for work
                worker = self._start(place, context, stopped)
            if worker.task is None:
                worker.task = waiting.popleft()
                self.execution.heard(worker.task, "", 0, 0)
                with suppress(OSError):  # it has ended just now; that is seen when it is listened to
                    worker.pipe.send(worker.task.content)

    def _start(self, place: int, context: SpawnContext, stopped: Event) -> _Worker:
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, self.execution.make, stopped), daemon=False)
        with _environment(self.places[place]), uninterrupted():  # one that is started is known, or nobody would end it
            process.start()
            self._workers[place] = worker = _Worker(place, process, ours)
        theirs.close()  # so that ours ends when the process does
        return worker

    def _listen(self) -> Iterator[Ended]:
        busy = self._busy()
        wait([one for worker in busy for one in (worker.pipe, worker.process.sentinel)], POLL)
        for worker in busy:
            alive = worker.process.is_alive()  # before its last words are read
            yield from self._words(worker)
            if not alive and worker.task is not None:
                yield self._lost(worker)

    def _words(self, worker: _Worker) -> Iterator[Ended]:
        while worker.task is not None:
            try:
                if not worker.pipe.poll():
                    return
                message: Message = worker.pipe.recv()
            except (EOFError, OSError):  # it has ended, perhaps in the middle of a word
                worker.process.join(ENDS_WITHIN)
                worker.process.kill()  # a thread of a plugin may keep it, and with it all others
                worker.process.join()
                yield self._lost(worker)
                return
            if isinstance(message, bytes):
                done, worker.task = worker.task, None
                yield Ended(done, message)
            else:
                self.execution.heard(worker.task, *message)

    def _lost(self, worker: _Worker) -> Ended:
        """What is said of a task whose process has ended; another process takes its place."""
        task, code = worker.task, worker.process.exitcode
        assert task is not None
        worker.task = None
        worker.pipe.close()
        del self._workers[worker.place]
        return Ended(task, None, reason_of(code or 0))


def reason_of(code: int) -> AdbenchError:
    """Why a run is lost whose process ended with a status, or, below 0, by a signal."""
    rest = "the same command goes on from its checkpoint, if there is one"
    if code == TimeLimitError.exit_code:
        return TimeLimitError(f"the time limit is over (--time-limit), and its process had to be ended; {rest}")
    if code < 0:
        name = signal.Signals(-code).name
        why = ", as a system that is out of memory does" if name == "SIGKILL" else ""
        return TrainingError(f"its process was ended by {name}{why}; {rest}")
    return TrainingError(f"its process ended by itself, with status {code}; {rest}")


@contextmanager
def _environment(more: Mapping[str, str]) -> Iterator[None]:
    """What processes that start now have in theirs."""
    before = {name: os.environ.get(name) for name in more}
    os.environ.update(more)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
