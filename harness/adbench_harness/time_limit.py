"""How long a run may take: at the limit it is asked to stop, after a grace it is made to, and at the worst its process ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from .api import InterruptedRunError, TimeLimitError

GRACE: Final = 30.0
"""Seconds in which work that is asked to stop may end a step and save a checkpoint."""

Stop = Callable[[], bool]


class _OverdueError(BaseException):
    """Raised in the middle of whatever the work is doing. No ``Exception``, which a plugin may catch."""


@contextmanager
def within(seconds: float | None, stop: Stop) -> Iterator[Stop]:
    """Work that may take so many seconds; gives what it is to ask whether to stop. Without a limit that is ``stop``, the user's wish.

    Python code that does not ask is interrupted after ``GRACE``, wherever it is (in the main thread, where signals arrive); compiled
    code that does not come back even then takes the process with it.

    Raises:
        TimeLimitError: at the limit, with where the work was; what a checkpoint holds is kept.
        InterruptedRunError: if it was the user who asked.
    """
    if seconds is None:
        yield stop
        return
    end = time.monotonic() + seconds
    what = f"the time limit of {seconds:g} s is over (--time-limit)"
    try:
        with _interrupted_after(seconds + GRACE), _ended_after(seconds + 2 * GRACE, what):
            yield lambda: stop() or time.monotonic() >= end
    except InterruptedRunError as error:
        if stop():
            raise
        raise TimeLimitError(f"{what}: {error}") from None
    except _OverdueError as error:
        at = traceback.extract_tb(error.__traceback__)[-2]  # the last one is the handler
        raise TimeLimitError(
            f"{what}, and it did not stop when it was asked to: it was in {at.name} ({at.filename}:{at.lineno}); what it is to do is to call "
            "progress as it goes on, which stops it. The same command goes on from a checkpoint, if there is one"
        ) from None


@contextmanager
def _interrupted_after(seconds: float) -> Iterator[None]:
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise _OverdueError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, GRACE)  # again and again: a plugin may catch even this
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _ended_after(seconds: float, what: str) -> Iterator[None]:
    def end() -> None:
        sys.stderr.write(f"adbench: error: {what}, and it can't be interrupted, so its process ends; the same command goes on\n")
        sys.stderr.flush()
        os._exit(TimeLimitError.exit_code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
