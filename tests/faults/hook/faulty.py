"""What a process does to itself at a chosen place: imported by commands under test, before adbench is."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

Condition = Callable[..., bool]


def fork_workers() -> None:
    """Have processes of runs forked, which costs no import of torch; all else about them is the same."""
    import multiprocessing

    local = import_module("adbench_harness.executors.local")
    local.get_context = lambda way: multiprocessing.get_context("fork")  # type: ignore[attr-defined]


def _around(place: str, before: Callable[[], object], after: Callable[[], object], number: int, when: Condition) -> None:
    module, name = place.split(":")
    *path, last = name.split(".")
    owner: Any = import_module(module)
    for part in path:
        owner = getattr(owner, part)
    real, calls = getattr(owner, last), [0]

    @wraps(real)
    def instead(*given: Any, **named: Any) -> Any:
        if not when(*given, **named):
            return real(*given, **named)
        calls[0] += 1
        now = calls[0] == number
        if now:
            before()
        result = real(*given, **named)
        if now:
            after()
        return result

    setattr(owner, last, instead)


def before(place: str, do: Callable[[], object], number: int = 1, when: Condition = lambda *given, **named: True) -> None:
    """Do something before a call of ``module:name``: the first, or another of those for which ``when`` holds."""
    _around(place, do, lambda: None, number, when)


def after(place: str, do: Callable[[], object], number: int = 1, when: Condition = lambda *given, **named: True) -> None:
    """Do something after a call of ``module:name`` has come back."""
    _around(place, lambda: None, do, number, when)


def die() -> None:
    """As ``kill -9`` does."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def wait(mark: str) -> Callable[[], None]:
    """Tell by a file that this place is reached, and go on when it is gone."""

    def waiting() -> None:
        path = Path(mark)
        path.with_name(f".{path.name}").write_text(str(os.getpid()))
        path.with_name(f".{path.name}").replace(path)
        end = time.monotonic() + 400
        while path.exists() and time.monotonic() < end:
            time.sleep(0.02)

    return waiting


def take_in_one_by_one() -> None:
    """Have each run taken into the database by itself."""
    import_module("adbench_harness.store.ingest").AT_ONCE = 1  # type: ignore[attr-defined]


def save_at_every_step() -> None:
    """Have a checkpoint saved whenever one could be."""
    training = import_module("adbench_harness.training")
    training.CHECKPOINT_SECONDS = training.CHECKPOINT_SHARE = 0.0  # type: ignore[attr-defined]


def shift_clock(seconds: float) -> None:
    """Have this machine's clock be wrong, for whatever is imported from now on."""
    import datetime

    real_time, real = time.time, datetime.datetime

    class Shifted(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:
            return real.now(tz) + datetime.timedelta(seconds=seconds)

    time.time = lambda: real_time() + seconds
    datetime.datetime = Shifted  # type: ignore[misc]


def no_locks(answer: str, met: str) -> None:
    """A file system that has none, and says so by an errno; a file tells that it was asked."""
    import errno
    import fcntl

    def refuse(descriptor: int, operation: int) -> None:
        Path(met).touch()
        raise OSError(getattr(errno, answer), "no locks")

    fcntl.flock = refuse  # type: ignore[assignment]
