"""A database that is damaged, or that another program holds: the runs are safe in their folders."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import duckdb
import pytest

from .conftest import IN_PROCESS, MATRIX, SINGLE, Place, cases

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda content: content[: len(content) // 2],
    "cut in its header": lambda content: content[:5000],
    "garbage": lambda content: b"\x07" * len(content),
    "of no bytes": lambda content: b"",
    "a block overwritten": lambda content: content[:20000] + b"\xff" * 200 + content[20200:],
}


@pytest.mark.parametrize("damage", cases(DAMAGES, ["cut short"]))
def test_a_damaged_one_is_set_aside_and_made_anew(place: Place, damage: str) -> None:
    assert place.run(*SINGLE).returncode == 0
    content = DAMAGES[damage](place.results.database.read_bytes())
    place.results.database.write_bytes(content)
    told = place.finish(*MATRIX, *IN_PROCESS)
    assert told.count("warning") == 1
    (line,) = (line for line in told.splitlines() if "warning" in line)
    assert f"adbench: warning: {place.results.database} " in line
    assert "it is made anew from the runs, and the old file is kept as adbench.duckdb.damaged" in line
    assert place.results.database.with_name("adbench.duckdb.damaged").read_bytes() == content
    assert "warning" not in place.finish(*MATRIX, *IN_PROCESS)


def test_one_is_made_anew_by_whatever_command_meets_it_first(place: Place) -> None:
    assert place.run(*MATRIX, *IN_PROCESS).returncode == 0
    place.results.database.write_bytes(b"this is no database")
    listed = place.run("results", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    assert listed.stderr.count("it is made anew from the runs") == 1
    assert listed.stdout.count('"run_id"') == 3
    place.results.database.write_bytes(b"this is no database")
    assert place.finish(*MATRIX, *IN_PROCESS).count("it is made anew from the runs") == 1  # though there is nothing to do


@contextmanager
def held(place: Place) -> Iterator[int]:
    """Another program has the database open for writing, with changes that it has not written to it; its number."""
    code = """
import duckdb, os, sys, time
db = duckdb.connect(sys.argv[1])
db.execute("create table theirs (x int)")
open(sys.argv[2] + "-", "w").write(str(os.getpid()))
os.rename(sys.argv[2] + "-", sys.argv[2])
while os.path.exists(sys.argv[2]):
    time.sleep(0.02)
os.kill(os.getpid(), 9)
"""
    with (place.folder / "other").open("w") as told:
        words = [sys.executable, "-c", code, str(place.results.database), str(place.mark)]
        other = place.warm.Popen(words, stdout=told, stderr=told)
    try:
        while not place.mark.exists():
            assert other.poll() is None, (place.folder / "other").read_text()
        yield other.pid
    finally:
        place.mark.unlink(missing_ok=True)
        assert other.wait() == -signal.SIGKILL


def test_runs_wait_in_their_folders_while_another_program_holds_it(place: Place) -> None:
    assert place.run(*SINGLE).returncode == 0
    with held(place) as other:
        made = place.run(*MATRIX, *IN_PROCESS)
        assert made.returncode == 0, made.stderr
        warnings = {line for line in made.stderr.splitlines() if "warning" in line}
        assert len(warnings) == 1
        assert f"process {other}) holds {place.results.database} for writing; close it, then try again" in warnings.pop()
        assert len(place.finished()) == 3
        before = place.finished()
    log = place.results.database.with_name("adbench.duckdb.wal")
    assert log.exists()  # it was killed
    listed = place.run("results", "list", "--json")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert listed.stdout.count('"run_id"') == 3
    place.check(before)
    assert not log.exists()
    place.finish(*MATRIX, *IN_PROCESS)


def test_one_of_a_newer_adbench_is_never_set_aside(place: Place) -> None:
    assert place.run(*SINGLE).returncode == 0
    with duckdb.connect(str(place.results.database)) as db:
        db.execute("insert into migration values (999, 'of tomorrow', current_timestamp::timestamp)")
    content = place.results.database.read_bytes()
    made = place.run(*MATRIX, *IN_PROCESS)
    assert made.returncode == 0, made.stderr
    assert "the database was written by a newer adbench; upgrade" in made.stderr
    assert place.results.database.read_bytes() == content
    place.results.database.unlink()
    place.finish(*MATRIX, *IN_PROCESS)


REFUSED = {
    "newer": "IO Error: Trying to read a database file with version number 99, but we can only read versions between 64 and 68.",
    "not ours": 'IO Error: Cannot open file "adbench.duckdb": Permission denied',
    "no lock": 'IO Error: Could not set lock on file "adbench.duckdb": No locks available',
}


@pytest.mark.parametrize("why", cases(REFUSED, []))
def test_one_that_only_can_t_be_opened_here_is_never_set_aside(place: Place, why: str) -> None:
    said = REFUSED[why]
    assert place.run(*SINGLE).returncode == 0
    content = place.results.database.read_bytes()
    fault = f"""
import duckdb
real = duckdb.connect
def connect(*given, **named):
    if given: raise duckdb.IOException({said!r})
    return real()
duckdb.connect = connect
"""
    made = place.run(*MATRIX, *IN_PROCESS, fault=fault)
    assert made.returncode == 0, made.stderr
    assert said in made.stderr
    assert place.results.database.read_bytes() == content
    place.finish(*MATRIX, *IN_PROCESS)
