"""What a SLURM job does: its runs one after another, each outcome in a file as it is done, and a checkpoint when it is told to go."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from ..api import Make
from ..home import put_in_place

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

TELL_SECONDS: Final = 5.0
"""How far a run is, is written so often: files on a network are slow."""
TERMINATED: Final = 128 + signal.SIGTERM
"""Exit status of a process that SIGTERM ends."""


def outcome_file(folder: Path, key: str) -> Path:
    """Where a job puts what came of a task."""
    return folder / f"{key}.outcome"


def progress_of(folder: Path, key: str) -> tuple[str, int, int] | None:
    """How far a task is; None if nothing is known."""
    try:
        phase, done, total = json.loads(_progress_file(folder, key).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return phase, done, total


def _progress_file(folder: Path, key: str) -> Path:
    return folder / f"{key}.progress"


@dataclass
class Job:
    """Called by submitit where the job runs, and again when the job was begun again: what is done is not done again.

    SLURM says that a job has to go by a signal. Near the end of its time, or before it is pre-empted where the cluster is set up so, it is
    the one that submitit waits for (SIGUSR2): the run saves a checkpoint, and the job is put into the queue again. SIGTERM comes with a
    pre-emption, after which SLURM itself begins the job again, and with scancel, after which nobody does: a checkpoint is saved, and the
    process ends with no outcome.
    """

    make: Make
    folder: Path
    minutes: int
    """How long the job may take; submitit tells by it a time that is over from a pre-emption."""

    def __call__(self, contents: Mapping[str, bytes]) -> None:
        """Carry out tasks, by key."""
        told = _Told()
        with told.listening():
            for key, content in contents.items():
                if outcome_file(self.folder, key).exists():
                    continue
                outcome = self.make(content, _Teller(_progress_file(self.folder, key)), told.to_stop)
                if told.signal is not None:
                    told.go()
                with put_in_place(outcome_file(self.folder, key)) as unfinished:
                    unfinished.write_bytes(outcome)

    def checkpoint(self, contents: Mapping[str, bytes]) -> DelayedSubmission:
        """What submitit is to call when the job is begun again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, contents)


@dataclass
class _Teller:
    """Writes how far a task is, now and then."""

    path: Path
    _at: float = 0.0

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Perhaps write it."""
        now = time.monotonic()
        if now - self._at >= TELL_SECONDS:
            self._at = now
            with suppress(OSError), put_in_place(self.path) as unfinished:
                unfinished.write_text(json.dumps([phase, done, total]), encoding="utf-8")


class _Told:
    """Which signal has told the job to go, if one has."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    def to_stop(self) -> bool:
        """Whether one has."""
        return self.signal is not None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While the job's runs are made."""
        again = getattr(signal, f"SIG{os.environ.get('SUBMITIT_PREEMPT_SIGNAL', 'USR2')}")
        self._before = {number: signal.signal(number, self._hear) for number in (again, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def go(self) -> None:
        """End the process, after whatever the signal asks for."""
        number = self.signal
        assert number is not None
        if number != signal.SIGTERM:
            self._before[number](number, None)  # submitit's: it puts the job into the queue again
        os._exit(TERMINATED)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = number
