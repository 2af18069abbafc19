"""What an executor is: it carries runs to where they are made, and brings back what came of them.

It knows nothing of runs: a task is bytes, and there is one function to call with them, the same wherever it is called. What an
executor adds is the place: processes, a cluster, a queue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .errors import AdbenchError
from .options import Options


@dataclass(frozen=True)
class Task:
    """One run to be made; plain data, which can be pickled."""

    number: int
    """Its place among the tasks of the command, from 0."""
    title: str
    """What a person is told of it in one line."""
    content: bytes
    """For the function."""


class Tell(Protocol):
    """Is told how far a task is."""

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Of a phase so much is done, of so much."""


class Make(Protocol):
    """Makes a run. A function of a module, so that it can be pickled by its name; it raises no error that says why a run failed."""

    def __call__(self, content: bytes, tell: Tell, stop: Callable[[], bool]) -> bytes:
        """The outcome of a task, from its content.

        Args:
            content: the task's.
            tell: is called often; it has to be quick.
            stop: whether to save a checkpoint and end; it is asked at every step of training, and has to be quick.
        """


@dataclass(frozen=True)
class Ended:
    """What became of a task."""

    task: Task
    outcome: bytes | None
    """What the function gave; None if it was lost with its process or machine."""
    error: AdbenchError | None = None
    """Why it was lost, and what to do."""


class Execution(Protocol):
    """The command, as an executor sees it."""

    make: Make
    """To be called with each task's content, wherever the executor likes."""
    jobs: int | None
    """At most so many at a time; None for as many as there are places."""
    device: str
    """What the user asked for: "auto", "cpu", "cuda", "cuda:N" or "mps"."""
    folder: Path
    """Where the executor may keep what it has to know if the command is killed; on the disk of the results."""

    def stop(self) -> bool:
        """Whether the user has asked to stop: then nothing more is begun, and what is being made is told to stop."""

    def heard(self, task: Task, phase: str, done: int, total: int) -> None:
        """Show how far a task is. As it begins the phase is empty."""

    def say(self, words: str) -> None:
        """Tell the user something that is no error."""


@dataclass(frozen=True)
class ExecutorSpec:
    """An executor as the harness and the command line know it."""

    name: str
    title: str
    """In one line."""
    options: type[Options]
    """What ``--executor-option`` takes."""
    execute: Callable[[Sequence[Task], Options, Execution], Iterator[Ended]]
    """Carry out tasks; each comes back once, in any order. After a stop those that were not begun need not come back.

    Raises AdbenchError if none can be carried out (no cluster, a library that is missing).
    """
    script: Callable[[Sequence[Task], Options, Execution], str] | None = None
    """What would be handed to a scheduler, as text; for an executor that hands something to one."""
