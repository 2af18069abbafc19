"""A small matrix, commands that make it in processes of their own, and what has to be true after whatever happened to one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from adbench_harness.home import Results
from adbench_harness.result import Scores, find_run, read_scores
from adbench_harness.retention import removable
from adbench_harness.store.database import reading

HOOK: Final = Path(__file__).parent / "hook"
MATRIX: Final = ("run", "-m", "tiny-autoencoder", "-d", "tiny-discs", "--protocol", "tiny-protocol", "--seed", "0..2")
IN_PROCESS: Final = ("--executor", "tiny-queue")
SINGLE: Final = (*MATRIX[:-1], "0")
MAIN: Final = "from adbench_harness.cli import main; main()"


def cases(names: Iterable[str], at_once: Collection[str]) -> list[Any]:
    """Parameters of a test: of the names those that are tested each time, the others when slow tests are."""
    return [pytest.param(name, marks=() if name in at_once else pytest.mark.slow) for name in names]


@dataclass
class Started:
    """A command under way."""

    process: Any
    told: Path
    """Its stderr."""

    @property
    def stderr(self) -> str:
        """What it has said so far."""
        return self.told.read_text()


@dataclass
class Place:
    """A results folder, and commands that are typed for it."""

    warm: Any
    folder: Path
    site: Path
    home: Path
    undisturbed: Mapping[str, Scores]
    """Scores of the matrix, by run id."""
    started: list[Started] = field(default_factory=list)

    @property
    def results(self) -> Results:
        """Where the commands store runs."""
        return Results(self.folder / "results")

    @property
    def mark(self) -> Path:
        """A file by which a process tells that it waits."""
        return self.folder / "mark"

    def run(self, *words: str, fault: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """Type a command and wait for its end; ``fault`` is what its process does to itself."""
        done: subprocess.CompletedProcess[str] = self.warm.run(
            self._command(words, fault), cwd=self.folder, env=self._environment(environment)
        )
        return done

    def start(self, *words: str, fault: str = "", **environment: str) -> Started:
        """Type a command, and go on."""
        number = len(list(self.folder.glob("told-*")))
        told = self.folder / f"told-{number}"
        with told.open("w") as stderr:
            process = self.warm.Popen(
                self._command(words, fault),
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                cwd=self.folder,
                env=self._environment(environment),
            )
        self.started.append(Started(process, told))
        return self.started[-1]

    def _command(self, words: tuple[str, ...], fault: str) -> list[str]:
        """The fault is a module of its own: a process that is started from nothing finds it as well."""
        hook = self.folder / "hook"
        hook.mkdir(exist_ok=True)
        (hook / "fault.py").write_text(f"from faulty import *\nMARK = {str(self.mark)!r}\n{fault}\n")
        (hook / "sitecustomize.py").write_text("import fault\n")
        forked = "" if "spawn" in fault else "import faulty; faulty.fork_workers(); "
        return [sys.executable, "-c", f"import fault; {forked}{MAIN}", *words]

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        own = {
            "ADBENCH_HOME": str(self.home),
            "ADBENCH_RESULTS": str(self.results.root),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(map(str, (self.site, self.folder / "hook", HOOK))),
        }
        return {**os.environ, **own, **more}

    def reached(self, of: Started) -> int:
        """Wait until a process of a command has come to where it waits; its number."""
        until(lambda: self.mark.exists() or of.process.poll() is not None)
        assert self.mark.exists(), of.stderr
        return int(self.mark.read_text())

    def finished(self) -> dict[str, tuple[object, ...]]:
        """Runs that are whole, and what changes if one is made again."""
        found: dict[str, tuple[object, ...]] = {}
        for run_id in self.undisturbed:
            folder = self.results.runs / run_id
            if (manifest := find_run(self.results.runs, run_id)) is not None:
                written = (folder / "scores.parquet").stat()
                found[run_id] = (manifest.created, folder.stat().st_ino, written.st_ino, written.st_mtime_ns)
        return found

    def finish(self, *words: str) -> str:
        """Type the command again, undisturbed, and check that the matrix is whole and nothing was done twice; what it said."""
        before = self.finished()
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        self.check(before)
        return done.stderr

    def check(self, before: Mapping[str, tuple[object, ...]]) -> None:
        """Every run is here once, whole, with its scores; those of ``before`` are as they were; nothing else is left."""
        after = self.finished()
        assert after.keys() == self.undisturbed.keys()
        assert {run_id: after[run_id] for run_id in before} == before
        left = {path for path in self.results.runs.iterdir() if path.name not in after}
        assert left <= {item.path for item in removable(self.results, "newest")}
        for run_id, scores in self.undisturbed.items():
            found = read_scores(self.results.runs / run_id)
            assert list(found.image) == list(scores.image)
            np.testing.assert_array_equal(found.score, scores.score)
        with reading(self.results.database) as db:
            runs = db.execute("select run_id, count(*) from run group by 1").fetchall()
            rows = dict(db.execute("select run_id, count(*) from score group by 1").fetchall())
            figures = dict(db.execute("select run_id, count(*) from metric group by 1").fetchall())
        assert dict(runs) == dict.fromkeys(after, 1)
        assert rows == {run_id: len(scores.image) for run_id, scores in self.undisturbed.items()}
        assert figures.keys() == after.keys()
        assert len(set(figures.values())) == 1


def until(true: Callable[[], bool]) -> None:
    """Wait for something that comes at once, unless the machine is busy: a process that starts from nothing may then take minutes."""
    end = time.monotonic() + 300
    while not true():
        assert time.monotonic() < end, "it has not come"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def undisturbed(warm: Any, tiny_site: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Scores]]:
    """The home, and scores of the matrix, made once and in peace."""
    folder = tmp_path_factory.mktemp("undisturbed")
    place = Place(warm, folder, tiny_site, folder / "home", {})
    done = place.run(*MATRIX, *IN_PROCESS)
    assert done.returncode == 0, done.stderr
    return place.home, {run.name: read_scores(run) for run in place.results.runs.iterdir()}


@pytest.fixture
def place(warm: Any, tiny_site: Path, tmp_path: Path, undisturbed: tuple[Path, dict[str, Scores]]) -> Iterator[Place]:
    """Where a test makes the matrix; prepared images are here. Commands that a test that failed has left end with it."""
    home, scores = undisturbed
    assert len(scores) == 3
    made = Place(warm, tmp_path, tiny_site, home, scores)
    yield made
    made.mark.unlink(missing_ok=True)
    for command in made.started:
        if command.process.poll() is None:
            os.kill(command.process.pid, signal.SIGKILL)
        command.process.wait()
