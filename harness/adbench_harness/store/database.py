"""Open the database: readers see a finished file, the one writer works on a copy and puts it in place.

DuckDB lets nobody in while one process writes. So whoever ingests takes a lock, copies the file, changes the copy and renames
it over the original: a reader keeps what it opened, and a kill leaves the old file. It is written in an older storage version,
which older DuckDB and duckdb-wasm read.

The file is a cache: one that is damaged is set aside, and whoever ingests makes it anew.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
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
HEADER_BYTES: Final = 3 * 4096
"""What stands before the blocks of a DuckDB file."""

UNREADABLE: Final = (duckdb.IOException, duckdb.FatalException, duckdb.InternalException)
"""What DuckDB says of a part of a file that it can't read; of a wrong checksum it says nothing more than ``duckdb.Error``."""


class _DamagedError(StoreError):
    """A file that is no database, or a part of one: nothing but making it anew helps."""


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
    except duckdb.Error as error:
        if type(error) is duckdb.Error or isinstance(error, UNREADABLE):
            raise _reason(database, error) from None
        raise
    finally:
        db.close()


@contextmanager
def writing(
    database: Path, fresh: bool = False, say: Callable[[str], None] = lambda words: None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to a private copy, migrated to the newest schema; on leaving without an error it becomes the database.

    Args:
        database: the file.
        fresh: whether the copy starts empty, whatever state the database is in. So it does if the database is damaged, which is kept
            beside the new one.
        say: is told that it was damaged.

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
            yield from _copied(database, fresh, say)
        except (OSError, duckdb.Error) as error:
            raise StoreError(f"cannot write {database}: {_remedy(error)}") from None


def _remedy(error: OSError | duckdb.Error) -> str:
    """What went wrong, and what to do."""
    full = os.strerror(errno.ENOSPC)
    if full in str(error):
        return f"{full}; runs are kept: free space, and the next command takes them in"
    if isinstance(error, OSError):
        return f"{error.strerror or error}; runs are kept, and the next command takes them in"
    return f"{_first_line(error)}; runs are kept, type: adbench results rebuild"


def _copied(database: Path, fresh: bool, say: Callable[[str], None]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A copy to write to, which becomes the database; those of processes that were killed go."""
    copy, damaged = beside(database), ""
    for left in database.parent.glob(f".{database.name}.*.tmp*"):
        left.unlink(missing_ok=True)
    try:
        _note_holder(database)
        if database.is_file() and not fresh:
            damaged = _damage(database)
            if not damaged:
                shutil.copyfile(database, copy)
        yield from _change(copy)
        _log_of(database).unlink(missing_ok=True)  # what another program, killed since, had not yet written to the old file
        if damaged:
            say(f"{damaged}; it is made anew from the runs, and the old file is kept as {_set_aside(database).name}")
        copy.replace(database)
    finally:
        _remove(copy)


def _damage(database: Path) -> str:
    """Why the database can be made anew at most; empty if it is whole. Raises StoreError if it can't be told, or is held for writing."""
    try:
        _connect(database).close()  # held for writing elsewhere? then its log would be missing from a copy
    except _DamagedError as error:
        return str(error).partition(";")[0]
    return ""


def _set_aside(database: Path) -> Path:
    kept = database.with_name(f"{database.name}.damaged")
    database.replace(kept)
    return kept


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
        db = duckdb.connect(str(database), read_only=True)
    except duckdb.Error as error:
        raise _reason(database, error) from None
    try:
        row = db.execute("select used_blocks * block_size from pragma_database_size()").fetchone()
        if row is not None and database.stat().st_size < HEADER_BYTES + row[0]:
            raise _DamagedError(f"{database} is cut short; it is made from the runs: adbench results rebuild")
    except BaseException as error:
        db.close()
        if isinstance(error, duckdb.Error):
            raise _reason(database, error) from None
        raise
    return db


def _reason(database: Path, error: duckdb.Error) -> StoreError:
    """Why a database can't be read."""
    said = str(error)
    if held := re.search(r"Conflicting lock is held in (.+?) \(PID (\d+)\)", said):
        program = Path(held[1]).name
        return StoreError(
            f"another program ({program}, process {held[2]}) holds {database} for writing; close it, then try again"
        )
    rest = f"{database} can't be read ({_first_line(error)}); it is made from the runs: adbench results rebuild"
    # Of a newer DuckDB, held in a way that is not told, or not ours to read: no damage.
    if re.search(r"version number|Could not set lock|Cannot open file", said):
        return StoreError(rest)
    return _DamagedError(rest)


def _log_of(database: Path) -> Path:
    """What DuckDB has not yet written to the file itself."""
    return database.with_name(f"{database.name}.wal")


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
    for path in (copy, _log_of(copy)):
        path.unlink(missing_ok=True)
