from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adbench_harness import registry
from adbench_harness.executors.attempts import Attempt
from adbench_harness.executors.driving import Driver
from adbench_harness.home import Home, Results
from adbench_harness.plan import RunRequest, plan
from adbench_harness.result import read_scores
from adbench_harness.runner import Conditions, run_one

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
