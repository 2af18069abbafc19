"""Open the database: readers see a finished file, the one writer works on a copy and puts it in place.

DuckDB lets nobody in while one process writes. So whoever ingests takes a lock, copies the file, changes the copy and renames
it over the original: a reader keeps what it opened, and a kill leaves the old file. It is written in an older storage version,
which older DuckDB and duckdb-wasm read.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import duckdb
from filelock import Timeout

from ..api import StoreError
from ..home import MACHINE, beside
from ..locking import held
from .migrations import MIGRATIONS, applied, migrate

STORAGE_VERSION: Final = "v1.2.0"
LOCK_SECONDS: Final = 30.0


@contextmanager
def reading(database: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection.

    Raises:
        StoreError: if there is no database, another program holds it for writing, it is damaged, or of another adbench's schema.
    """
    if not database.is_file():
        raise StoreError(f"there is no database at {database}; make a run first, or name another folder with --results")
    db = _connect(database)
    try:
        _check_schema(db, database)
        yield db
    finally:
        db.close()


@contextmanager
def writing(database: Path, fresh: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to a private copy, migrated to the newest schema; on leaving without an error it becomes the database.

    With ``fresh`` the copy starts empty, whatever state the database is in.

    Raises:
        StoreError: if another process is ingesting and does not end, or holds the database for writing, or the disk is full.
    """
    lock = held(database.with_name(f".{database.name}.lock"), LOCK_SECONDS)
    with ExitStack() as stack:
        try:
            database.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(lock)
        except Timeout:
            raise StoreError(
                f"another adbench process{_holder(database)} is writing {database}; runs are kept, the next command takes them in"
            ) from None
        except OSError as error:
            raise StoreError(f"cannot write {database}: {error.strerror}; choose another folder with --results") from None
        try:
            yield from _copied(database, fresh)
        except OSError as error:
            raise StoreError(
                f"cannot write {database}: {error.strerror or error}; runs are kept, free space and type: adbench results rebuild"
            ) from None
        except duckdb.Error as error:
            raise StoreError(
                f"cannot write {database}: {_first_line(error)}; runs are kept, type: adbench results rebuild"
            ) from None


def _copied(database: Path, fresh: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """A copy to write to, which becomes the database; those of processes that were killed go."""
    copy = beside(database)
    for left in database.parent.glob(f".{database.name}.*.tmp*"):
        left.unlink(missing_ok=True)
    try:
        _note_holder(database)
        if database.is_file() and not fresh:
            _connect(database).close()  # held for writing elsewhere? then its log would be missing from a copy
            shutil.copyfile(database, copy)
        yield from _change(copy)
        copy.replace(database)
    finally:
        _remove(copy)


def _change(copy: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    db = duckdb.connect()
    try:
        db.execute(f"attach '{str(copy).replace(chr(39), chr(39) * 2)}' as adbench (storage_version '{STORAGE_VERSION}')")
        db.execute("use adbench")
        migrate(db)
        yield db
        db.execute("checkpoint adbench")
        db.execute("use memory")
        db.execute("detach adbench")
    finally:
        db.close()


def _check_schema(db: duckdb.DuckDBPyConnection, database: Path) -> None:
    try:
        seen = applied(db)
    except duckdb.Error as error:
        raise StoreError(
            f"{database} is no database of adbench ({_first_line(error)}); make it anew: adbench results rebuild"
        ) from None
    if seen > len(MIGRATIONS):
        raise StoreError(f"{database} was written by a newer adbench; upgrade: pip install --upgrade adbench-harness")
    if seen < len(MIGRATIONS):
        raise StoreError(
            f"{database} is of an older adbench and waits to be brought up to date; try again, or: adbench results rebuild"
        )


def _connect(database: Path) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(str(database), read_only=True)
    except duckdb.Error as error:
        held = re.search(r"Conflicting lock is held in (.+?) \(PID (\d+)\)", str(error))
        if held:
            program = Path(held[1]).name
            raise StoreError(
                f"another program ({program}, process {held[2]}) holds {database} for writing; close it, then try again"
            ) from None
        raise StoreError(
            f"{database} can't be opened ({_first_line(error)}); it is made from the runs: adbench results rebuild"
        ) from None


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def _note_holder(database: Path) -> None:
    database.with_name(f".{database.name}.holder").write_text(f"process {os.getpid()} on {MACHINE}")


def _holder(database: Path) -> str:
    try:
        return f" ({database.with_name(f'.{database.name}.holder').read_text()})"
    except OSError:
        return ""


def _remove(copy: Path) -> None:
    for path in (copy, copy.with_name(copy.name + ".wal")):
        path.unlink(missing_ok=True)
