"""What a process of its own does: one task after another, until no more come."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.synchronize import Event
from typing import Final

from ..api import Make

TELL_SECONDS: Final = 0.1
"""No more than so often is told how far a task is; nobody reads faster."""

STOPPING: Final = frozenset({signal.SIGINT, signal.SIGTERM})
"""How a command is told to stop."""

Moment = tuple[str, int, int]
"""Phase, done, in all."""
Message = Moment | bytes
"""How far a task is, or its outcome: then the process waits for the next."""


def serve(pipe: Connection, make: Make, stopped: Event) -> None:
    """Carry out tasks until there is no more, and tell how far they are and what became of them.

    Ctrl-C reaches every process of a terminal, and SIGTERM may every one of a group; the one that gave the work answers them, and sets
    ``stopped``. Once that process has gone,
    however it went, nobody waits for a result, and this one ends at once; a checkpoint is kept.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: None)  # programs that a plugin starts would inherit that it is ignored
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError):
        while True:
            content: bytes = pipe.recv()
            pipe.send(make(content, Teller(pipe), stopped.is_set))


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait meanwhile, and never come to a process that is started meanwhile, which would end of them until it serves."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass
class Teller:
    """Sends how far a task is, now and then, and each phase as it begins."""

    pipe: Connection
    _phase: str = ""
    _at: float = field(default=0.0)

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Perhaps send it."""
        now = time.monotonic()
        if phase != self._phase or now - self._at >= TELL_SECONDS:
            self._phase, self._at = phase, now
            self.pipe.send((phase, done, total))


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
