"""Locks between processes: dropped by the system with the process that holds them.

They spare work and are never what keeps a result right: whatever is written is written beside its place and renamed. So where a
file system has no locks, as some network file systems have none, work goes on without.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from .api import BusyRunError, InterruptedRunError, StoreError
from .home import Results, make_folder

POLL: Final = 0.5
"""Seconds between two tries to take what another process holds."""
NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
"""How a file system says that it has none."""


@contextmanager
def held(path: Path, seconds: float = 0, needed: bool = False) -> Iterator[None]:
    """Hold a lock on a file, which is made.

    Args:
        path: the file.
        seconds: how long to wait for another process.
        needed: whether a file system without locks is an error.

    Raises:
        Timeout: if another process holds it for so long.
        OSError: if the file can't be made, or can't be locked and has to be.
    """
    lock = FileLock(path, timeout=seconds, fallback_to_soft=False)  # a file in place of a lock outlives a machine that is lost
    try:
        lock.acquire()
    except OSError as error:
        if isinstance(error, Timeout) or needed or error.errno not in NO_LOCKS:
            raise
    try:
        yield
    finally:
        lock.release()


@contextmanager
def claimed(run_id: str, results: Results, stop: Callable[[], bool] | None = None) -> Iterator[None]:
    """Nobody else makes this run meanwhile: two would write one checkpoint.

    Args:
        run_id: the run.
        results: where it is made.
        stop: None not to wait for another process that makes it; else whether to stop waiting.

    Raises:
        BusyRunError: if another process makes it, and it is not to be waited for.
        InterruptedRunError: if the user stopped the waiting.
        StoreError: if the lock can't be made (full disk).
    """
    make_folder(results.running, "results folder")
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(held(results.lock(run_id)))
                break
            except Timeout:
                if stop is None:
                    raise BusyRunError(
                        f"run {run_id} is being made by another process; wait for it, or choose another --results"
                    ) from None
            except OSError as error:
                raise StoreError(
                    f"cannot write {results.lock(run_id)}: {error.strerror or error}; free space or choose another --results, then run "
                    "again"
                ) from None
            if stop():
                raise InterruptedRunError(f"stopped while another process made run {run_id}")
            time.sleep(POLL)
        yield
