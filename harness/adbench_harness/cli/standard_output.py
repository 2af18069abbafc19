"""Standard output is for our answer alone, so that `--json` can be read by a program whatever a plugin does."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def ours_alone() -> Iterator[None]:
    """Send to standard error what anybody but us writes to file descriptor 1: compiled code, and programs that a plugin starts.

    Where standard output has been replaced (by a test, or in a notebook) nothing is done.
    """
    ours = sys.stdout
    if not _is_the_process_s():
        yield
        return
    ours.flush()
    answer = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(answer, "w", encoding=ours.encoding, errors=ours.errors, buffering=1 if ours.isatty() else -1)
    try:
        yield
    finally:
        stream, sys.stdout = sys.stdout, ours
        try:
            stream.flush()
        finally:
            os.dup2(answer, 1)
            with suppress(OSError):
                stream.close()


def _is_the_process_s() -> bool:
    process_s = sys.__stdout__
    if process_s is None or sys.stdout is not process_s:
        return False
    try:
        os.fstat(2)
        return process_s.fileno() == 1
    except (OSError, ValueError):  # closed
        return False
