"""What a process of its own does: one request after another, until no more come."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.synchronize import Event

from ..api import InterruptedRunError
from ..home import Home, Results
from ..plan import RunRequest
from ..retention import KeepWeights
from ..runner import Conditions
from ..training import Moment
from .local import Attempt, execute


@dataclass(frozen=True)
class Order:
    """What holds for every run of a process."""

    home: Home
    results: Results
    fresh: bool
    keep_weights: KeepWeights
    time_limit: float | None


@dataclass(frozen=True)
class Finished:
    """A request has given all its attempts; the process waits for the next."""


Message = Moment | Attempt | Finished


def serve(pipe: Connection, order: Order, stopped: Event) -> None:
    """Make runs until there is no more to make, and tell how far they are and what became of them.

    Ctrl-C reaches every process of a terminal; the one that gave the work answers it, and sets ``stopped``. Once that process has gone,
    however it went, nobody waits for a result, and this one ends at once; a checkpoint is kept.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    conditions = Conditions(
        order.home, order.results, order.fresh, order.keep_weights, pipe.send, stopped.is_set, order.time_limit
    )
    given = _Given(pipe)
    try:
        for attempt in execute(given, conditions):  # one call for all, which lists each dataset once
            pipe.send(attempt)
    except InterruptedRunError as error:
        pipe.send(Attempt(given.now, None, error))
        pipe.send(Finished())


class _Given:
    """Requests as they come through a pipe, until it is closed; who asks for the next one has finished with the one before."""

    now: RunRequest

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def __iter__(self) -> Iterator[RunRequest]:
        """Each request."""
        with suppress(EOFError):
            while True:
                self.now = self._pipe.recv()
                yield self.now
                self._pipe.send(Finished())


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
