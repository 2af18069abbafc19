"""Checks in a process of their own: a plugin that hangs, ends the process or exhausts memory fails its check, and the others are
looked at in a new one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..api import AdbenchError
from .child import REQUEST, RESULTS, read_lines, read_results
from .report import Result

POLL: Final = 0.05
"""Seconds between two looks."""
TIME_LIMIT: Final = 600.0
"""Seconds for one check."""

START_LIMIT: Final = 300.0
"""Seconds until the first check begins: a busy machine takes long to import torch."""

Heard = Callable[[Result], None]


@dataclass
class Supervised:
    """The checks of one plugin on one device."""

    request: Mapping[str, Any]
    titles: Mapping[str, str]
    """Titles of all checks, by name."""
    time_limit: float = TIME_LIMIT
    heard: Heard = lambda result: None
    told: set[str] = field(default_factory=set)

    def run(self) -> list[Result]:
        """All results, in order; each is told as it comes.

        Raises:
            AdbenchError: if the plugin can't be had at all.
        """
        with _folder() as folder:
            (folder / REQUEST).write_text(json.dumps(dict(self.request)))
            while not self._finished(folder):
                pass
            return read_results(folder)

    def _finished(self, folder: Path) -> bool:
        """One process, until it ends by itself or has to be ended; False if another is to go on after it."""
        errors = folder / "stderr.txt"
        with errors.open("wb") as stream:
            child = subprocess.Popen(
                [sys.executable, "-m", "adbench_harness.conformance.child", str(folder)],
                stdout=subprocess.DEVNULL,
                stderr=stream,
                start_new_session=True,
            )
            try:
                overdue = self._wait(child, folder)
            finally:
                _end(child)
        self._tell(folder)
        lines = read_lines(folder)
        if lines and "ends" in lines[-1]:
            return True
        begun = lines[-1].get("begins") if lines else None
        if begun is None:
            words = errors.read_text(errors="replace").strip().splitlines()
            raise AdbenchError(
                (words[-1] if words else f"the checks ended with status {child.returncode}").removeprefix("adbench: error: ")
            )
        message = (
            f"it took longer than {self.time_limit:g} s (--time-limit)"
            if overdue
            else f"it ended the process ({_status(child.returncode)})"
        )
        result = Result(begun, self.titles[begun], "failed", message, self.time_limit if overdue else 0.0)
        with (folder / RESULTS).open("a") as stream:
            stream.write("\n" + json.dumps({"result": result.plain()}) + "\n")
        self._tell(folder)
        return False

    def _wait(self, child: subprocess.Popen[bytes], folder: Path) -> bool:
        """Until the process ends, or a check takes too long: then True."""
        earlier = len(read_lines(folder))
        since, seen = time.monotonic(), earlier
        while child.poll() is None:
            time.sleep(POLL)
            self._tell(folder)
            lines = len(read_lines(folder))
            if lines != seen:
                since, seen = time.monotonic(), lines
            if time.monotonic() - since > (self.time_limit if seen > earlier else max(self.time_limit, START_LIMIT)):
                return True
        return False

    def _tell(self, folder: Path) -> None:
        for result in read_results(folder):
            if result.check not in self.told:
                self.told.add(result.check)
                self.heard(result)


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="adbench-check-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the process, and what it has started."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, 9)
    child.wait()


def _status(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit status {code}"
