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
from .slurm_scheduler import scheduler_says

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

KEPT_SECONDS: Final = 3600
"""So long ended jobs' files stay: another command may be about to read an outcome, and a person a log."""
TELL_SECONDS: Final = 5.0
"""How far a run is, is written so often: files on a network are slow."""
WAIT_SECONDS: Final = 3600.0
"""How long a job waits to be ended that SLURM has told to go: longer than that takes."""
TERMINATED: Final = 128 + signal.SIGTERM
"""Exit status of a process that SIGTERM ends."""


def outcome_file(folder: Path, key: str) -> Path:
    """Where a job puts what came of a task."""
    return folder / f"{key}.outcome"


def begun_file(folder: Path, key: str) -> Path:
    """What a job leaves as it begins a task."""
    return folder / f"{key}.begun"


def progress_of(folder: Path, key: str) -> tuple[str, int, int] | None:
    """How far a task is; None if nothing is known."""
    try:
        phase, done, total = json.loads(progress_file(folder, key).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return phase, done, total


def progress_file(folder: Path, key: str) -> Path:
    """Where a job puts how far a task is."""
    return folder / f"{key}.progress"


def names_in(folder: Path) -> set[str]:
    """Files in a folder. A look at the folder finds what is new in it, where a network file system still remembers that a file is not there."""
    with suppress(OSError):
        return {path.name for path in folder.iterdir()}
    return set()


def left_alone(folder: Path) -> bool:
    """Whether nothing has been written there for a while. Not if a file goes meanwhile: another command removes it too, or a job is at work."""
    try:
        return time.time() - max(path.lstat().st_mtime for path in (folder, *folder.iterdir())) > KEPT_SECONDS
    except OSError:
        return False


@dataclass
class Job:
    """Called by submitit where the job runs, and again when the job was begun again: what is done is not done again.

    SLURM says that a job has to go by a signal, upon which the run saves a checkpoint. Near the end of its time, or before it is pre-empted
    where the cluster is set up so, it is the one that submitit waits for (SIGUSR2); then submitit has the job put into the queue again.
    SIGTERM comes with a pre-emption and with scancel. A job that is pre-empted still counts as running, and one that ends by itself before
    SLURM ends it is not begun again: it has to ask for that, or to wait for its end.
    """

    make: Make
    folder: Path

    def __call__(self, contents: Mapping[str, bytes]) -> None:
        """Carry out tasks, by key."""
        told = _Told()
        with told.listening():
            for key, content in contents.items():
                if outcome_file(self.folder, key).exists():
                    continue
                with suppress(OSError):  # it only explains a loss
                    begun_file(self.folder, key).touch()
                outcome = self.make(content, _Teller(progress_file(self.folder, key)), told.to_stop)
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
            self._before[number](number, None)  # submitit's: it puts the job into the queue again, and ends the process
        state = scheduler_says("squeue", "--noheader", "--jobs", job_id(), "--format=%T")
        if state is None or (state.strip() == "RUNNING" and scheduler_says("scontrol", "requeue", job_id()) is None):
            time.sleep(WAIT_SECONDS)
        os._exit(TERMINATED)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = number


def job_id() -> str:
    """This job's id. Of the last of an array SLURM_JOB_ID is the array's, and would have all of it begun again."""
    array, place = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{place}" if array and place else os.environ.get("SLURM_JOB_ID", "")
