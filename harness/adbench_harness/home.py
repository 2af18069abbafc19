"""Where things are kept: datasets and caches under the home, runs and database under the results folder."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformdirs

from .api import AdbenchError, OptionError

MACHINE: Final = re.sub(r"\W", "-", platform.node(), flags=re.ASCII)[:60] or "unnamed"
"""This machine's name, as part of a file's: process numbers tell nothing of the other machines of a network file system."""


@dataclass(frozen=True)
class Home:
    """The folder of imported datasets and caches; shared by all results folders of a user."""

    root: Path

    @classmethod
    def at(cls, given: Path | None) -> Home:
        """The home: as given, else ``$ADBENCH_HOME``, else the platform's folder for user data."""
        if given is None:
            stated = os.environ.get("ADBENCH_HOME")
            given = Path(stated) if stated else Path(platformdirs.user_data_dir("adbench", appauthor=False))
        return cls(_absolute(given))

    def dataset(self, name: str) -> Path:
        """Folder of an imported dataset's files."""
        return self.root / "datasets" / name

    @property
    def prepared(self) -> Path:
        """Cache of prepared images, by content."""
        return self.root / "cache" / "prepared"

    @property
    def sql_engine(self) -> Path:
        """Cache of the database engine for readers of a site."""
        return self.root / "cache" / "sql-engine"

    @property
    def hashes(self) -> Path:
        """Memo of file hashes, by path, size and time of change."""
        return self.root / "cache" / "hashes"


@dataclass(frozen=True)
class Results:
    """The folder of runs and of the database made from them."""

    root: Path

    @classmethod
    def at(cls, given: Path | None) -> Results:
        """The results folder: as given, else ``$ADBENCH_RESULTS``, else ``./adbench-results``."""
        if given is None:
            given = Path(os.environ.get("ADBENCH_RESULTS") or "adbench-results")
        root = _absolute(given)
        if "?" in str(root):
            raise OptionError(
                f"{root}: the database can't be opened at a path with a question mark; choose another with --results"
            )
        return cls(root)

    @property
    def runs(self) -> Path:
        """Finished runs, a folder each; these are the truth."""
        return self.root / "runs"

    @property
    def replicates(self) -> Path:
        """Other results of runs that are here, a folder for each run."""
        return self.root / "replicates"

    @property
    def running(self) -> Path:
        """Checkpoints of runs under way."""
        return self.root / "running"

    @property
    def audits(self) -> Path:
        """What was found wrong with datasets, a JSON file for each audited copy."""
        return self.root / "audits"

    @property
    def executors(self) -> Path:
        """What executors have to know if a command is killed, a folder each; and a file by which this folder is told from any other."""
        return self.root / "executors"

    def checkpoint(self, run_id: str) -> Path:
        """The checkpoint of a run under way, in a folder of its own."""
        return self.running / run_id / "checkpoint.pt"

    def lock(self, run_id: str) -> Path:
        """Who locks this file makes the run."""
        return self.running / f".{run_id}.lock"

    @property
    def database(self) -> Path:
        """The DuckDB file, made from the run folders."""
        return self.root / "adbench.duckdb"


def make_folder(path: Path, what: str) -> Path:
    """Make a folder that we write to, or say why it can't be.

    Raises:
        AdbenchError: naming the folder, the reason, and the option that chooses another.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        writable = os.access(path, os.W_OK | os.X_OK)
    except OSError as error:
        raise AdbenchError(f"cannot make the {what} {path}: {error.strerror}; choose another with {_option(what)}") from None
    if not writable:
        raise AdbenchError(f"the {what} {path} is not writable; choose another with {_option(what)}")
    return path


def beside(path: Path, ending: str = "tmp") -> Path:
    """Where what is to be at ``path`` is written first, or what was there is kept: no other process takes this name, on any machine."""
    return path.with_name(f".{path.name}.{MACHINE}-{os.getpid()}.{ending}")


@contextmanager
def put_in_place(path: Path) -> Iterator[Path]:
    """Where to write what is to be at ``path``: a file beside it, renamed at the end, so that nobody finds a part of it.

    Raises:
        OSError: as writing does; nothing is left behind then.
    """
    unfinished = beside(path)
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def _absolute(given: Path) -> Path:
    try:
        path = given.expanduser().absolute()
        str(path).encode()
    except RuntimeError as error:
        raise OptionError(f"{given}: {error}") from None
    except UnicodeEncodeError:
        raise OptionError(f"{os.fsencode(given)!r}: a path must be valid UTF-8") from None
    return path


def _option(what: str) -> str:
    return "--results or ADBENCH_RESULTS" if "result" in what else "--home or ADBENCH_HOME"
