"""A disk that is full in the middle, and has space again: file systems of a few megabytes, mounted for the test."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import IN_PROCESS, MATRIX, SINGLE, Place, cases

Disk = Callable[[Path], "Small"]


class Small:
    """A file system of its own that can be filled."""

    def __init__(self, at: Path) -> None:
        self.at = at

    def leave(self, kilobytes: int) -> None:
        """Take all space but so much."""
        taken = self.at / "ballast"
        taken.unlink(missing_ok=True)
        free = os.statvfs(self.at)
        size = free.f_bavail * free.f_frsize - kilobytes * 1024
        with taken.open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, size)

    def enlarge(self) -> None:
        """As an administrator does."""
        subprocess.run(["mount", "-o", "remount,size=256m", self.at], check=True)


@pytest.fixture
def disk() -> Iterator[Disk]:
    """Mounts a small file system at a folder."""
    mounted: list[Path] = []

    def mount(at: Path) -> Small:
        at.mkdir(parents=True)
        tried = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", at], capture_output=True, text=True)
        if tried.returncode != 0:
            pytest.skip(f"no file system can be mounted here: {tried.stderr.strip()}")
        mounted.append(at)
        return Small(at)

    if shutil.which("mount") is None:
        pytest.skip("there is no mount command")
    yield mount
    for at in mounted:
        subprocess.run(["umount", at], check=True)


WHERE = {
    "a checkpoint": ('save_at_every_step(); before("adbench_harness.checkpoint:CheckpointFile.save", {full}, 5)', 1),
    "a run folder": ('before("adbench_harness.result:_write_files", {full}, 2)', 1),
    "a manifest": ('before("adbench_harness.result:_seal", {full}, 2)', 1),
    "a lock": ('before("adbench_harness.runner:claimed", {full}, 2)', 1),
    "the database": ('before("adbench_harness.store.database:_note_holder", {full}, 2)', 0),
    "rows of the database": ('take_in_one_by_one(); before("adbench_harness.store.ingest:_insert", {full}, 3)', 0),
}
FILL = """
import os
from pathlib import Path
def full():
    ballast = Path(BALLAST)
    with ballast.open("wb") as stream:
        free = os.statvfs(ballast.parent)
        os.posix_fallocate(stream.fileno(), 0, free.f_bavail * free.f_frsize)
"""


def filling(disk: Small, fault: str) -> str:
    """The fault, with what fills the disk."""
    return FILL.replace("BALLAST", repr(str(disk.at / "ballast"))) + fault.format(full="full")


@pytest.mark.parametrize("what", cases(WHERE, ["a run folder"]))
def test_of_the_results_is_said_once_and_the_next_command_goes_on(place: Place, disk: Disk, what: str) -> None:
    small = disk(place.results.root)
    fault, status = WHERE[what]
    ended = place.run(*MATRIX, *IN_PROCESS, fault=filling(small, fault))
    assert ended.returncode == status, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "No space left on device" in ended.stderr or "free space" in ended.stderr
    assert str(place.results.root) in ended.stderr
    small.enlarge()
    place.finish(*MATRIX, *IN_PROCESS)


@pytest.mark.slow
def test_of_the_results_in_processes(place: Place, disk: Disk) -> None:
    small = disk(place.results.root)
    fault, status = WHERE["a run folder"]
    ended = place.run(*MATRIX, "--jobs", "2", fault=filling(small, fault.replace(", 2)", ")")))
    assert ended.returncode == status, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "No space left on device" in ended.stderr
    small.enlarge()
    place.finish(*MATRIX, "--jobs", "2")


def test_of_the_results_before_anything_is_written(place: Place, disk: Disk) -> None:
    small = disk(place.results.root)
    small.leave(0)
    for words in (SINGLE, (*MATRIX, *IN_PROCESS), (*MATRIX, "--jobs", "2")):
        ended = place.run(*words)
        assert ended.returncode == 1, ended.stderr
        assert "No space left on device" in ended.stderr
        assert "Traceback" not in ended.stderr
    small.enlarge()
    place.finish(*MATRIX, *IN_PROCESS)


def test_of_the_home_is_said_and_the_next_command_goes_on(place: Place, disk: Disk) -> None:
    place.home = place.folder / "home"
    small = disk(place.home)
    small.leave(8)
    for words in (SINGLE, (*MATRIX, *IN_PROCESS)):
        ended = place.run(*words)
        assert ended.returncode == 1, ended.stderr
        assert "cannot write prepared images" in ended.stderr
        assert "No space left on device; free space or choose another --home" in ended.stderr
        assert "Traceback" not in ended.stderr
    small.enlarge()
    place.finish(*MATRIX, *IN_PROCESS)
