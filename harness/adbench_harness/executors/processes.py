"""Runs in processes of their own, several at a time: one that crashes or is killed fails its run alone."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.synchronize import Event
from typing import Final

import torch

from ..api import AdbenchError, InterruptedRunError, TimeLimitError, TrainingError
from ..device import choose_device
from ..plan import RunRequest
from ..runner import Conditions
from ..training import Moment
from .local import Attempt
from .worker import Message, Order, serve

POLL: Final = 0.2
"""Seconds between two looks whether the user has asked to stop."""
THREADS: Final = "OMP_NUM_THREADS"

Heard = Callable[[RunRequest, Moment | None], None]
"""Is told how far a run is; None as it begins."""


def devices(word: str, jobs: int | None) -> list[str]:
    """A device for each of so many processes: GPUs in turn, where any may be taken; without a number one process a GPU, else one.

    Raises:
        OptionError: if there is no such device.
    """
    chosen = choose_device(word)
    if chosen.type == "cuda" and ":" not in word:
        gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
        return list(islice(cycle(gpus), jobs or len(gpus)))
    return [word] * (jobs or 1)


@dataclass
class _Worker:
    """A process, and the request that it is at."""

    place: int
    process: SpawnProcess
    pipe: Connection
    request: RunRequest | None = None


@dataclass
class Pool:
    """Processes that make runs."""

    conditions: Conditions
    devices: Sequence[str]
    """One a process."""
    heard: Heard = lambda request, moment: None
    _workers: dict[int, _Worker] = field(default_factory=dict)
    _interrupted: list[InterruptedRunError] = field(default_factory=list)

    def execute(self, requests: Iterable[RunRequest]) -> Iterator[Attempt]:
        """Make each run; attempts come as they are done. One that fails does not stop the others, a stop by the user does.

        Raises:
            InterruptedRunError: if the user has asked to stop, once each process has saved a checkpoint.
        """
        context = get_context("spawn")
        stopped, waiting = context.Event(), deque(requests)
        try:
            while waiting or self._busy():
                if self.conditions.stop():
                    stopped.set()
                    waiting.clear()
                self._hand_out(waiting, context, stopped)
                yield from self._listen()
        finally:
            for worker in self._workers.values():
                worker.process.kill()  # it waits for work, or nobody waits for its
                worker.process.join()
                worker.pipe.close()
        if stopped.is_set():
            raise (
                self._interrupted[0]
                if len(self._interrupted) == 1
                else InterruptedRunError("stopped; the same command goes on with what is left")
            )

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._workers.values() if worker.request is not None]

    def _hand_out(self, waiting: deque[RunRequest], context: SpawnContext, stopped: Event) -> None:
        for place, device in enumerate(self.devices):
            if not waiting:
                return
            worker = self._workers.get(place)
            if worker is None or (worker.request is None and not worker.process.is_alive()):  # ended while it waited for work
                worker = self._start(place, context, stopped)
            if worker.request is None:
                request = waiting.popleft()
                worker.request = replace(request, device=device)
                self.heard(worker.request, None)
                with suppress(OSError):  # it has ended just now; that is seen when it is listened to
                    worker.pipe.send(worker.request)

    def _start(self, place: int, context: SpawnContext, stopped: Event) -> _Worker:
        ours, theirs = context.Pipe()
        told = self.conditions
        order = Order(told.home, told.results, told.fresh, told.keep_weights, told.time_limit)
        process = context.Process(target=serve, args=(theirs, order, stopped), daemon=False)
        with _threads_shared(len(self.devices)):
            process.start()
        theirs.close()  # so that ours ends when the process does
        self._workers[place] = worker = _Worker(place, process, ours)
        return worker

    def _listen(self) -> Iterator[Attempt]:
        busy = self._busy()
        wait([one for worker in busy for one in (worker.pipe, worker.process.sentinel)], POLL)
        for worker in busy:
            alive = worker.process.is_alive()  # before its last words are read
            yield from self._words(worker)
            if not alive and worker.request is not None:
                yield self._lost(worker)

    def _words(self, worker: _Worker) -> Iterator[Attempt]:
        while worker.request is not None:
            try:
                if not worker.pipe.poll():
                    return
                message: Message = worker.pipe.recv()
            except (EOFError, OSError):  # it has ended, perhaps in the middle of a word
                worker.process.join()
                yield self._lost(worker)
                return
            if isinstance(message, Moment):
                self.heard(worker.request, message)
            elif not isinstance(message, Attempt):
                worker.request = None
            elif isinstance(message.error, InterruptedRunError):
                self._interrupted.append(message.error)
            else:
                yield message

    def _lost(self, worker: _Worker) -> Attempt:
        """What is said of a run whose process has ended; another process takes its place."""
        request, code = worker.request, worker.process.exitcode
        assert request is not None
        worker.request = None
        worker.pipe.close()
        del self._workers[worker.place]
        return Attempt(request, None, _reason(code or 0))


def _reason(code: int) -> AdbenchError:
    rest = "the same command goes on from its checkpoint, if there is one"
    if code == TimeLimitError.exit_code:
        return TimeLimitError(f"the time limit is over (--time-limit), and its process had to be ended; {rest}")
    if code < 0:
        name = signal.Signals(-code).name
        why = ", as a system that is out of memory does" if name == "SIGKILL" else ""
        return TrainingError(f"its process was ended by {name}{why}; {rest}")
    return TrainingError(f"its process ended by itself, with status {code}; {rest}")


@contextmanager
def _threads_shared(processes: int) -> Iterator[None]:
    """Processes that start now share the processor's cores, unless the user has said how many threads each has."""
    if THREADS in os.environ or processes == 1:
        yield
        return
    os.environ[THREADS] = str(max(1, (os.cpu_count() or 1) // processes))
    try:
        yield
    finally:
        del os.environ[THREADS]
