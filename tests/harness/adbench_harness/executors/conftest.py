from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adbench_harness import registry
from adbench_harness.api import Task, Tell
from adbench_harness.executors.attempts import Attempt
from adbench_harness.executors.driving import Command, Driver
from adbench_harness.home import Home, Results
from adbench_harness.plan import RunRequest, plan
from adbench_harness.result import read_scores
from adbench_harness.runner import Conditions, run_one

TASKS = [Task(number, f"run {number}", f"content {number}".encode()) for number in range(5)]
TINY = RunRequest("tiny-autoencoder", "tiny-discs", "tiny-protocol", device="cpu")


@pytest.fixture
def found_by_processes(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installed distributions that a process which starts now finds as this one does."""

    def tell(*sites: Path) -> None:
        monkeypatch.setenv("PYTHONPATH", ":".join(map(str, (tiny, *sites))))

    tell()
    return tell


def driver(name: str, jobs: int | None = None, **words: str) -> Driver:
    """An executor by its name, and what it is told."""
    plugin = registry.executor(name)
    return Driver(plugin, plugin.spec.options.parse(words), jobs)


def check_scores(attempts: list[Attempt], home: Home, folder: Path) -> None:
    """Whether runs have the scores that they have in this process."""
    for attempt in attempts:
        assert attempt.outcome is not None
        alone = run_one(plan(attempt.request, home), Conditions(home, Results(folder)))
        there = read_scores(attempt.outcome.folder)
        np.testing.assert_array_equal(there.score, read_scores(alone.folder).score)


def seeds(*numbers: int) -> list[RunRequest]:
    return [replace(TINY, seed=number) for number in numbers]


def pretended(content: bytes, tell: Tell, stop: Callable[[], bool]) -> bytes:
    """In place of a run: one is told to go while it is made."""
    tell("fit", 1, 2)
    if content == b"told":
        os.kill(os.getpid(), signal.SIGTERM)
    return b"stopped" if stop() else b"outcome of " + content


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Puts a program on PATH in place of SLURM's; what it is called with goes into the file that comes back."""
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    monkeypatch.setattr("os.geteuid", lambda: 7)

    def put(name: str, text: str) -> Path:
        calls = tmp_path / f"{name}.calls"
        (place / name).write_text(f'#!/bin/sh\necho "$@" >> {shlex.quote(str(calls))}\n{text}\n')
        (place / name).chmod(0o755)
        return calls

    put("scontrol", "echo 'ClusterName             = here'")
    return put


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command("cpu", None, tmp_path / "executors/slurm", lambda: False, lambda number, phase, done, total: None, pretended)
